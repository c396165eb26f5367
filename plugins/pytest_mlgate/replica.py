"""The version under test, served by a worker on another machine; wired there as it is here."""

import shutil
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass

from mlgate.artifacts.cache import fetch
from mlgate.errors import ModelDirectoryError
from mlgate.model_version import ModelVersion
from mlgate.policy import Policy
from mlgate.sandbox.session import SessionTag
from mlgate.scoring.client import ScoringClient
from pytest_mlgate import wiring


@dataclass(frozen=True, slots=True, kw_only=True)
class FetchedReplica:
    """A `mlgate.evaluation.engines.interface.Replica`: same bytes, same policy, same kind of sandbox.

    The worker's own environment says where its registry and its container engine are; neither address nor credential
    travels.

    Attributes:
        version: What is fetched.
        digest: Digest of its artifacts, as this run has found it.
        policy: What its server may use, and how it is asked.
        sandbox: `container` or `process`.
    """

    version: ModelVersion
    digest: str
    policy: Policy
    sandbox: str

    @contextmanager
    def serving(self) -> Iterator[ScoringClient]:
        """Fetch, build and start; see there.

        Raises:
            ModelDirectoryError: The registry gives this machine other bytes.
            MlgateError: It can not be fetched, installed or loaded here.
        """
        directory = fetch(wiring.open_registry(), self.version)
        if directory.digest != self.digest:
            raise ModelDirectoryError(
                f"{self.version.uri}: artifacts {directory.digest}, and the run has {self.digest}"
            )
        with ExitStack() as stack:
            tag = SessionTag.new()
            home, close = wiring.guard(tag, sandbox=self.sandbox)
            stack.callback(shutil.rmtree, home, ignore_errors=True)
            stack.callback(close)
            server = wiring.make_server(
                directory, self.policy, sandbox=self.sandbox, session=tag, scratch=home, tell=_say_nothing
            )
            stack.callback(server.stop)
            server.start()
            client = wiring.client_for(server, self.policy)
            stack.callback(client.close)
            yield client


def _say_nothing(line: str) -> None:
    """A worker's progress is nobody's to read."""

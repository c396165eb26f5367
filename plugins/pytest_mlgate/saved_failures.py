"""Saved failures in a gate run: those that the policy keeps, or the one of `mlgate replay`; and the searches that try them."""

import json
from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import TYPE_CHECKING

from mlgate.errors import ConfigError, PolicyError
from mlgate.evidence import Cause, Finding, Outcome
from mlgate.failure import Failure, Origin
from mlgate.policy import SUITES, Policy
from mlgate.regressions import read_regressions, read_saved
from mlgate.scoring.client import ScoringClient
from mlgate.surroundings import installed_version

if TYPE_CHECKING:
    from mlgate_suites.search import Search
    from pytest_mlgate.recorder import Recorder
    from pytest_mlgate.session import GateSession

# What a replay leaves for `mlgate replay` in the folder of `--mlgate-output`.
RESULT = "replay.json"
_EXIT = {"fixed": 0, "still failing": 1, "not decided": 20}


@dataclass(kw_only=True)
class SavedFailures:
    """What is tried before anything is drawn.

    Attributes:
        known: File name to failure.
        replayed: The one that `mlgate replay` asks for; nothing else is tried then.
        searches: Check id to its search, from the first check that asks.
        result: What the replay came to: `fixed`, `still failing` or `not decided`; empty before.
    """

    known: Mapping[str, Failure] = field(default_factory=dict)
    replayed: Failure | None = None
    searches: dict[str, "Search"] = field(default_factory=dict)
    result: str = ""

    @classmethod
    def of(cls, policy: Policy, *, replay: str | None) -> "SavedFailures":
        """Read the file to replay, or the policy's folder of regressions.

        Raises:
            FailureFileError: The file to replay is no saved failure.
            PolicyError: A file of the folder is none.
        """
        if replay is not None:
            failure = read_saved(Path(replay))
            return cls(known={replay: failure}, replayed=failure)
        name = policy.values.properties.regressions
        return cls(known={} if name is None else read_regressions(policy.folder / name, name=name))

    @property
    def needs_data(self) -> bool:
        """Whether a case is rows of the evaluation data."""
        return any(failure.case.keys for failure in self.known.values())

    def of_check(self, key: str) -> Mapping[str, Failure]:
        """Return what belongs to one check."""
        return {name: failure for name, failure in self.known.items() if failure.check == key}

    def refuse_strangers(self, own: Iterable[str], session: "GateSession", *, final: bool) -> None:
        """Refuse a file whose check the run does not have.

        Args:
            own: Ids of the checks that were collected.
            session: The run.
            final: Whether everything was collected. Before that, only the packaged suites' ids are known.

        Raises:
            ConfigError: Such a file.
        """
        expected = session.policy.expected_checks(champion=session.champion is not None)
        there = {key for keys in expected.values() for key in keys} | set(own)
        for name, failure in self.known.items():
            left_out = bool(session.request.suites) and failure.suite not in session.request.suites
            if failure.check in there or (not final and failure.suite not in SUITES) or (final and left_out):
                continue
            if self.replayed is not None:
                hint = "it needs its key in the policy, or its file: --own-check FILE"
                raise ConfigError(f"{name}: this run has no check {failure.check}", hint=hint)
            hint = "remove the file, or put the check back"
            raise PolicyError(
                f"properties.regressions: {name} is of {failure.check}, which is no check here", hint=hint
            )

    def search(self, session: "GateSession", check: str, suite: str, client: ScoringClient) -> "Search":
        """Return the search of one check.

        Args:
            session: The run.
            check: Text form of the check's id.
            suite: The check's.
            client: Of the served version.
        """
        from mlgate_suites.search import Search  # noqa: PLC0415  (0.3 s for hypothesis)

        properties = session.policy.values.properties
        self.searches[check] = Search(
            check=check,
            suite=suite,
            client=client,
            examples=properties.examples,
            tolerate=properties.tolerate,
            seed=session.seed,
            folder=session.work,
            origin=Origin(
                uri=session.version.uri,
                artifact_digest=session.directory.digest,
                policy_digest=session.policy.digest,
                data_digest=session.data.digest if session.data else "",
                mlgate=installed_version("mlgate"),
            ),
            known=self.of_check(check),
            only_known=self.replayed is not None,
            data=session.data,
            store_rows=session.policy.values.evidence.rows == "full",
        )
        return self.searches[check]

    def held(self, check: str, finding: Finding) -> Finding:
        """Return what a check found; a pass that left a known failure untried is none."""
        known = self.of_check(check)
        tried = self.searches[check].replayed if check in self.searches else 0
        if finding.outcome is not Outcome.PASSED or tried >= len(known):
            return finding
        name = next(iter(known))
        reason = f"{name} was not tried again: the check came to its end without it ({finding.reason})"
        return replace(finding, outcome=Outcome.ERRORED, cause=Cause.HARNESS, reason=reason)

    def conclude(self, session: "GateSession", recorder: "Recorder", tell: Callable[[str], None]) -> int:
        """Say what became of the failure that was tried again; return pytest's exit status.

        Args:
            session: The run; `--mlgate-output` says where `mlgate replay` looks for the result.
            recorder: Has what the check found.
            tell: Takes the line for a person.
        """
        key = self.replayed.check if self.replayed else ""
        finding = recorder.finding(key)
        word, reason = self._word(key, finding), finding.reason if finding else "the check did not run"
        self.result = word
        tell(f"{word}: {reason}")
        document = {"result": word, "check": key, "uri": session.version.uri, "reason": reason}
        details = dict(finding.details) if finding else {}
        document |= {name: details[name] for name in ("example", "curl", "log") if name in details}
        if session.request.output:
            text = json.dumps(document, indent=2, ensure_ascii=False)
            (Path(session.request.output) / RESULT).write_text(text, "utf-8")
        return _EXIT[word]

    def _word(self, key: str, finding: Finding | None) -> str:
        tried = key in self.searches and self.searches[key].replayed > 0
        if finding is None or not tried:
            return "not decided"
        return {Outcome.PASSED: "fixed", Outcome.FAILED: "still failing"}.get(finding.outcome, "not decided")

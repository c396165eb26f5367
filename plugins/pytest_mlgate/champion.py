"""The version that the one under test is compared with."""

from dataclasses import dataclass

from mlgate.artifacts.directory import ModelDirectory
from mlgate.evidence import ChampionFacts
from mlgate.model_version import ModelVersion


@dataclass(frozen=True, kw_only=True)
class ChampionUnderTest:
    """The champion's version and bytes; *problem* says why it can not be compared with."""

    version: ModelVersion
    directory: ModelDirectory | None
    problem: str = ""

    def facts(self) -> ChampionFacts:
        """Return what the evidence says of it."""
        digest = self.directory.digest if self.directory else "unknown"
        return ChampionFacts(uri=self.version.uri, version=self.version.version, artifact_digest=digest)

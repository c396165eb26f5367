"""The champion of a run: the version that is compared with."""

from dataclasses import dataclass

from mlgate.artifacts.cache import fetch
from mlgate.artifacts.directory import ModelDirectory
from mlgate.errors import MlgateError, RegistryError
from mlgate.evidence import ChampionFacts
from mlgate.model_version import ModelUri, ModelVersion
from mlgate.registry.interface import ModelRegistry

CHAMPION_ALIAS = "champion"


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


def find_champion(registry: ModelRegistry, tested: ModelVersion, named: str | None) -> ChampionUnderTest | None:
    """Return the champion, or `None` where there is no comparison.

    Args:
        registry: Where it is looked for.
        tested: The version under test.
        named: `--mlgate-champion`: a URI, `none`, or `None` for the alias.

    Raises:
        UriError: *named* is no model version.
        RegistryError: The registry does not answer.
    """
    version = _champion_version(registry, tested, named)
    if version is None or version.uri == tested.uri:
        return None  # it is the champion itself: a comparison with itself says nothing
    try:
        return ChampionUnderTest(version=version, directory=fetch(registry, version))
    except RegistryError:
        raise
    except MlgateError as error:
        # A champion that can not be read makes the comparison inconclusive, never passed.
        return ChampionUnderTest(version=version, directory=None, problem=str(error))


def _champion_version(registry: ModelRegistry, tested: ModelVersion, named: str | None) -> ModelVersion | None:
    if named == "none":
        return None
    if named is not None:
        return registry.resolve(ModelUri.parse(named))
    alias = registry.aliases(tested.name).get(CHAMPION_ALIAS) if tested.name is not None else None
    return None if alias is None else registry.resolve(ModelUri.parse(f"models:/{tested.name}/{alias}"))

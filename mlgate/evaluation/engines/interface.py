"""Where evaluation rows are scored: here, or on several machines. No type of an engine's library crosses this line."""

from collections.abc import Callable, Iterable
from contextlib import AbstractContextManager
from importlib.metadata import entry_points
from typing import TYPE_CHECKING, Any, Protocol, Self

from mlgate.artifacts.signature import Schema
from mlgate.errors import ConfigError
from mlgate.evaluation.scoring import Progress, ScoringFacts
from mlgate.scoring.payloads import Batch

if TYPE_CHECKING:
    from mlgate.scoring.client import ScoringClient

# Entry point group: the name is what `accuracy.engine` says, the value a class without arguments.
GROUP = "mlgate.evaluators"


class Replica(Protocol):
    """A way to serve the model where this process is not. It travels there, and so can be pickled."""

    def serving(self) -> AbstractContextManager["ScoringClient"]:
        """Serve the same bytes in the same sandbox on the machine that calls this, for the length of the block.

        Whatever was started is gone with the process that called this, also when it is killed.

        Raises:
            MlgateError: The model can not be fetched, installed or loaded there.
        """


class ScoringEngine(Protocol):
    """Decides where requests are sent from. The requests and the order of their answers are the same everywhere."""

    @property
    def name(self) -> str:
        """What `accuracy.engine` calls it."""

    def __enter__(self) -> Self:
        """Begin; what is expensive starts with the first rows."""

    def __exit__(self, *exc: object) -> None:
        """Stop everything that was started."""

    def score_data(
        self,
        client: "ScoringClient",
        batches: Iterable[Batch],
        outputs: Schema | None,
        take: Callable[[list[Any]], object],
        *,
        name_row: Callable[[int], str],
        progress: Progress | None = None,
        replica: Replica | None = None,
    ) -> ScoringFacts:
        """Have every row answered, as `mlgate.evaluation.scoring.score_data` does, which says what the arguments are.

        Args:
            client: Of a server that this run has started; whatever another server can not answer, this one is asked.
            batches: The features.
            outputs: The output signature.
            take: Gets the answers, in the rows' order.
            name_row: Names a row.
            progress: Told of every batch.
            replica: Serves the model on other machines; `None` keeps to this one.

        Raises:
            NotScored: Some row has no valid answer.
            EngineError: The engine lost rows, and says which ones; it never goes on without them.
        """


def find_engine(name: str) -> ScoringEngine:
    """Return the engine that `accuracy.engine` names.

    Raises:
        ConfigError: There is none, or it is not installed whole.
    """
    points = {point.name: point for point in entry_points(group=GROUP)}
    if name not in points:
        raise ConfigError(f"accuracy.engine: there is no '{name}'", hint=f"engines: {', '.join(sorted(points))}")
    try:
        made: ScoringEngine = points[name].load()()
    except (ImportError, AttributeError) as error:
        raise ConfigError(f"accuracy.engine: {name} can not be loaded ({error})") from error
    return made

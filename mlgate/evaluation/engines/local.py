"""Scoring from this process, with one server."""

from collections.abc import Callable, Iterable
from typing import TYPE_CHECKING, Any, Self

from mlgate.artifacts.signature import Schema
from mlgate.evaluation.engines.interface import Replica
from mlgate.evaluation.scoring import Progress, ScoringFacts, score_data
from mlgate.scoring.payloads import Batch

if TYPE_CHECKING:
    from mlgate.scoring.client import ScoringClient


class LocalEngine:
    """A `ScoringEngine`; see there."""

    name = "local"

    def __enter__(self) -> Self:
        """Begin."""
        return self

    def __exit__(self, *exc: object) -> None:
        """Nothing was started."""

    def score_data(
        self,
        client: "ScoringClient",
        batches: Iterable[Batch],
        outputs: Schema | None,
        take: Callable[[list[Any]], object],
        *,
        name_row: Callable[[int], str],
        progress: Progress | None = None,
        replica: Replica | None = None,  # noqa: ARG002  (of no use here)
    ) -> ScoringFacts:
        """Have every row answered, one request after the other."""
        return score_data(client, batches, outputs, take, name_row=name_row, progress=progress)


# It has no state.
LOCAL = LocalEngine()

"""What was tried of each column: distinct values, declared values and edges. Pure."""

from collections.abc import Mapping
from typing import Any

from mlgate.generation.choice import ChoiceDomain
from mlgate.generation.domain import ValueDomain, identity
from mlgate.generation.input_space import InputSpace
from mlgate.scoring.payloads import Batch

_NAMED = 3  # values that were not tried are named up to this many
_LONGEST_NAME = 40


class Coverage:
    """Counts what was tried of a space, column by column.

    Args:
        space: Its further columns count as well.

    Attributes:
        rows: Rows that were tried.
    """

    def __init__(self, space: InputSpace) -> None:
        self.rows = 0
        self._columns = [_Column(domain, place) for place, domain in enumerate(space.domains)]

    def add(self, batch: Batch) -> None:
        """Count the rows of *batch*."""
        self.rows += len(batch)
        for column in self._columns:
            column.add(batch)

    @property
    def empty(self) -> tuple[str, ...]:
        """Columns of which nothing but null was tried."""
        return tuple(column.name for column in self._columns if not column.distinct)

    @property
    def missing(self) -> Mapping[str, int]:
        """Columns with declared values or edges that were not tried, and how many."""
        return {column.name: len(column.missing) for column in self._columns if column.missing}

    def to_json(self) -> dict[str, Any]:
        """Return the counts for the evidence: `{"rows": n, "columns": {name: {"distinct": d, "edges": [tried, of]}}}`.

        Declared values that were not tried are named; values that were seen in data are only counted.
        """
        return {"rows": self.rows, "columns": {column.name: column.to_json() for column in self._columns}}


class _Column:
    """Counts of one column."""

    def __init__(self, domain: ValueDomain, place: int) -> None:
        self.name = str(place if domain.name is None else domain.name)
        self._label = domain.name
        self._seen: set[int] = set()
        self._nulls = 0
        self._edges = {hash(identity(edge)): edge for edge in domain.edges}
        self._secret = (
            isinstance(domain, ChoiceDomain) and not domain.declared and not isinstance(domain.values[0], bool)
        )

    def add(self, batch: Batch) -> None:
        values = batch.column(self._label)
        self._nulls += sum(value is None for value in values)
        # Hashes and not the values: ten thousand pictures are not kept to be counted.
        self._seen |= {hash(identity(value)) for value in values if value is not None}

    @property
    def distinct(self) -> int:
        return len(self._seen)

    @property
    def missing(self) -> list[Any]:
        return [edge for key, edge in self._edges.items() if key not in self._seen]

    def to_json(self) -> dict[str, Any]:
        missing = self.missing
        counts: dict[str, Any] = {
            "distinct": self.distinct,
            "edges": [len(self._edges) - len(missing), len(self._edges)],
        }
        if self._nulls:
            counts["nulls"] = self._nulls
        if missing and not self._secret:
            counts["missing"] = [repr(edge)[:_LONGEST_NAME] for edge in missing[:_NAMED]]
        return counts

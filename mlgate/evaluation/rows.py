"""Evaluation data in memory: features, truth and keys, row by row. Pure."""

from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any

from mlgate.scoring.payloads import Batch

# Half a megabyte of JSON: well under the smallest body limit met in the field (5 MB behind nginx), and few requests.
ROWS_PER_REQUEST = 1000


@dataclass(frozen=True, slots=True, kw_only=True)
class EvaluationData:
    """Rows with their truth.

    Attributes:
        source: The policy's text for where it is.
        digest: `sha256:` over the files' bytes, in the order of their names.
        features: One row a case, in the order of the input signature.
        labels: The truth, one a row, as JSON values; never null.
        keys: What pairs challenger and champion; the row number where the policy names no key.
    """

    source: str
    digest: str
    features: Batch
    labels: tuple[Any, ...]
    keys: tuple[Any, ...]

    def __len__(self) -> int:
        return len(self.labels)

    def batches(self, size: int = ROWS_PER_REQUEST) -> Iterator[Batch]:
        """Yield the features in requests of at most *size* rows."""
        for start in range(0, len(self), size):
            yield self.features.take(range(start, min(start + size, len(self))))

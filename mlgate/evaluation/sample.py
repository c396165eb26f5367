"""A sample: truth and one model's answers on the evaluation rows, as arrays. Pure."""

from collections.abc import Sequence
from dataclasses import dataclass, replace
from typing import Any

import numpy as np
from numpy.typing import NDArray

# A prediction that is no known class: never equal to a truth, and a row of its own in a confusion table.
UNKNOWN_CLASS = -1

Codes = NDArray[np.signedinteger[Any]]
Numbers = NDArray[np.floating[Any]]
Rows = NDArray[np.bool_] | NDArray[np.intp] | slice


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class Sample:
    """Truth and answers of one model, row by row. A field is `None` where it is not there; nothing is NaN.

    Attributes:
        truth: Shape (n,). Codes into `classes`, or the true numbers of a regression (or the relevance of a ranking).
        labels: Predicted classes as codes, shape (n,); `UNKNOWN_CLASS` where the model said something else.
        score: Score of the positive class (or of the item, in a ranking), shape (n,).
        scores: Score of every class, shape (n, k), columns in the order of `classes`.
        numbers: Predicted numbers, shape (n,).
        classes: Text of each class, by code. Empty where the truth is numbers.
        positive: Code of the positive class; `None` where there is none.
        group: Code of the group that a row belongs to, shape (n,): rows of one group are not independent, and the
            items of one ranking are one group.
    """

    truth: Codes | Numbers
    labels: Codes | None = None
    score: Numbers | None = None
    scores: Numbers | None = None
    numbers: Numbers | None = None
    classes: tuple[str, ...] = ()
    positive: int | None = None
    group: Codes | None = None

    def __post_init__(self) -> None:
        """Refuse arrays of unequal length.

        Raises:
            ValueError: An array has another number of rows than the truth.
        """
        for name in ("labels", "score", "scores", "numbers", "group"):
            array = getattr(self, name)
            if array is not None and len(array) != len(self.truth):
                raise ValueError(f"{name} has {len(array)} rows, truth {len(self.truth)}")

    def __len__(self) -> int:
        return len(self.truth)

    def take(self, rows: Rows) -> "Sample":
        """Return the sample of some rows: a mask, indices, or a slice."""
        parts = ("truth", "labels", "score", "scores", "numbers", "group")
        taken: dict[str, Any] = {
            name: None if (array := getattr(self, name)) is None else array[rows] for name in parts
        }
        return replace(self, **taken)

    @property
    def truth_text(self) -> Sequence[str]:
        """The true classes as text; for reports."""
        return [self.classes[code] for code in self.truth]

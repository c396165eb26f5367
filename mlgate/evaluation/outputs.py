"""Output mapping: which part of an answer is the prediction, and which the score; one row at a time. Pure.

`answer_columns` reads whole batches, and must come to what is said here.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

from mlgate.policy_accuracy import Accuracy
from mlgate.typed_json import finite

DEFAULT_THRESHOLD = 0.5  # two classes: the larger score wins


class UnmappedOutput(ValueError):
    """An answer does not hold what the policy's mapping names.

    Attributes:
        row: Which one of the rows; `None` where one row was asked about.
    """

    def __init__(self, message: str, *, row: int | None = None) -> None:
        super().__init__(message)
        self.row = row


def label_text(value: object) -> str:
    """Return a label as text, so that 1, "1", 1.0 and true from CSV, JSON and numpy are one label."""
    if isinstance(value, bool):
        return str(int(value))
    if isinstance(value, float) and value.is_integer():
        return str(int(value))
    return str(value)


@dataclass(frozen=True, slots=True, kw_only=True)
class OutputMapping:
    """How to read predictions.

    Attributes:
        prediction: Output name or index of the prediction; `None` for the only one.
        score: Output name or index of the positive class's score, or of the scores of all classes; `None` where
            nothing names one.
        classes: Labels in index order, where the output is an array of scores, or has a column a class.
        positive: The positive class.
        threshold: Score from which the positive class is predicted; `None` for the larger score of an array, and for
            0.5 of a single score.
    """

    prediction: str | int | None
    score: str | int | None
    classes: tuple[Any, ...] | None
    positive: Any
    threshold: float | None

    @classmethod
    def of(cls, accuracy: Accuracy) -> "OutputMapping":
        """Take the mapping from the policy."""
        positive = accuracy.positive
        if positive is None:
            positive = accuracy.classes[1] if accuracy.classes and len(accuracy.classes) == 2 else 1
        return cls(
            prediction=accuracy.prediction,
            score=accuracy.score,
            classes=accuracy.classes,
            positive=positive,
            threshold=accuracy.threshold,
        )

    @property
    def class_names(self) -> tuple[str, ...]:
        """The classes as text, as a named column spells them."""
        return tuple(map(label_text, self.classes or ()))

    @property
    def negative(self) -> Any:
        """The class beside the positive one.

        Raises:
            UnmappedOutput: There is not exactly one.
        """
        others = [label for label in self.classes or (0, 1) if label_text(label) != label_text(self.positive)]
        if len(others) != 1:
            raise UnmappedOutput("one score tells two classes apart, and accuracy.classes does not name two")
        return others[0]

    def label_of(self, row: object) -> Any:
        """Return the predicted label of one answer row.

        Raises:
            UnmappedOutput: The row does not hold it.
        """
        if self.prediction is None:
            part = self.scored_part(row)
            if self.holds_scores(part):
                return self._label_from_scores(self.scores_of(row))
            if self.score is not None:
                return self.label_from_score(number(part))
        value = pick(row, self.prediction)
        if isinstance(value, float) and self.reads_scores_as_labels:
            return self.label_from_score(number(value))
        return label(value)

    @property
    def reads_scores_as_labels(self) -> bool:
        """Whether a float in the prediction is the positive class's score: of two classes, where nothing else holds one."""
        return self.classes is not None and len(self.classes) == 2 and self.score is None

    def score_of(self, row: object) -> float:
        """Return the score of the positive class in one answer row, or of the row itself in a ranking.

        Raises:
            UnmappedOutput: The row does not hold a number there.
        """
        if self.holds_scores(self.scored_part(row)):
            return self.scores_of(row)[self.positive_index]
        return number(pick(row, self.prediction if self.score is None else self.score))

    @property
    def positive_index(self) -> int:
        """Place of the positive class among the classes.

        Raises:
            UnmappedOutput: It is none of them.
        """
        if label_text(self.positive) not in self.class_names:
            raise UnmappedOutput(f"the positive class {self.positive!r} is none of {list(self.classes or ())}")
        return self.class_names.index(label_text(self.positive))

    def scores_of(self, row: object) -> list[float]:
        """Return the score of each class in one answer row, in the order of `classes`.

        Raises:
            UnmappedOutput: The row does not hold them.
        """
        if not self.classes:
            raise UnmappedOutput("scores of several classes, and accuracy.classes does not name them")
        part = self.scored_part(row)
        if isinstance(part, dict):
            missing = [name for name in self.class_names if name not in part]
            if missing:
                raise UnmappedOutput(f"no output for class '{missing[0]}' among {sorted(map(str, part))[:20]}")
            return [number(part[name]) for name in self.class_names]
        if not isinstance(part, list):
            raise UnmappedOutput(f"one value for {len(self.classes)} classes")
        if len(part) != len(self.classes):
            raise UnmappedOutput(f"{len(part)} scores for {len(self.classes)} classes")
        return [number(value) for value in part]

    def number_of(self, row: object) -> float:
        """Return the predicted number of one answer row.

        Raises:
            UnmappedOutput: The row does not hold a number there.
        """
        return number(pick(row, self.prediction))

    def label_from_score(self, score: float) -> Any:
        """Return the label that the positive class's score says."""
        threshold, negative = DEFAULT_THRESHOLD if self.threshold is None else self.threshold, self.negative
        return self.positive if score >= threshold else negative

    def _label_from_scores(self, scores: Sequence[float]) -> Any:
        if self.threshold is not None and len(scores) == 2:
            return self.label_from_score(scores[self.positive_index])
        return (self.classes or ())[max(range(len(scores)), key=scores.__getitem__)]

    def scored_part(self, row: object) -> Any:
        """Return the part of an answer row that may hold the scores of all classes.

        Raises:
            UnmappedOutput: The row lacks what the policy names.
        """
        if self.score is not None:
            return pick(row, self.score)
        if not isinstance(row, dict):
            # Beside a prediction, an array without names has other things than scores; a column a class tells its own.
            return row if self.prediction is None else pick(row, self.prediction)
        only = next(iter(row.values())) if len(row) == 1 else None
        return only if isinstance(only, (list, dict)) else row

    def holds_scores(self, part: object) -> bool:
        """Return whether *part* has a score for each class; one value in an array of its own is one output."""
        if not self.classes:
            return False
        if isinstance(part, dict):
            return all(name in part for name in self.class_names)
        return isinstance(part, list) and len(part) != 1


def pick(row: object, place: str | int | None) -> Any:
    """Return the output at *place* of an answer row: a name, an index, or `None` for the only one.

    One value in an array of its own is that value: a tensor of shape (-1, 1) has as many outputs as one of shape (-1).

    Raises:
        UnmappedOutput: There is none.
    """
    found = _at(row, place)
    return found[0] if isinstance(found, list) and len(found) == 1 else found


def _at(row: object, place: str | int | None) -> Any:
    if isinstance(row, dict):
        if place is None and len(row) == 1:
            return next(iter(row.values()))
        if isinstance(place, int):
            row = list(row.values())
        elif place in row:
            return row[place]
        else:
            raise UnmappedOutput(f"no output '{place}' among {sorted(map(str, row))[:20]}")
    if isinstance(row, list):
        if place is None and len(row) == 1:
            return row[0]
        if isinstance(place, int) and -len(row) <= place < len(row):
            return row[place]
        raise UnmappedOutput(f"an array of {len(row)} outputs and no index {place!r}")
    if place in (None, 0):
        return row
    raise UnmappedOutput(f"one value, and the policy asks for output {place!r}")


def number(value: object) -> float:
    """Return *value* as a finite number.

    Raises:
        UnmappedOutput: It is none.
    """
    if isinstance(value, bool) or not isinstance(value, (int, float)):
        raise UnmappedOutput(f"{_short(value)} is not a number")
    found = finite(value)
    if found is None:
        raise UnmappedOutput(f"{_short(value)} is not a finite number")
    return found


def label(value: object) -> Any:
    """Return *value* where it can be a label: a text, a truth value or a whole number.

    Raises:
        UnmappedOutput: It is none: a score, null, an array.
    """
    if isinstance(value, float) and not value.is_integer():
        raise UnmappedOutput(f"{value:g} is a score and no label; accuracy.classes names the labels")
    if value is None or isinstance(value, (list, dict)):
        raise UnmappedOutput(f"{_short(value)} is no label")
    return value


def _short(value: object) -> str:
    try:
        text = repr(value)
    except ValueError:  # Python does not print an integer of more than 4 300 digits
        text = "a number of thousands of digits"
    return text if len(text) <= 40 else f"{text[:37]}…"

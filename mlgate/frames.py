"""Rows and answers as pandas data frames, for checks that users write; and back."""

from collections.abc import Sequence
from typing import TYPE_CHECKING, Any

from mlgate.generation.input_space import InputSpace
from mlgate.scoring.payloads import Batch

if TYPE_CHECKING:
    import pandas as pd

# What the only, unnamed tensor is called, and the only, unnamed output.
INPUT = "input"
PREDICTION = "prediction"


def frame_of(batch: Batch, space: InputSpace) -> "pd.DataFrame":
    """Return rows as a data frame; a column with nulls or with nested values holds Python objects."""
    import pandas as pd  # noqa: PLC0415  (half a second that only a user's relation pays)

    columns = {_label(domain.name): _series(batch.column(domain.name)) for domain in space.domains[: space.inputs]}
    return pd.DataFrame(columns)


def batch_of(frame: "pd.DataFrame", like: Batch, space: InputSpace) -> Batch:
    """Return a data frame as rows of the same kind as *like*; values are spelled as the inputs spell them.

    Raises:
        ValueError: Another number of rows, or a column that is missing or new; names it.
    """
    domains = space.domains[: space.inputs]
    labels = [_label(domain.name) for domain in domains]
    have = list(frame.columns)
    if len(frame) != len(like):
        raise ValueError(f"{len(frame)} rows for {len(like)}")
    wrong = [label for label in labels if label not in have] or [label for label in have if label not in labels]
    if wrong:
        raise ValueError(f"column {wrong[0]!r} is {'missing' if wrong[0] in labels else 'none of the inputs'}")
    columns = [
        [domain.spelled(_plain(value)) for value in frame[label].tolist()]
        for domain, label in zip(domains, labels, strict=True)
    ]
    rows = list(zip(*columns, strict=True))
    if like.columns is not None:
        return Batch(columns=like.columns, rows=tuple(list(row) for row in rows), keys=like.keys)
    if like.rows and isinstance(like.rows[0], dict):
        names = [domain.name for domain in domains]
        return Batch(columns=None, rows=tuple(dict(zip(names, row, strict=True)) for row in rows))
    return Batch(columns=None, rows=tuple(row[0] for row in rows))


def answers_of(rows: Sequence[Any]) -> "pd.DataFrame | pd.Series[Any]":
    """Return answers as a series where each is one value, else as a data frame with a column for each output."""
    import pandas as pd  # noqa: PLC0415  (as above)

    if rows and all(isinstance(row, dict) for row in rows):
        return pd.DataFrame(list(rows))
    lengths = {len(row) if isinstance(row, list) else -1 for row in rows}
    if len(lengths) == 1 and lengths != {-1}:
        return pd.DataFrame({place: _series([row[place] for row in rows]) for place in range(lengths.pop())})
    return _series(list(rows)).rename(PREDICTION)


def _label(name: str | int | None) -> str | int:
    return INPUT if name is None else name


def _series(values: list[Any]) -> "pd.Series[Any]":
    import pandas as pd  # noqa: PLC0415  (as above)

    plain = all(isinstance(value, (str, int, float)) for value in values)
    # Without this, pandas makes a float of an integer beside a null, and NaN of the null.
    return pd.Series(values) if plain else pd.Series(values, dtype=object)


def _plain(value: Any) -> Any:
    """Return a value as JSON has it: null for what pandas calls missing, Python's own numbers, ISO dates."""
    if hasattr(value, "isoformat"):
        text = value.isoformat()
        return None if text == "NaT" else text
    if hasattr(value, "tolist"):
        return value.tolist()
    if type(value).__name__ in {"NAType", "NaTType"} or (isinstance(value, float) and value != value):  # noqa: PLR0124  (NaN)
        return None
    return value

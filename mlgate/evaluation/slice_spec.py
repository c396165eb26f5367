"""What a slice of the policy says: a column, bins of a column, two columns crossed, or an expression. Pure."""

from collections.abc import Mapping
from dataclasses import dataclass
from itertools import pairwise

from mlgate.evaluation.slice_expression import Condition, SliceSyntaxError, columns_of, parse_expression

MAX_EDGES = 48  # with both outer bins and null, fifty slices


@dataclass(frozen=True, slots=True, kw_only=True)
class ColumnSlice:
    """One slice a value of the column."""

    column: str

    @property
    def name(self) -> str:
        """As in the check id of the whole."""
        return self.column

    @property
    def columns(self) -> tuple[str, ...]:
        """Columns that it reads."""
        return (self.column,)


@dataclass(frozen=True, slots=True, kw_only=True)
class BinSlice:
    """One slice a bin of a numeric column: lower edge included, upper edge excluded.

    Attributes:
        column: Its name.
        edges: Rising. What lies below the first or from the last on is a slice too where rows lie there.
    """

    column: str
    edges: tuple[float, ...]

    @property
    def name(self) -> str:
        """As in the check id of the whole: `age [18, 30, 65]`."""
        return f"{self.column} [{', '.join(number_text(edge) for edge in self.edges)}]"

    @property
    def columns(self) -> tuple[str, ...]:
        """Columns that it reads."""
        return (self.column,)


@dataclass(frozen=True, slots=True, kw_only=True)
class CrossSlice:
    """One slice a pair of values that occurs."""

    first: ColumnSlice | BinSlice
    second: ColumnSlice | BinSlice

    @property
    def name(self) -> str:
        """As in the check id of the whole: `region x plan`."""
        return f"{self.first.name} x {self.second.name}"

    @property
    def columns(self) -> tuple[str, ...]:
        """Columns that it reads."""
        return (self.first.column, self.second.column)


@dataclass(frozen=True, slots=True, kw_only=True)
class ExpressionSlice:
    """The rows of which the condition holds, and only those."""

    text: str
    condition: Condition

    @property
    def name(self) -> str:
        """The expression itself."""
        return self.text

    @property
    def columns(self) -> tuple[str, ...]:
        """Columns that it reads, each once."""
        return tuple(dict.fromkeys(columns_of(self.condition)))


SliceSpec = ColumnSlice | BinSlice | CrossSlice | ExpressionSlice


def parse_slice(value: object) -> SliceSpec:
    """Read one entry of `accuracy.slices`.

    Args:
        value: A column's name, an expression, `{column: …}`, `{column: …, bins: […]}` or `{cross: […, …]}`.

    Raises:
        SliceSyntaxError: It is none of these; says what is wrong and at which character.
    """
    if isinstance(value, str):
        text = value.strip()
        if not text:
            raise SliceSyntaxError("an empty text is no slice")
        condition = parse_expression(text)
        return ColumnSlice(column=text) if condition is None else ExpressionSlice(text=text, condition=condition)
    if isinstance(value, Mapping):
        return _parse_mapping(value)
    raise SliceSyntaxError(
        f"{value!r} is no slice; write a column, an expression, {{column, bins}} or {{cross: [a, b]}}"
    )


def number_text(value: float) -> str:
    """Print a number as its shortest text: 18 and not 18.0."""
    return str(int(value)) if float(value).is_integer() and abs(value) < 2**53 else repr(float(value))


def _parse_mapping(value: Mapping[object, object]) -> SliceSpec:
    if value.keys() == {"cross"}:
        parts = value["cross"]
        if not isinstance(parts, (list, tuple)) or len(parts) != 2:
            raise SliceSyntaxError("cross takes two columns: {cross: [region, plan]}")
        first, second = (_parse_part(part) for part in parts)
        if first.column == second.column:
            raise SliceSyntaxError(f"cross takes two different columns, not {first.column} twice")
        return CrossSlice(first=first, second=second)
    if "column" in value and value.keys() <= {"column", "bins"}:
        return _parse_part(value)
    raise SliceSyntaxError(f"keys {', '.join(map(str, value))} are no slice; there are column, bins and cross")


def _parse_part(value: object) -> ColumnSlice | BinSlice:
    """Read what may be crossed: a column, or bins of one."""
    if isinstance(value, str) and value.strip():
        return ColumnSlice(column=value.strip())
    if not isinstance(value, Mapping) or not value.keys() <= {"column", "bins"}:
        raise SliceSyntaxError(f"{value!r} is no column; only columns and {{column, bins}} can be crossed")
    column = value.get("column")
    if not isinstance(column, str) or not column:
        raise SliceSyntaxError(f"column is {column!r}, and must be the name of a column")
    return BinSlice(column=column, edges=_edges(value["bins"])) if "bins" in value else ColumnSlice(column=column)


def _edges(value: object) -> tuple[float, ...]:
    if not isinstance(value, (list, tuple)) or not value or not all(_is_number(edge) for edge in value):
        raise SliceSyntaxError("bins is a list of numbers: [18, 30, 65]")
    if len(value) > MAX_EDGES:
        raise SliceSyntaxError(f"bins has {len(value)} edges; {MAX_EDGES} are the most")
    edges = tuple(float(edge) for edge in value)
    if any(later <= earlier for earlier, later in pairwise(edges)):
        raise SliceSyntaxError(f"bins must rise: {', '.join(number_text(edge) for edge in edges)} do not")
    return edges


def _is_number(value: object) -> bool:
    # Beyond 1e300 an integer may no longer fit in a float.
    return isinstance(value, (int, float)) and not isinstance(value, bool) and abs(value) < 1e300


def check_distinct(specs: tuple[SliceSpec, ...]) -> None:
    """Refuse two slices that would write the same check ids.

    Raises:
        SliceSyntaxError: A slice stands there twice, or one column is cut into bins twice.
    """
    names = [spec.name for spec in specs]
    double = next((name for name in names if names.count(name) > 1), None)
    if double is not None:
        raise SliceSyntaxError(f"'{double}' stands there twice")
    binned = [spec.column for spec in specs if isinstance(spec, BinSlice)]
    twice = next((column for column in binned if binned.count(column) > 1), None)
    if twice is not None:
        raise SliceSyntaxError(f"column {twice} is cut into bins twice; write one list of edges")

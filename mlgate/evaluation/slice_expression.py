"""Conditions on rows, read from text such as `age >= 65 and region != "EU"`. Pure.

The text is read by Python's parser and never run: only comparisons of columns with values, `and`, `or`, `not`, `in` and
`is None` have a meaning here, and everything else is refused with its place.
"""

import ast
import re
import warnings
from collections.abc import Mapping
from dataclasses import dataclass
from itertools import pairwise

# Bounds what the parser has to read; nesting deeper than this text allows could exhaust its stack.
MAX_EXPRESSION = 500

Scalar = str | int | float | bool


class SliceSyntaxError(ValueError):
    """A slice of the policy can not be read; the text says where and what would be right."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Member:
    """The column's value is one of some values, all of one kind (numbers, texts or truth values)."""

    column: str
    values: tuple[Scalar, ...]


@dataclass(frozen=True, slots=True, kw_only=True)
class Order:
    """The column's value stands in an order (`<`, `<=`, `>`, `>=`) to a number or a text."""

    column: str
    operator: str
    value: Scalar


@dataclass(frozen=True, slots=True, kw_only=True)
class Missing:
    """The column's value is null."""

    column: str


@dataclass(frozen=True, slots=True, kw_only=True)
class Not:
    """The condition does not hold. Of a null it is not known whether it does."""

    condition: "Condition"


@dataclass(frozen=True, slots=True, kw_only=True)
class Every:
    """All conditions hold."""

    conditions: tuple["Condition", ...]


@dataclass(frozen=True, slots=True, kw_only=True)
class Some:
    """At least one condition holds."""

    conditions: tuple["Condition", ...]


Condition = Member | Order | Missing | Not | Every | Some


def parse_expression(text: str) -> Condition | None:
    """Read a condition.

    Returns:
        `None` where the text is the name of a column: it compares nothing.

    Raises:
        SliceSyntaxError: It is neither; says what is wrong and at which character.
    """
    if len(text) > MAX_EXPRESSION:
        raise SliceSyntaxError(f"a slice of {len(text)} characters; {MAX_EXPRESSION} are the most")
    plain, quoted = _without_backticks(text)
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")  # Python warns of odd escapes in texts; here they are only text
            body = ast.parse(plain, mode="eval").body
    except SyntaxError as error:
        if not quoted and not re.search(r"[<>=!]", text):
            return None  # `customer region` is no Python, and a good name
        raise _wrong(text, error.offset or len(text), error.msg) from error
    except ValueError as error:
        raise SliceSyntaxError(f"{text!r} can not be read: {error}") from error
    compares = isinstance(body, (ast.Compare, ast.BoolOp))
    negates = isinstance(body, ast.UnaryOp) and isinstance(body.op, ast.Not)
    return _Reader(text, quoted).condition(body) if compares or negates else None


def columns_of(condition: Condition) -> list[str]:
    """Return the columns that a condition reads, in its order, with repeats."""
    match condition:
        case Not(condition=inner):
            return columns_of(inner)
        case Every(conditions=inner) | Some(conditions=inner):
            return [column for part in inner for column in columns_of(part)]
        case _:
            return [condition.column]


def _without_backticks(text: str) -> tuple[str, dict[str, str]]:
    """Replace `` `customer age` `` outside of texts by a name as long, so that places stay right."""
    names: dict[str, str] = {}

    def replace(match: re.Match[str]) -> str:
        if match["name"] is None:
            return match[0]
        stand_in = f"_q{len(names)}".ljust(len(match[0]), "_")
        names[stand_in] = match["name"]
        return stand_in

    return re.sub(r""""(?:[^"\\]|\\.)*"|'(?:[^'\\]|\\.)*'|`(?P<name>[^`]+)`""", replace, text), names


def _wrong(text: str, character: int, what: str) -> SliceSyntaxError:
    hint = "a column with such a name is written {column: …}, or in backticks inside of an expression"
    return SliceSyntaxError(f"'{text}' at character {character}: {what} ({hint})")


_ORDERS = {ast.Lt: "<", ast.LtE: "<=", ast.Gt: ">", ast.GtE: ">="}
_MIRRORED = {"<": ">", "<=": ">=", ">": "<", ">=": "<="}


@dataclass(frozen=True, slots=True)
class _Reader:
    """Turns Python's tree into a condition."""

    text: str
    quoted: Mapping[str, str]

    def condition(self, node: ast.expr) -> Condition:
        match node:
            case ast.BoolOp(op=ast.And(), values=values):
                return Every(conditions=tuple(map(self.condition, values)))
            case ast.BoolOp(values=values):
                return Some(conditions=tuple(map(self.condition, values)))
            case ast.UnaryOp(op=ast.Not(), operand=operand):
                return Not(condition=self.condition(operand))
            case ast.Compare(left=left, ops=operators, comparators=rights):
                pairs = pairwise([left, *rights])
                tests = [self._test(a, op, b) for (a, b), op in zip(pairs, operators, strict=True)]
                return tests[0] if len(tests) == 1 else Every(conditions=tuple(tests))
            case ast.Name():
                return Member(column=self._column(node), values=(True,))
            case _:
                raise self._at(node, "only comparisons, and, or, not and in have a meaning here")

    def _test(self, left: ast.expr, operator: ast.cmpop, right: ast.expr) -> Condition:
        match operator:
            case ast.In() | ast.NotIn():
                member = Member(column=self._column(left), values=self._values(right))
                return member if isinstance(operator, ast.In) else Not(condition=member)
            case ast.Is() | ast.IsNot():
                if not (isinstance(right, ast.Constant) and right.value is None):
                    raise self._at(right, "only `is None` and `is not None` have a meaning; compare with ==")
                missing = Missing(column=self._column(left))
                return missing if isinstance(operator, ast.Is) else Not(condition=missing)
            case _:
                return self._comparison(left, operator, right)

    def _comparison(self, left: ast.expr, operator: ast.cmpop, right: ast.expr) -> Condition:
        mirrored = isinstance(left, (ast.Constant, ast.UnaryOp))
        name, other = (right, left) if mirrored else (left, right)
        if isinstance(other, ast.Name):
            raise self._at(other, "compare a column with a value; a text stands in quotes")
        column, value = self._column(name), self._value(other)
        order = _ORDERS.get(type(operator))
        if order is not None:
            if isinstance(value, bool):
                raise self._at(other, "True and False have no order; compare with ==")
            return Order(column=column, operator=_MIRRORED[order] if mirrored else order, value=value)
        member = Member(column=column, values=(value,))
        return member if isinstance(operator, ast.Eq) else Not(condition=member)

    def _column(self, node: ast.expr) -> str:
        if not isinstance(node, ast.Name):
            raise self._at(node, "the name of a column is expected here")
        return self.quoted.get(node.id, node.id)

    def _values(self, node: ast.expr) -> tuple[Scalar, ...]:
        if not isinstance(node, (ast.List, ast.Tuple, ast.Set)) or not node.elts:
            raise self._at(node, "`in` takes a list of values: in ['EU', 'US']")
        values = tuple(map(self._value, node.elts))
        if len({_kind(value) for value in values}) > 1:
            raise self._at(node, "values of one list are of one kind: numbers, texts, or True and False")
        return values

    def _value(self, node: ast.expr) -> Scalar:
        match node:
            case ast.Constant(value=bool() | str() as value):
                return value
            case ast.Constant(value=int() | float() as value) if abs(value) < 1e300:
                return value
            case ast.UnaryOp(op=ast.USub(), operand=ast.Constant(value=int() | float() as value)) if (
                not isinstance(value, bool) and abs(value) < 1e300
            ):
                return -value
            case ast.Constant(value=None):
                raise self._at(node, "null is compared with `is None`")
            case _:
                raise self._at(node, "a number, a text in quotes, True or False is expected here")

    def _at(self, node: ast.expr, what: str) -> SliceSyntaxError:
        # Python counts the bytes of each line.
        line = self.text.splitlines()[node.lineno - 1]
        before = sum(len(earlier) + 1 for earlier in self.text.splitlines()[: node.lineno - 1])
        return _wrong(self.text, before + len(line.encode()[: node.col_offset].decode(errors="ignore")) + 1, what)


def _kind(value: Scalar) -> str:
    return "truth" if isinstance(value, bool) else "text" if isinstance(value, str) else "number"

"""The valid inputs of a model: what the signature, the policy and known rows say, and rows drawn from there. Pure."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, replace
from typing import TYPE_CHECKING, Any

import numpy as np

from mlgate.artifacts.signature import Column, Schema, TensorSchema
from mlgate.errors import PolicyError
from mlgate.generation.columns import column_domain
from mlgate.generation.domain import ValueDomain
from mlgate.generation.interface import Mode, Unsupported
from mlgate.generation.known import (
    KnownRows,
    Origin,
    example_batch,
    known_rows,
    labels,
    lengths_seen,
    middle_first,
    tensor_seen,
)
from mlgate.generation.number import UNKNOWN_RANGE
from mlgate.generation.order import Order, ordered
from mlgate.generation.relation import parse_order
from mlgate.generation.rules import TAKES_NO_NULL, check_rule
from mlgate.generation.tensor import TensorDomain
from mlgate.generation.tensors import tensor_domain
from mlgate.scoring.payloads import Batch

if TYPE_CHECKING:
    from mlgate.policy_properties import InputRule

__all__ = ["UNKNOWN_RANGE", "InputSpace", "Mode", "Origin", "Unsupported", "example_batch", "input_space"]

# Modes that a caller demands of a column, also in rows that are made of real ones; the others are manners of drawing.
_DEMANDS = frozenset({Mode.DEFAULT, Mode.NULL})
_MOST_MUTATED = 2


@dataclass(frozen=True, slots=True, kw_only=True)
class InputSpace:
    """The domains of all inputs, in the signature's order, and further ones that are drawn beside them.

    Attributes:
        domains: Inputs first, then what `with_extra` added.
        tensors: The inputs are tensors and no columns.
        inputs: Number of the inputs.
        order: Relations between the domains.
        known: Rows of the evaluation data: half of the rows of a batch are made of them.
        optional: Labels of the columns that a request may leave out.
        request_rows: A request must have this many rows; `None`: any number.
    """

    domains: tuple[ValueDomain, ...]
    tensors: bool
    inputs: int
    order: Order = field(default_factory=Order)
    known: KnownRows = field(default_factory=KnownRows)
    optional: tuple[str | int, ...] = ()
    request_rows: int | None = None

    def domain(self, name: str | int | None) -> ValueDomain:
        """Return the domain called *name*.

        Raises:
            KeyError: There is none.
        """
        return self.domains[_place(self.domains, name)]

    @property
    def cells(self) -> int:
        """Scalars in a row of defaults: how large a request gets."""
        return sum(_count(domain.default) for domain in self.domains[: self.inputs])

    def sample(self, n: int, *, seed: int, modes: Mapping[str | int | None, Mode] | None = None) -> Batch:
        """Draw *n* valid rows; with evaluation data, half of them are real ones with one or two columns changed.

        Such a row stands in `Batch.keys` with the key of the real one; `origin` says what it has of its own.

        Args:
            n: Rows.
            seed: The same seed gives the same rows.
            modes: How to fill each column; default: `MIXED`. `DEFAULT` and `NULL` hold for every row of the column,
                the others only where a row has no real value.
        """
        rng = np.random.default_rng(seed)
        chosen = modes or {}
        columns = self._filled(n, chosen, rng)
        keys = self._made_real(columns, n, chosen, rng)
        if self.order.relations and any(chosen.get(domain.name) is not Mode.DEFAULT for domain in self.domains):
            self.order.arranged(self.domains, columns)
        return self._batch(columns, keys)

    def default_row(self) -> Batch:
        """Return one row with the default in every column."""
        return self._batch([[domain.default] for domain in self.domains], ())

    def holds(self, batch: Batch) -> bool:
        """Whether every row of *batch* is valid, order relations included; *batch* has the extras of this space."""
        try:
            columns = self._columns(batch)
        except (KeyError, TypeError, ValueError, IndexError):
            return False
        valid = all(
            domain.holds(value) for domain, column in zip(self.domains, columns, strict=True) for value in column
        )
        return valid and _aligned(self.domains, columns) and self.order.kept(self.domains, columns)

    def spelled(self, batch: Batch) -> Batch:
        """Return known rows with the values as the domains spell them: a long's 4.0 as 4, all dates in one format."""
        columns = self._columns(batch)
        return self._batch(
            [list(map(domain.spelled, column)) for domain, column in zip(self.domains, columns, strict=True)],
            batch.keys,
        )

    def origin(self, batch: Batch, row: int) -> Origin | None:
        """Return the real row that a row of *batch* was made of, and what was changed; `None` where it is all drawn.

        It is told from the values as they are now: narrowing and simplifying need not keep account.
        """
        key = batch.keys[row] if batch.keys else None
        if key is None or key not in self.known.keys or batch.columns is None:
            return None
        return self.known.origin(key, batch.columns, batch.rows[row])

    def with_extra(
        self, domains: Sequence[ValueDomain], *, stands_for: Mapping[str, str | int] | None = None
    ) -> "InputSpace":
        """Return the space with further columns drawn beside the inputs: what a second request has instead.

        Args:
            domains: Each with a name that no other has (`renamed`).
            stands_for: Name of a further column to the input whose place it takes in the second request: order
                relations of that input then hold for it as well.

        Raises:
            ValueError: A name is taken, or is no text.
        """
        names = [domain.name for domain in (*self.domains, *domains)]
        if len(set(names)) != len(names) or not all(isinstance(domain.name, str) for domain in domains):
            raise ValueError(f"further columns need names of their own: {[domain.name for domain in domains]}")
        wider = (*self.domains, *domains)
        places: dict[int, list[int]] = {}
        for extra, original in (stands_for or {}).items():
            places.setdefault(_place(wider, original), []).append(_place(wider, extra))
        return replace(self, domains=wider, order=self.order.with_stand_ins(places))

    def inputs_of(self, batch: Batch) -> Batch:
        """Return *batch* without the further columns: what is sent."""
        if self.inputs == len(self.domains):
            return batch
        own = self.domains[: self.inputs]
        return _batch(own, [batch.column(domain.name) for domain in own], batch.keys, tensors=self.tensors)

    # Filling

    def _filled(self, n: int, modes: Mapping[str | int | None, Mode], rng: np.random.Generator) -> list[list[Any]]:
        lengths = self._lengths(modes, rng)
        columns = []
        for domain in self.domains:
            mode = modes.get(domain.name, Mode.MIXED)
            if isinstance(domain, TensorDomain) and domain.shared:
                own = [lengths[axis] for axis in domain.open_axes]
                columns.append(domain.fill_sized(n, own, mode, rng))
            else:
                columns.append(domain.fill(n, mode, rng))
        return columns

    def _lengths(self, modes: Mapping[str | int | None, Mode], rng: np.random.Generator) -> dict[int, int]:
        """Draw one length for each axis that tensors share: a mask is as long as its text."""
        lengths: dict[int, int] = {}
        for domain in self.domains:
            if isinstance(domain, TensorDomain) and domain.shared:
                drawn = domain.lengths(rng, modes.get(domain.name, Mode.MIXED))
                lengths = dict(zip(domain.open_axes, drawn, strict=True)) | lengths
        return lengths

    def _made_real(
        self, columns: list[list[Any]], n: int, modes: Mapping[str | int | None, Mode], rng: np.random.Generator
    ) -> tuple[int | str | None, ...]:
        """Put real rows into half of *columns*, but for one or two columns each; return the keys."""
        free = [place for place in range(self.inputs) if modes.get(self.domains[place].name) not in _DEMANDS]
        if not len(self.known) or not free:
            return ()
        half = n // 2 if n > 1 else int(rng.integers(0, 2)) * n
        picks = rng.integers(0, len(self.known), half).tolist()
        # Two places may be the same: then one column is changed.
        kept = rng.integers(0, len(free), (half, _MOST_MUTATED)).tolist()
        keys: list[int | str | None] = [None] * n
        for row, pick, changed in zip(rng.permutation(n)[:half].tolist(), picks, kept, strict=True):
            real = self.known.rows[pick]
            keys[row] = self.known.keys[pick]
            drawn = {free[place] for place in changed}
            for place in free:
                if place not in drawn:
                    columns[place][row] = real[place]
        return tuple(keys)

    # Between columns and batches

    def _batch(self, columns: Sequence[Sequence[Any]], keys: tuple[int | str | None, ...]) -> Batch:
        return _batch(self.domains, columns, keys, tensors=self.tensors)

    def _columns(self, batch: Batch) -> list[list[Any]]:
        return [batch.column(domain.name) for domain in self.domains]


# Key of the only, unnamed tensor in a row that has further columns.
UNNAMED = ""


def _batch(
    domains: Sequence[ValueDomain],
    columns: Sequence[Sequence[Any]],
    keys: tuple[int | str | None, ...],
    *,
    tensors: bool,
) -> Batch:
    names = tuple(domain.name for domain in domains)
    if not tensors:
        rows = tuple(list(row) for row in zip(*columns, strict=True))
        return Batch(columns=tuple(name for name in names if name is not None), rows=rows, keys=keys)
    if names == (None,):
        return Batch(columns=None, rows=tuple(columns[0]))
    keyed = [UNNAMED if name is None else name for name in names]
    return Batch(columns=None, rows=tuple(dict(zip(keyed, row, strict=True)) for row in zip(*columns, strict=True)))


def _place(domains: Sequence[ValueDomain], name: str | int | None) -> int:
    for place, domain in enumerate(domains):
        if domain.name == name:
            return place
    raise KeyError(f"no input and no further column is called {name!r}")


def _aligned(domains: Sequence[ValueDomain], columns: Sequence[Sequence[Any]]) -> bool:
    """Whether the tensors of a request have one shape in all rows, and axes that they share the same length."""
    shared: dict[int, int] = {}
    for domain, column in zip(domains, columns, strict=True):
        if not isinstance(domain, TensorDomain) or not domain.open_axes:
            continue
        shapes = set(lengths_seen(column, len(domain.shape), most=len(column)))
        if len(shapes) != 1:
            return False
        lengths = {axis: next(iter(shapes))[axis] for axis in domain.open_axes}
        if domain.shared:
            if any(shared.get(axis, length) != length for axis, length in lengths.items()):
                return False
            shared |= lengths
    return True


def input_space(
    inputs: Schema | None,
    *,
    rules: Mapping[str, "InputRule"],
    order: Sequence[str] = (),
    known: Sequence[Batch] = (),
    data: Batch | None = None,
    keys: Sequence[int | str] | None = None,
    seed: int = 0,
) -> InputSpace:
    """Return what is valid: policy rules first, else what known rows show with their range widened once, else the type.

    Args:
        inputs: The input signature.
        rules: `properties.inputs` of the policy; columns without names are called by their place.
        order: `properties.order` of the policy.
        known: Rows that are valid, the logged example first: its first row is the default.
        data: Rows of the evaluation data: valid as *known*, and drawn from.
        keys: Their keys; default: their places.
        seed: Of the sample that is taken of *data*.

    Raises:
        Unsupported: No input signature, or a type that JSON can not carry; names it.
        PolicyError: A rule for what is no input, one that does not fit its type, or one that no value meets.
    """
    if inputs is None:
        raise Unsupported("no input signature: nothing says what a valid row is")
    batches = [*known, *([data] if data is not None else [])]
    if isinstance(inputs, TensorSchema):
        return _tensor_space(inputs, rules, order, batches)
    _check_names(rules, [str(label) for label in labels(inputs)])
    drawn = tuple(
        _column(label, column, rules, known, data) for label, column in zip(labels(inputs), inputs.columns, strict=True)
    )
    domains, relations = ordered(drawn, [relation for text in order for relation in parse_order(text)])
    rows = known_rows(data, range(len(data or ())) if keys is None else keys, domains, seed=seed)
    space = InputSpace(
        domains=domains,
        tensors=False,
        inputs=len(domains),
        order=relations,
        optional=tuple(
            label for label, column in zip(labels(inputs), inputs.columns, strict=True) if not column.required
        ),
    )
    return replace(space, known=_in_order(rows, space))


def _column(
    label: str | int, column: Column, rules: Mapping[str, "InputRule"], known: Sequence[Batch], data: Batch | None
) -> ValueDomain:
    rule = rules.get(str(label))
    if rule is not None:
        check_rule(str(label), column.type, rule, required=column.required)
    nullable = not column.required and column.type not in TAKES_NO_NULL
    if rule is not None and rule.nullable is not None:
        nullable = rule.nullable
    examples, rows = _seen(label, known), _seen(label, [] if data is None else [data])
    seen = [*(examples or middle_first(rows)), *rows]
    return column_domain(label, column.type, rule=rule, seen=seen, nullable=nullable)


def _seen(label: str | int, batches: Sequence[Batch]) -> list[Any]:
    found = [value for batch in batches if batch.columns and label in batch.columns for value in batch.column(label)]
    return [value for value in found if value is not None]


def _tensor_space(
    inputs: TensorSchema, rules: Mapping[str, "InputRule"], order: Sequence[str], known: Sequence[Batch]
) -> InputSpace:
    names = [str(place if tensor.name is None else tensor.name) for place, tensor in enumerate(inputs.tensors)]
    _check_names(rules, names)
    if order:
        raise PolicyError(f"properties.order: '{order[0]}' needs columns, and the inputs are tensors")
    fixed = {tensor.shape[0] for tensor in inputs.tensors if tensor.shape and tensor.shape[0] != -1}
    if len(fixed) > 1 or not any(tensor.shape for tensor in inputs.tensors):
        raise Unsupported(
            f"the tensors have no number of rows in common: {[tensor.shape for tensor in inputs.tensors]}"
        )
    domains = tuple(
        tensor_domain(
            tensor,
            key=name,
            rule=rules.get(name),
            seen=tensor_seen(known, tensor.name),
            # A rule of its own says that its axes are not the others'.
            shared=len(names) > 1 and -1 in tensor.shape[1:] and not _has_lengths(rules.get(name)),
        )
        for name, tensor in zip(names, inputs.tensors, strict=True)
    )
    return InputSpace(domains=domains, tensors=True, inputs=len(domains), request_rows=next(iter(fixed), None))


def _has_lengths(rule: "InputRule | None") -> bool:
    return rule is not None and (rule.min_length, rule.max_length) != (None, None)


def _check_names(rules: Mapping[str, "InputRule"], names: Sequence[str]) -> None:
    strangers = sorted(set(rules) - set(names))
    if strangers:
        have = ", ".join(names[:20])
        raise PolicyError(
            f"properties.inputs names '{strangers[0]}', which is no input column", hint=f"columns: {have}"
        )


def _in_order(rows: KnownRows, space: InputSpace) -> KnownRows:
    kept = [place for place, row in enumerate(rows.rows) if space.order.kept(space.domains, [[value] for value in row])]
    return replace(rows, rows=tuple(rows.rows[place] for place in kept), keys=tuple(rows.keys[place] for place in kept))


def _count(value: Any) -> int:
    if isinstance(value, list):
        return sum(map(_count, value))
    return sum(map(_count, value.values())) if isinstance(value, dict) else 1

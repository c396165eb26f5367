"""The search for weak slices: values, and pairs of values, on which a model does worse than elsewhere. Pure.

Advisory, and never a gate: what is found on the data that it is judged by is a question, not an answer. Were the loss a
row has nothing to do with the columns, the rows of a slice would be a draw from all rows without replacement. For a loss
of 0 or 1, or one that most rows share, the chance of so many wrong rows is then Fisher's, the tail of the hypergeometric
distribution, exact at any count; any other loss is replaced by its rank, and the sum of the ranks is normal to good approximation from
`MIN_ROWS` rows on (Wilcoxon, with the variance of the mid-ranks at hand). Over all slices: Benjamini and Hochberg. On
data without any weak slice the share of runs that report one is simulated in the tests.
"""

from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from itertools import combinations
from typing import Any

import numpy as np
from numpy.typing import NDArray
from scipy import special

from mlgate.evaluation.sample import Sample
from mlgate.evaluation.slice_spec import BinSlice, ColumnSlice
from mlgate.evaluation.slices import Column, Partition, SliceValue, join_values, partition
from mlgate.statistics.arguments import Mask, Vector
from mlgate.statistics.interval import Undefined
from mlgate.statistics.multiplicity import benjamini_hochberg

MIN_ROWS = 100
# At 5 %, 5.0 % of 2 500 simulated runs without any weak slice reported one: nothing would be left for the approximation.
FALSE_DISCOVERIES = 0.04
# A column of numbers with more values than can be named is cut at these shares of its rows.
QUANTILES = (0.2, 0.4, 0.6, 0.8)
# Pairs grow with the square: 190 of them from 20 columns.
MAX_COLUMNS = 20
MAX_REPORTED = 10


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class RowLoss:
    """What each row costs.

    Attributes:
        kind: In words.
        values: Shape (n,), >= 0; more is worse.
    """

    kind: str
    values: Vector


@dataclass(frozen=True, slots=True, kw_only=True)
class WeakSlice:
    """One slice that is worse than the rest.

    Attributes:
        values: One or two.
        rows: In it.
        loss: Mean loss of its rows.
        overall: Mean loss of all rows.
        p: One-sided, unadjusted.
        adjusted: After Benjamini and Hochberg.
    """

    values: tuple[SliceValue, ...]
    rows: int
    loss: float
    overall: float
    p: float
    adjusted: float

    @property
    def name(self) -> str:
        """For people: `region=EU, plan=pro`."""
        return ", ".join(value.name for value in self.values)

    def to_json(self) -> dict[str, Any]:
        """Return it for a finding's details."""
        params = self.values[0].params if len(self.values) == 1 else join_values(*self.values).params
        return {
            "slice": dict(params),
            "n": self.rows,
            "value": self.loss,
            "overall": self.overall,
            "p": self.p,
            "p_adjusted": self.adjusted,
        }


@dataclass(frozen=True, slots=True, kw_only=True)
class WeakSearch:
    """What was found.

    Attributes:
        found: At most `MAX_REPORTED`, the most certain first.
        searched: Slices that had enough rows to be looked at.
        skipped: Columns that were not looked at.
        rows: Rows that were looked at: one a group where rows are not independent.
        kind: Of the loss.
    """

    found: tuple[WeakSlice, ...]
    searched: int
    skipped: tuple[str, ...]
    rows: int
    kind: str

    @property
    def sentence(self) -> str:
        """What was found, in words, and that it was found on this very data."""
        if not self.found:
            return f"no weak slice among {self.searched} looked at (n = {self.rows})"
        worst = self.found[0]
        more = f" and {len(self.found) - 1} more" if len(self.found) > 1 else ""
        return (
            f"{worst.name}: {self.kind} {worst.loss:.4g} on {worst.rows} rows, {worst.overall:.4g} on all{more}; "
            "found on this data, so look at fresh rows before believing it"
        )

    def to_json(self) -> dict[str, Any]:
        """Return it for the details of any finding; it is advice and gates nothing."""
        return {
            "weak_slices": [weak.to_json() for weak in self.found],
            "weak_slices_search": {
                "found_on_this_data": True,
                "searched": self.searched,
                "skipped": list(self.skipped),
                "rows": self.rows,
                "loss": self.kind,
                "sentence": self.sentence,
            },
        }


def row_loss(sample: Sample) -> RowLoss | None:
    """Return a loss a row: wrong or right, the absolute error, or the squared error of a probability."""
    if sample.labels is not None:
        return RowLoss(kind="share of wrong answers", values=(sample.labels != sample.truth).astype(np.float64))
    if sample.numbers is not None:
        return RowLoss(kind="mean absolute error", values=np.abs(sample.numbers - sample.truth).astype(np.float64))
    score = sample.score
    if score is None or sample.positive is None or not len(score) or score.min() < 0 or score.max() > 1:
        return None
    return RowLoss(
        kind="mean squared error of the score",
        values=((score - (sample.truth == sample.positive)) ** 2).astype(np.float64),
    )


def weak_slices(
    loss: Vector,
    columns: Mapping[str, Column],
    *,
    kind: str = "mean loss",
    group: NDArray[np.signedinteger[Any]] | None = None,
    seed: int = 0,
) -> WeakSearch:
    """Search single columns and pairs of columns.

    Args:
        loss: A row's loss, shape (n,), finite; more is worse.
        columns: What may explain it, by name; the first `MAX_COLUMNS` are looked at.
        kind: What the loss is, in words.
        group: Rows of one group are not independent: one row of each, chosen at random, is looked at.
        seed: Of that choice.

    Returns:
        The slices whose adjusted p-value is at most `FALSE_DISCOVERIES`. A pair of which one value alone is the more
        certain finding is left out.
    """
    if group is not None:
        rows = _one_a_group(group, seed)
        loss = loss[rows]
        columns = {name: Column(codes=column.codes[rows], values=column.values) for name, column in columns.items()}
    singles, skipped = _partitions(columns)
    losses = _Losses.of(loss)
    found = [slice_ for part in _tables(singles) for slice_ in _candidates(part, loss, losses)]
    adjusted = benjamini_hochberg([p for *_, p in found])
    weak = [
        WeakSlice(values=values, rows=n, loss=mean, overall=float(loss.mean()), p=p, adjusted=float(share))
        for (values, n, mean, p), share in zip(found, adjusted, strict=True)
        if share <= FALSE_DISCOVERIES
    ]
    return WeakSearch(
        found=tuple(_without_repeats(weak)[:MAX_REPORTED]),
        searched=len(found),
        skipped=tuple(skipped),
        rows=len(loss),
        kind=kind,
    )


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class _Losses:
    """What a draw of some of the rows is held against.

    Attributes:
        wrong: Rows that lose more than the least, shape (n,).
        ranks: Mid-ranks of the losses, shape (n,); `None` where it is the rows above that are counted.
    """

    wrong: Mask
    ranks: Vector | None

    @classmethod
    def of(cls, loss: Vector) -> "_Losses":
        # Where most rows lose alike, nothing but the others tells slices apart, and they are few: a matter of counts.
        from scipy import stats  # noqa: PLC0415 - takes 0.3 s and 30 MB; most runs search for nothing

        worse = loss > loss.min(initial=np.inf)
        binary = 2 * int(worse.sum()) <= len(loss) or bool(np.isin(loss, (0.0, 1.0)).all())
        return cls(wrong=worse, ranks=None if binary else stats.rankdata(loss))

    def p_values(self, codes: NDArray[np.int64], counts: Vector) -> Vector:
        """Give each slice the chance of a draw of its size that is as bad."""
        n = len(self.wrong)
        if self.ranks is None:
            from scipy import stats  # noqa: PLC0415 - as above

            wrong = np.bincount(codes[self.wrong], minlength=counts.size)
            return np.asarray(stats.hypergeom.sf(wrong - 1, n, int(self.wrong.sum()), counts), dtype=np.float64)
        sums = np.bincount(codes, weights=self.ranks, minlength=counts.size)
        variance = counts * (n - counts) / max(1, n - 1) * self.ranks.var()
        with np.errstate(divide="ignore", invalid="ignore"):
            z = np.where(variance > 0, (sums - counts * self.ranks.mean()) / np.sqrt(variance), 0.0)
        return np.asarray(special.ndtr(-z), dtype=np.float64)


def _partitions(columns: Mapping[str, Column]) -> tuple[list[Partition], list[str]]:
    """Cut each column into slices, and name those that can not be."""
    singles, skipped = [], list(columns)[MAX_COLUMNS:]
    for name in list(columns)[:MAX_COLUMNS]:
        found = partition(ColumnSlice(column=name), columns)
        if isinstance(found, Undefined) and columns[name].kind == "number":
            rows = columns[name].spread(np.asarray(columns[name].values, dtype=np.float64), np.nan)
            edges = np.unique(np.nanquantile(rows, QUANTILES))
            found = partition(BinSlice(column=name, edges=tuple(edges.tolist())), columns)
        if isinstance(found, Undefined):
            skipped.append(name)
        else:
            singles.append(found)
    return singles, skipped


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class _Table:
    """Slices of one column or of a pair: codes a row, and the values they stand for."""

    codes: NDArray[np.int64]
    first: Partition
    second: Partition | None = None

    @property
    def size(self) -> int:
        return len(self.first.values) * (1 if self.second is None else len(self.second.values))

    def values(self, code: int) -> tuple[SliceValue, ...]:
        if self.second is None:
            return (self.first.values[code],)
        width = len(self.second.values)
        return self.first.values[code // width], self.second.values[code % width]


def _tables(singles: list[Partition]) -> Iterator[_Table]:
    """Yield the columns and their pairs, one at a time: all of them at once would not fit beside a large data set."""
    for single in singles:
        yield _Table(codes=single.codes.astype(np.int64), first=single)
    for first, second in combinations(singles, 2):
        codes = first.codes.astype(np.int64) * len(second.values) + second.codes
        yield _Table(codes=codes, first=first, second=second)


def _candidates(table: _Table, loss: Vector, losses: _Losses) -> list[tuple[tuple[SliceValue, ...], int, float, float]]:
    """Return values, rows, loss and p-value of each slice with enough rows in it and outside of it."""
    n = len(loss)
    counts = np.bincount(table.codes, minlength=table.size)
    sums = np.bincount(table.codes, weights=loss, minlength=table.size)
    p = losses.p_values(table.codes, counts.astype(np.float64))
    return [
        (table.values(code), int(counts[code]), float(sums[code] / counts[code]), float(p[code]))
        for code in np.flatnonzero((counts >= MIN_ROWS) & (n - counts >= MIN_ROWS)).tolist()
    ]


def _without_repeats(weak: list[WeakSlice]) -> list[WeakSlice]:
    """Leave out a pair of which one value alone is the more certain finding; the most certain first."""
    kept: list[WeakSlice] = []
    for slice_ in sorted(weak, key=lambda found: (found.p, len(found.values), found.name)):
        alone = [other.values[0] for other in kept if len(other.values) == 1]
        if len(slice_.values) == 1 or not any(value in alone for value in slice_.values):
            kept.append(slice_)
    return kept


def _one_a_group(group: NDArray[np.signedinteger[Any]], seed: int) -> NDArray[np.intp]:
    order = np.random.default_rng(seed).permutation(len(group))
    _, first = np.unique(group[order], return_index=True)
    return np.sort(order[first])

"""Comparison: the challenger against its floors, and against the champion on the same rows and slices. Pure."""

from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from functools import cached_property

from mlgate.evaluation.gaps import judge_gap
from mlgate.evaluation.judgement.floors import judge_floor
from mlgate.evaluation.judgement.measure import Measured, measure
from mlgate.evaluation.judgement.regression import Asked, judge
from mlgate.evaluation.judgement.sides import NoChampion, absent, challenger_problem, champion_problem
from mlgate.evaluation.judgement.summary import summarise_slices
from mlgate.evaluation.metrics.interface import Metric
from mlgate.evaluation.sample import Sample
from mlgate.evaluation.slice_spec import ColumnSlice, SliceSpec, parse_slice
from mlgate.evaluation.slices import Column, Partition, SliceValue, partition
from mlgate.evaluation.weak_slices import WeakSearch, row_loss, weak_slices
from mlgate.evidence import Cause, CheckResult, Finding, Outcome
from mlgate.policy_accuracy import Accuracy
from mlgate.statistics.interval import Interval, Undefined
from mlgate.statistics.multiplicity import step_down

_ALL = ("", 0)  # the place of all rows among the slices


@dataclass(frozen=True, slots=True, kw_only=True)
class _Place:
    """One comparison: which metric, on which slice."""

    metric: str
    spec: str = ""
    value: int = 0


@dataclass(frozen=True, kw_only=True)
class Comparison:
    """Answers of both models on the evaluation rows, and what the policy asks of them.

    Attributes:
        accuracy: The policy's section.
        metrics: Every metric that the section names, by that name.
        challenger: The version under test.
        champion: On the same rows, or why there are no answers of one.
        context: Columns that slices, gaps and the search for weak slices read, by name, on the same rows.
        seed: Of every resampling.
        partitions: Slices that are cut already, by name; the rest is cut from *context*.
    """

    accuracy: Accuracy
    metrics: Mapping[str, Metric]
    challenger: Sample
    champion: Sample | NoChampion
    context: Mapping[str, Column] = field(default_factory=dict)
    seed: int = 0
    partitions: Mapping[str, Partition | Undefined] = field(default_factory=dict)

    def floor(self, metric: str) -> Finding:
        """Judge one metric against its `min` and `max`: the confidence bound must be on the right side."""
        spec = self.accuracy.metrics[metric]
        confidence = self.accuracy.confidence
        return judge_floor(
            self.metrics[metric], metric, self.challenger, low=spec.min, high=spec.max, confidence=confidence, seed=self.seed
        )  # fmt: skip

    def regression(self, metric: str) -> Finding:
        """Judge the loss against the champion: non-inferiority with the policy's margin, three-valued.

        Passing is judged comparison by comparison, since all must pass; failing is corrected for the number of
        comparisons, slices included (Holm 1979), since each is a chance to fail a healthy model.
        """
        return self._judged(_Place(metric=metric))

    def slice_checks(self, name: str) -> tuple[CheckResult, ...]:
        """Judge every value of one declared slice by every metric that has a margin.

        Args:
            name: Of the slice, as `SliceSpec.name` says it.

        Returns:
            One result a value and metric, with its check id; none where the rows can not be sliced so.
        """
        found = self._partitions[name]
        if isinstance(found, Undefined):
            return ()
        return tuple(
            CheckResult(
                id="accuracy.slice",
                params={**value.params, "metric": metric},
                finding=self._judged(_Place(metric=metric, spec=name, value=index)),
            )
            for index, value in enumerate(found.values)
            for metric in self._margins
        )

    def slices(self, name: str) -> Finding:
        """Judge one declared slice as a whole: every value found in the data was judged, and the worst is its outcome.

        The gate expects this check by name. The values are known from the data only, so that without it a slice that
        was lost on the way would not be missed.
        """
        return summarise_slices(name, self._partitions[name], self.slice_checks(name))

    def gap(self, column: str, metric: str) -> Finding:
        """Judge the challenger's gap between the best and the worst value of a column."""
        spec = next((gap for gap in self.accuracy.gaps if (gap.column, gap.metric) == (column, metric)), None)
        if spec is None:
            raise ValueError(f"no gap of {metric} over {column} in the policy")
        problem = challenger_problem(self.challenger, self.metrics[metric].facts, limit=spec.max)
        if problem is not None:
            return problem
        found = self._cut(ColumnSlice(column=column))
        if isinstance(found, Undefined):
            reason = f"gap of {metric} over {column}: {found.reason}"
            advice = "name another column, or one with fewer values"
            return Finding(
                outcome=Outcome.INCONCLUSIVE, cause=Cause.HARNESS, reason=reason, limit=spec.max, advice=advice
            )
        return judge_gap(
            self.metrics[metric], metric, self.challenger, found,
            limit=spec.max, confidence=self.accuracy.confidence, seed=self.seed,
        )  # fmt: skip

    def weak_slices(self) -> WeakSearch | Undefined:
        """Search for slices on which the challenger is worse than elsewhere. Advisory: found on the data it judges."""
        loss = row_loss(self.challenger)
        if loss is None:
            return Undefined(reason="the answers give no loss a row", n=len(self.challenger))
        return weak_slices(loss.values, self.context, kind=loss.kind, group=self.challenger.group, seed=self.seed)

    # What is measured once, and Holm's steps over all of it.

    @property
    def _margins(self) -> dict[str, float]:
        metrics = sorted(self.accuracy.metrics.items())
        return {metric: spec.margin for metric, spec in metrics if spec.margin is not None}

    @cached_property
    def _specs(self) -> dict[str, SliceSpec]:
        return {spec.name: spec for spec in map(parse_slice, self.accuracy.slices)}

    @cached_property
    def _partitions(self) -> dict[str, Partition | Undefined]:
        return {name: self._cut(spec) for name, spec in self._specs.items()}

    def _cut(self, spec: SliceSpec) -> Partition | Undefined:
        ready = self.partitions.get(spec.name)
        return partition(spec, self.context) if ready is None else ready

    @cached_property
    def _problems(self) -> dict[str, Finding | None]:
        """What forbids the comparison by a metric, on all rows and so on every slice."""
        found: dict[str, Finding | None] = {}
        for metric, margin in self._margins.items():
            facts = self.metrics[metric].facts
            if isinstance(self.champion, NoChampion):
                found[metric] = absent(self.champion, limit=-margin)
                continue
            ours = challenger_problem(self.challenger, facts, limit=-margin)
            found[metric] = ours or champion_problem(self.challenger, self.champion, facts, limit=-margin)
        return found

    @cached_property
    def _measured(self) -> dict[_Place, Measured]:
        return dict(self._measurements())

    def _measurements(self) -> Iterator[tuple[_Place, Measured]]:
        """Measure all comparisons, one slice's rows at a time."""
        for spec, index, _ in self._places():
            ours, theirs = self._rows(spec, index)
            for metric in self._comparable:
                place = _Place(metric=metric, spec=spec, value=index)
                confidence = self.accuracy.confidence
                yield place, measure(self.metrics[metric], metric, ours, theirs, confidence=confidence, seed=self.seed)

    @property
    def _comparable(self) -> list[str]:
        return [metric for metric, problem in self._problems.items() if problem is None]

    def _places(self) -> Iterator[tuple[str, int, SliceValue | None]]:
        yield *_ALL, None
        for spec, found in self._partitions.items():
            if isinstance(found, Partition):
                yield from ((spec, index, value) for index, value in enumerate(found.values))

    def _rows(self, spec: str, index: int) -> tuple[Sample, Sample]:
        if isinstance(self.champion, NoChampion):
            raise TypeError("no champion to compare with")
        found = self._partitions[spec] if spec else None
        if not isinstance(found, Partition):
            return self.challenger, self.champion
        rows = found.rows(index)
        return self.challenger.take(rows), self.champion.take(rows)

    @cached_property
    def _lost(self) -> tuple[frozenset[_Place], float]:
        """What is lost at Holm's confidence, and the confidence at which the rest is not.

        The family is every comparison that the policy asks for, also one that is not defined: it could have failed.
        """
        found = self._measured.items()
        candidates = [place for place, measured in found if self._below(place, measured.difference)]
        family = len(list(self._places())) * len(self._margins)
        confidence = self.accuracy.confidence
        return step_down(
            candidates, lambda place, level: self._below(place, self._at(place, level)), family=family, confidence=confidence
        )  # fmt: skip

    def _below(self, place: _Place, difference: Interval | Undefined) -> bool:
        return isinstance(difference, Interval) and difference.upper < -self._margins[place.metric]

    def _at(self, place: _Place, confidence: float) -> Interval | Undefined:
        ours, theirs = self._rows(place.spec, place.value)
        return self.metrics[place.metric].difference(ours, theirs, confidence=confidence, seed=self.seed)

    def _judged(self, place: _Place) -> Finding:
        margin = self._margins.get(place.metric)
        if margin is None:
            raise ValueError(f"{place.metric} has no margin in the policy")
        problem = self._problems[place.metric]
        if problem is not None:
            return problem
        measured = self._measured[place]
        lost, level = self._lost
        # Only where the margin is lost without the correction does it matter what is left with it.
        corrected = self._at(place, level) if self._below(place, measured.difference) else None
        found = self._partitions[place.spec] if place.spec else None
        asked = Asked(
            margin=margin,
            where=found.values[place.value].name if isinstance(found, Partition) else "",
            seed=self.seed,
            failing_confidence=level,
            corrected=corrected if isinstance(corrected, Interval) else None,
            lost=place in lost,
            typical=self._measured[_Place(metric=place.metric)].difference,
        )
        return judge(measured, asked)

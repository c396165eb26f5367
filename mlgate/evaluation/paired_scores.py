"""Both models' answers on the same rows, and every accuracy check of the policy judged by them. Pure.

The suite judges by this, and so does `mlgate accuracy recompute` from the stored scores: one way to one verdict.
"""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field, replace
from functools import cached_property

from mlgate.check_id import parse_check_id
from mlgate.evaluation.comparison import Comparison
from mlgate.evaluation.judgement.sides import NoChampion
from mlgate.evaluation.metric_names import Need
from mlgate.evaluation.metrics.interface import Metric
from mlgate.evaluation.scored import ScoredModel
from mlgate.evaluation.slice_spec import ColumnSlice
from mlgate.evaluation.slices import Column, Partition, partition
from mlgate.evidence import Cause, CheckResult, Finding, Outcome
from mlgate.policy_accuracy import Accuracy
from mlgate.statistics.interval import Undefined

# Details that say how the run went, and not what follows from the scores: a recomputation has none of them.
RUN_ONLY = frozenset({"scores", "scoring", "tables", "weak_slices", "weak_slices_search", "data_warnings", "warning"})

Slices = Mapping[str, Partition | Undefined]


def cut(accuracy: Accuracy, context: Mapping[str, Column]) -> dict[str, Partition | Undefined]:
    """Cut the rows into every slice of the policy: by its name, and for a gap by the column's."""
    specs = [*accuracy.slice_specs, *(ColumnSlice(column=gap.column) for gap in accuracy.gaps)]
    return {spec.name: partition(spec, context) for spec in specs}


@dataclass(frozen=True, kw_only=True)
class PairedScores:
    """Answers of the challenger, and of the champion where there is one.

    Attributes:
        accuracy: The policy's section.
        metrics: Every metric that it names, by that name.
        challenger: The version under test.
        champion: On the same rows, or why there are no answers of one.
        slices: The rows of every slice.
        seed: Of every resampling.
        context: Columns for the search for weak slices; empty where the answers come from a file.
    """

    accuracy: Accuracy
    metrics: Mapping[str, Metric]
    challenger: ScoredModel
    champion: ScoredModel | NoChampion
    slices: Slices = field(default_factory=dict)
    seed: int = 0
    context: Mapping[str, Column] = field(default_factory=dict)

    @cached_property
    def comparison(self) -> Comparison:
        """The judgement of all of it."""
        champion = self.champion
        return Comparison(
            accuracy=self.accuracy,
            metrics=self.metrics,
            challenger=self.challenger.sample,
            champion=champion if isinstance(champion, NoChampion) else champion.sample,
            context=self.context,
            partitions=self.slices,
            seed=self.seed,
        )

    def judge(self, key: str) -> tuple[Finding, tuple[CheckResult, ...]]:
        """Judge one check that the policy expects.

        Args:
            key: Its id, as `accuracy.floor[metric=f1]`.

        Returns:
            The finding, and the checks that are a part of it: the values of a slice.

        Raises:
            ValueError: No check of this suite.
        """
        check, params = parse_check_id(key)
        match check:
            case "accuracy.floor":
                return self._of_metric(params["metric"], self.comparison.floor), ()
            case "accuracy.regression":
                return self._of_metric(params["metric"], self.comparison.regression), ()
            case "accuracy.gap":
                return self._of_metric(
                    params["metric"], lambda metric: self.comparison.gap(params["column"], metric)
                ), ()
            case "accuracy.slices":
                return self._slices(params["slice"])
            case _:
                raise ValueError(f"{key} is no check of accuracy")

    def judge_all(self, keys: Sequence[str]) -> list[CheckResult]:
        """Judge the checks *keys*, each followed by its parts."""
        found = []
        for key in keys:
            check, params = parse_check_id(key)
            finding, parts = self.judge(key)
            found += [CheckResult(id=check, params=params, finding=finding), *parts]
        return found

    def _slices(self, name: str) -> tuple[Finding, tuple[CheckResult, ...]]:
        parts = tuple(
            replace(part, finding=self._checked(part.params["metric"], part.finding))
            for part in self.comparison.slice_checks(name)
        )
        return self.comparison.slices(name), parts

    def _of_metric(self, metric: str, judge: Callable[[str], Finding]) -> Finding:
        return self._errored(metric) if self._unread(metric) else self._with_unknown(judge(metric), metric)

    def _checked(self, metric: str, finding: Finding) -> Finding:
        return self._of_metric(metric, lambda _: finding)

    def _unread(self, metric: str) -> str | None:
        return self.challenger.problem_of(self.metrics[metric].facts.needs)

    def _errored(self, metric: str) -> Finding:
        return Finding(
            outcome=Outcome.ERRORED,
            cause=Cause.HARNESS,
            reason=f"{metric}: the output mapping does not fit the answers: {self._unread(metric)}",
            advice="accuracy.prediction, score and classes in the policy say which output is which",
            details={"metric": metric},
        )

    def _with_unknown(self, finding: Finding, metric: str) -> Finding:
        """Add the labels that are no class, where they count as errors of the metric."""
        scored = self.challenger
        if not scored.unknown_rows or Need.LABELS not in self.metrics[metric].facts.needs:
            return finding
        unknown = {"rows": scored.unknown_rows, "labels": dict(scored.unknown)}
        return replace(finding, details={**finding.details, "unknown_labels": unknown})


def same_judgement(one: CheckResult, other: CheckResult) -> bool:
    """Whether two results say the same, but for what only a run knows."""
    return one.key == other.key and _judged(one.finding) == _judged(other.finding)


def _judged(finding: Finding) -> Finding:
    return replace(finding, details={name: part for name, part in finding.details.items() if name not in RUN_ONLY})

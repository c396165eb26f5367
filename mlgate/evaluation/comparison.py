"""Comparison: the challenger against its floors, and against the champion on the same rows. Pure."""

from dataclasses import dataclass
from functools import cached_property
from typing import Any

from mlgate.evaluation.old_metrics import LOSSES, Scored, metric_difference, metric_interval
from mlgate.evaluation.outputs import UnmappedOutput
from mlgate.evaluation.rows import EvaluationData
from mlgate.evidence import Cause, Finding, Outcome
from mlgate.policy import Accuracy
from mlgate.quantities import format_number, format_share
from mlgate.statistics.interval import Interval, Undefined
from mlgate.statistics.power import rows_needed


@dataclass(frozen=True, kw_only=True)
class Comparison:
    """Answers of both models on the evaluation rows, and what the policy asks of them.

    Attributes:
        accuracy: The policy's section.
        data: Rows and truth.
        challenger: The version under test.
        champion: `None` where there is none, or where *champion_problem* says why it could not be scored.
        champion_problem: Empty where the champion was scored.
        seed: For the bootstraps.
    """

    accuracy: Accuracy
    data: EvaluationData
    challenger: Scored
    champion: Scored | None
    champion_problem: str = ""
    seed: int = 0

    def floor(self, metric: str) -> Finding:
        """Judge one metric against its `min` or `max`: the confidence bound must be on the right side."""
        spec = self.accuracy.metrics[metric]
        less_is_better = metric in LOSSES
        limit = spec.max if less_is_better else spec.min
        if limit is None:
            raise ValueError(f"{metric} has no floor in the policy")
        try:
            interval = self._interval(metric, self.challenger)
        except UnmappedOutput as error:
            return self._unmapped(metric, error)
        if isinstance(interval, Undefined):
            return self._undefined(metric, interval, limit=limit)
        passed = interval.upper <= limit if less_is_better else interval.lower >= limit
        failed = interval.lower > limit if less_is_better else interval.upper < limit
        sign = "≤" if less_is_better else "≥"
        reason = f"{metric} {format_number(interval.estimate)}, {self._bounds(interval)}; must be {sign} {format_number(limit)}"
        return Finding(
            outcome=Outcome.PASSED if passed else Outcome.FAILED if failed else Outcome.INCONCLUSIVE,
            cause=None if passed else Cause.MODEL,
            reason=f"{reason} (n = {format_number(interval.n)})",
            measured=interval.estimate,
            limit=limit,
            n=interval.n,
            interval=(interval.lower, interval.upper),
            confidence=interval.confidence,
            advice="" if passed else "retrain or correct the model" if failed else "more evaluation rows would decide",
            details={"metric": metric, "method": interval.method, "challenger": _numbers(interval)},
        )

    def regression(self, metric: str) -> Finding:
        """Judge the loss against the champion: non-inferiority with the policy's margin, three-valued.

        Passing is judged comparison by comparison, since all must pass; failing is corrected for the number of
        comparisons (Holm 1979), since each is a chance to fail a healthy model.
        """
        margin = self.accuracy.metrics[metric].margin
        if margin is None:
            raise ValueError(f"{metric} has no margin in the policy")
        if self.champion is None:
            return Finding(
                outcome=Outcome.INCONCLUSIVE,
                cause=Cause.ENVIRONMENT,
                reason=f"the champion could not be scored: {self.champion_problem or 'unknown'}",
                limit=-margin,
                advice="repair or move the champion alias; --mlgate-champion names another one",
            )
        difference = self._differences[metric]
        if isinstance(difference, UnmappedOutput):
            return self._unmapped(metric, difference)
        if isinstance(difference, Undefined):
            return self._undefined(metric, difference, limit=-margin)
        return self._judge_difference(metric, margin, difference)

    def _judge_difference(self, metric: str, margin: float, difference: Interval) -> Finding:
        passed = difference.lower > -margin
        failed = not passed and metric in self._lost_by_holm
        details: dict[str, Any] = {
            "metric": metric,
            "method": difference.method,
            "margin": margin,
            "difference": _numbers(difference),
            **self._both(metric),
        }
        advice = ""
        if failed:
            advice = "the challenger is worse by more than the margin on the same rows: do not promote; retrain"
        elif not passed:
            needed = self._rows_needed(difference, margin)
            details["rows_needed"] = needed
            advice = f"about {format_number(needed)} rows would decide" if needed else "more rows would decide"
        reason = (
            f"{metric}: challenger - champion {difference.estimate:+.4f}, {self._bounds(difference)}; "
            f"must be > {-margin:g} (n = {format_number(difference.n)} paired rows)"
        )
        return Finding(
            outcome=Outcome.PASSED if passed else Outcome.FAILED if failed else Outcome.INCONCLUSIVE,
            cause=None if passed else Cause.MODEL,
            reason=reason,
            measured=difference.estimate,
            limit=-margin,
            n=difference.n,
            interval=(difference.lower, difference.upper),
            confidence=difference.confidence,
            advice=advice,
            details=details,
        )

    @cached_property
    def _differences(self) -> dict[str, Interval | Undefined | UnmappedOutput]:
        return {metric: self._difference(metric, self.accuracy.confidence) for metric in self._margins}

    @cached_property
    def _lost_by_holm(self) -> frozenset[str]:
        """Metrics whose upper bound is below -margin at Holm's confidence: step down from all comparisons to one."""
        open_ = {metric for metric, found in self._differences.items() if isinstance(found, Interval)}
        lost: set[str] = set()
        while open_:
            level = 1 - (1 - self.accuracy.confidence) / len(open_)
            rejected = {metric for metric in open_ if self._below_margin(metric, level)}
            if not rejected:
                break
            lost |= rejected
            open_ -= rejected
        return frozenset(lost)

    @property
    def _margins(self) -> dict[str, float]:
        metrics = sorted(self.accuracy.metrics.items())
        return {metric: spec.margin for metric, spec in metrics if spec.margin is not None}

    def _below_margin(self, metric: str, confidence: float) -> bool:
        found = self._difference(metric, confidence)
        return isinstance(found, Interval) and found.upper < -self._margins[metric]

    def _difference(self, metric: str, confidence: float) -> Interval | Undefined | UnmappedOutput:
        if self.champion is None:
            return Undefined(reason="no champion", n=0)
        try:
            return metric_difference(
                metric, self.data.labels, self.challenger, self.champion, confidence=confidence, seed=self.seed
            )
        except UnmappedOutput as error:
            return error

    def _interval(self, metric: str, scored: Scored) -> Interval | Undefined:
        return metric_interval(metric, self.data.labels, scored, confidence=self.accuracy.confidence, seed=self.seed)

    def _both(self, metric: str) -> dict[str, Any]:
        sides = {"challenger": self.challenger, "champion": self.champion}
        found = {side: self._interval(metric, scored) for side, scored in sides.items() if scored is not None}
        return {side: _numbers(interval) for side, interval in found.items() if isinstance(interval, Interval)}

    def _rows_needed(self, difference: Interval, margin: float) -> int | None:
        if not difference.standard_error or margin + difference.estimate <= 0:
            return None
        # The room is what is left of the margin at the loss seen: a model at the margin itself needs endless rows.
        room = margin + min(0.0, difference.estimate)
        return rows_needed(difference.standard_error, difference.n, room, self.accuracy.confidence)

    def _bounds(self, interval: Interval) -> str:
        return f"{format_share(interval.confidence)} bounds [{format_number(interval.lower)}, {format_number(interval.upper)}]"

    def _undefined(self, metric: str, undefined: Undefined, *, limit: float) -> Finding:
        return Finding(
            outcome=Outcome.INCONCLUSIVE,
            cause=Cause.HARNESS,
            reason=f"{metric}: {undefined.reason}",
            limit=limit,
            n=undefined.n,
            advice="more evaluation rows, of the rarer class above all, or another metric",
            details={"metric": metric},
        )

    def _unmapped(self, metric: str, error: UnmappedOutput) -> Finding:
        return Finding(
            outcome=Outcome.ERRORED,
            cause=Cause.HARNESS,
            reason=f"{metric}: the output mapping does not fit the answers: {error}",
            advice="accuracy.prediction, score and classes in the policy say which output is which",
            details={"metric": metric},
        )


def _numbers(interval: Interval) -> dict[str, float]:
    return {"value": interval.estimate, "lower": interval.lower, "upper": interval.upper}

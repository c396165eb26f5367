"""The fairness gap: how far a metric of the challenger stands apart between the best and the worst slice. Pure."""

from typing import Any

import numpy as np

from mlgate.evaluation.judgement.measure import numbers
from mlgate.evaluation.metric_names import Better
from mlgate.evaluation.metrics.interface import Metric
from mlgate.evaluation.sample import Sample
from mlgate.evaluation.slices import Partition
from mlgate.evidence import Cause, Finding, Outcome
from mlgate.quantities import format_number, format_share
from mlgate.statistics.interval import Interval, Undefined
from mlgate.statistics.largest_gap import Gap, gap_confidences, largest_gap


def judge_gap(
    metric: Metric, name: str, sample: Sample, slices: Partition, *, limit: float, confidence: float, seed: int
) -> Finding:
    """Judge the gap against its limit: passed when the upper bound is at most the limit, failed when the lower is above.

    Args:
        metric: What is measured on each slice.
        name: As in the policy.
        sample: The challenger's answers.
        slices: The column's values.
        limit: Largest gap, in the metric's own unit.
        confidence: Of each bound of the gap.
        seed: Of the resampling.
    """
    subject = f"gap of {name} over {slices.spec}"
    if len(slices.values) < 2:
        return _inconclusive(
            f"{subject}: {len(slices.values)} value in the data, and a gap needs two", limit, len(sample)
        )
    independent = not _groups_cross(sample, slices)
    judged, corrected = gap_confidences(len(slices.values), confidence, independent=independent)
    found, strict = _each(metric, sample, slices, (judged, corrected), seed)
    table = {value.name: _row(interval) for value, interval in zip(slices.values, found, strict=True)}
    details: dict[str, Any] = {"metric": name, "seed": seed, "independent": independent, "values": table}
    details["adjusted_confidence"] = corrected
    small = [
        f"{value.name} ({interval.reason})"
        for value, *pair in zip(slices.values, found, strict, strict=True)
        for interval in [next((side for side in pair if isinstance(side, Undefined)), None)]
        if interval is not None
    ]
    if small:
        # It might be the worst of all: leaving it out would judge the easy slices only.
        return _inconclusive(f"{subject}: not defined on {', '.join(small)}", limit, len(sample), details)
    gap = largest_gap(_intervals(found), _intervals(strict), independent=independent)
    return _judge(
        subject, gap, slices, metric.facts.better, limit, confidence, {**details, "method": "MOVER, all pairs"}
    )


def _judge(
    subject: str, gap: Gap, slices: Partition, better: Better, limit: float, confidence: float, details: dict[str, Any]
) -> Finding:
    passed, failed = gap.upper <= limit, gap.lower > limit
    best, worst = (gap.least, gap.most) if better is Better.LESS else (gap.most, gap.least)
    sides = {"best": slices.values[best], "worst": slices.values[worst]}
    n = int(slices.counts.sum())
    reason = (
        f"{subject}: {format_number(gap.estimate)} between {sides['best'].name} (best) and {sides['worst'].name} (worst), {format_share(confidence)} "
        f"bounds [{format_number(gap.lower)}, {format_number(gap.upper)}]; must be ≤ {format_number(limit)} "
        f"(n = {format_number(n)})"
    )
    advice = f"the model serves {sides['worst'].name} worse: more training rows of it, or another model"
    return Finding(
        outcome=Outcome.PASSED if passed else Outcome.FAILED if failed else Outcome.INCONCLUSIVE,
        cause=None if passed else Cause.MODEL,
        reason=reason,
        measured=gap.estimate,
        limit=limit,
        n=n,
        interval=(gap.lower, gap.upper),
        confidence=confidence,
        advice="" if passed else advice if failed else "more evaluation rows of the smaller slices would decide",
        details={
            **details,
            **{
                side: {"slice": dict(value.params), "value": details["values"][value.name]["value"]}
                for side, value in sides.items()
            },
        },
    )


def _each(
    metric: Metric, sample: Sample, slices: Partition, confidences: tuple[float, float], seed: int
) -> tuple[list[Interval | Undefined], list[Interval | Undefined]]:
    """Measure every slice at both confidences, holding one slice's rows at a time."""
    rows: list[tuple[Interval | Undefined, Interval | Undefined]] = []
    for index in range(len(slices.values)):
        part = sample.take(slices.rows(index))
        first, second = (
            metric.interval(part, confidence=level, seed=seed) if len(part) else Undefined(reason="no rows", n=0)
            for level in confidences
        )
        rows.append((first, second))
    return [first for first, _ in rows], [second for _, second in rows]


def _intervals(found: list[Interval | Undefined]) -> list[Interval]:
    return [interval for interval in found if isinstance(interval, Interval)]


def _row(interval: Interval | Undefined) -> dict[str, Any]:
    if isinstance(interval, Undefined):
        return {"rows": interval.n, "undefined": interval.reason}
    return {"rows": interval.n, **numbers(interval)}


def _groups_cross(sample: Sample, slices: Partition) -> bool:
    """Whether rows of one group lie in several slices, which ties the slices' values together."""
    if sample.group is None:
        return False
    last = np.zeros(int(sample.group.max(initial=0)) + 1, dtype=slices.codes.dtype)
    last[sample.group] = slices.codes  # each group's last row wins; another row of it may disagree
    return bool((last[sample.group] != slices.codes).any())


def _inconclusive(reason: str, limit: float, n: int, details: dict[str, Any] | None = None) -> Finding:
    return Finding(
        outcome=Outcome.INCONCLUSIVE,
        cause=Cause.HARNESS,
        reason=reason,
        limit=limit,
        n=n,
        advice="more evaluation rows of the slices that are too small, or a coarser column",
        details=details or {},
    )

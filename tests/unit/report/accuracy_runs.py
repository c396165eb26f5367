"""Evidence of accuracy runs: made from answers, so that its tables are what a run would hold."""

from dataclasses import replace

import numpy as np

from mlgate.evaluation.evidence_details import comparison_details, rows_to_show
from mlgate.evaluation.sample import Sample
from mlgate.evidence import Cause, CheckResult, Finding, Outcome, SuiteResult, VerdictFacts

REGIONS = ("EU", "US", "APAC", "LATAM", "Africa")
MANY = tuple(f"store {index:02d}" for index in range(50))


def churn(n=6366, seed=4):
    """Return challenger and champion of a binary problem; the challenger is a little too sure."""
    rng = np.random.default_rng(seed)
    chance = rng.beta(1.2, 4, n)
    truth = (rng.random(n) < chance).astype(np.int8)
    samples = []
    for noise, stretch in ((0.06, 1.25), (0.08, 1.0)):
        score = np.clip((chance + rng.normal(0, noise, n)) * stretch, 0.001, 0.999)
        samples.append(
            Sample(
                truth=truth,
                labels=(score > 0.5).astype(np.int8),
                score=score,
                classes=("stay", "churn"),
                positive=1,
            )
        )
    return samples[0], samples[1]


def digits(n=4000, classes=24, seed=5):
    """Return challenger and champion of a problem with more classes than a table has rows."""
    rng = np.random.default_rng(seed)
    truth = np.minimum(rng.geometric(0.09, n) - 1, classes - 1).astype(np.int16)
    samples = []
    for wrong in (0.16, 0.12):
        scores = rng.dirichlet(np.ones(classes) * 0.3, n)
        right = np.where(rng.random(n) < wrong, rng.integers(0, classes, n), truth)
        scores[np.arange(n), right] += 2.0
        scores /= scores.sum(axis=1, keepdims=True)
        labels = scores.argmax(axis=1).astype(np.int16)
        labels[rng.random(n) < 0.002] = -1
        names = tuple(f"Class {chr(65 + code)}" for code in range(classes))
        samples.append(Sample(truth=truth, labels=labels, scores=scores, classes=names))
    return samples[0], samples[1]


def tables_of(pair, *, full=False):
    """Return the tables of two samples, with features where *full*."""
    challenger, champion = pair
    rng = np.random.default_rng(6)
    keys = [f"cust-{index:06d}" for index in rng.permutation(len(challenger))]
    features = None
    if full:
        features = [
            {"age": int(rng.integers(18, 90)), "plan": "basic", "spend": float(np.round(rng.gamma(2, 40), 2))}
            for _ in rows_to_show(challenger, champion)
        ]
    return comparison_details(challenger, champion, keys, features=features)


def compared(metric, value, half, margin, *, slice_params=None, n=6366, at=0.84, **details):
    """Return a comparison over all rows, or over a slice; its outcome follows from its numbers."""
    lower, upper = value - half, value + half
    outcome = Outcome.PASSED if lower > -margin else Outcome.FAILED if upper < -margin else Outcome.INCONCLUSIVE
    if outcome is Outcome.INCONCLUSIVE:
        details.setdefault("rows_needed", round(n * (half / max(0.1 * margin, margin + min(0, value))) ** 2))
    return CheckResult(
        id="accuracy.slice" if slice_params else "accuracy.regression",
        params={"metric": metric, **(slice_params or {})},
        finding=Finding(
            outcome=outcome,
            cause=None if outcome is Outcome.PASSED else Cause.MODEL,
            reason=f"{metric}: challenger - champion {value:+.4f}, 95 % bounds [{lower:.4f}, {upper:.4f}]; "
            f"must be > {-margin:g} (n = {n} paired rows)",
            measured=value,
            limit=-margin,
            n=n,
            interval=(lower, upper),
            confidence=0.95,
            advice="" if outcome is Outcome.PASSED else "look at the rows of this part",
            details={
                "metric": metric,
                "method": "Tango score",
                "margin": margin,
                "challenger": {"value": at + value, "lower": at + value - half, "upper": at + value + half},
                "champion": {"value": at, "lower": at - half, "upper": at + half},
                "difference": {"value": value, "lower": lower, "upper": upper},
                "gained": 41,
                "lost": 37,
                "minimum_detectable_loss": 1.5 * half,
                "rows_needed_for_margin": round(n * (1.5 * half / margin) ** 2),
                "seed": 7,
                **details,
            },
        ),
    )


def floor(metric="f1", value=0.842, limit=0.8, **details):
    """Return a judged floor."""
    outcome = Outcome.PASSED if value - 0.02 > limit else Outcome.FAILED
    return CheckResult(
        id="accuracy.floor",
        params={"metric": metric},
        finding=Finding(
            outcome=outcome,
            cause=None if outcome is Outcome.PASSED else Cause.MODEL,
            reason=f"{metric} {value}, 95 % bounds [{value - 0.02:.3f}, {value + 0.02:.3f}]; must be ≥ {limit}",
            measured=value,
            limit=limit,
            n=6366,
            interval=(value - 0.02, value + 0.02),
            confidence=0.95,
            details={"metric": metric, "method": "Clopper-Pearson", **details},
        ),
    )


def gap(value=0.13, limit=0.1):
    """Return a judged fairness gap."""
    failed = value > limit
    return CheckResult(
        id="accuracy.gap",
        params={"metric": "recall", "column": "plan"},
        finding=Finding(
            outcome=Outcome.FAILED if failed else Outcome.PASSED,
            cause=Cause.MODEL if failed else None,
            reason=f"recall differs by {value} between plan=basic and plan=pro; must be ≤ {limit}",
            measured=value,
            limit=limit,
            n=6366,
            interval=(value - 0.02, value + 0.02),
            confidence=0.95,
            details={
                "metric": "recall",
                "values": {
                    "plan=basic": {"rows": 4100, "value": 0.71, "lower": 0.69, "upper": 0.73},
                    "plan=pro": {"rows": 2266, "value": 0.58, "lower": 0.55, "upper": 0.61},
                },
                "best": {"slice": {"plan": "basic"}, "value": 0.71},
                "worst": {"slice": {"plan": "pro"}, "value": 0.58},
            },
        ),
    )


WEAK = {
    "weak_slices": [
        {"slice": {"plan": "pro", "region": "EU"}, "n": 212, "value": 0.29, "overall": 0.162, "p_adjusted": 0.0001},
        {"slice": {"age": "[18,30)"}, "n": 840, "value": 0.21, "overall": 0.162, "p_adjusted": 0.041},
    ],
    "weak_slices_search": {"found_on_this_data": True, "searched": 40, "rows": 6366, "loss": "share of wrong answers"},
}


def accuracy_suite(evidence, checks, outcome="failed"):
    """Return *evidence* with *checks* as its accuracy suite, and the verdict that follows."""
    against = [check for check in checks if check.outcome is not Outcome.PASSED]
    reasons = tuple(f"{check.key}: {check.finding.reason}" for check in against)
    suites = {**evidence.suites, "accuracy": SuiteResult(duration_s=14.2, checks=tuple(checks))}
    return replace(
        evidence, suites=suites, verdict=VerdictFacts(outcome=outcome if against else "passed", reasons=reasons)
    )


def slices(metric, found, margin, share=0.2):
    """Return one slice check for each `name: (value, half)`."""
    return [
        compared(metric, value, half, margin, slice_params={"region": name}, n=round(6366 * share))
        for name, (value, half) in found.items()
    ]


def too_small(metric, slice_params, n=4):
    """Return a declared slice on which nothing could be measured."""
    (where,) = slice_params.values()
    return CheckResult(
        id="accuracy.slice",
        params={"metric": metric, **slice_params},
        finding=Finding(
            outcome=Outcome.INCONCLUSIVE,
            cause=Cause.HARNESS,
            reason=f"{metric} on {where}: {n} rows are too few",
            limit=-0.03,
            n=n,
            advice=f"about 1 240 rows of {where} would decide if it is like the whole",
            details={"metric": metric, "margin": 0.03, "rows_needed": 1240, "seed": 7},
        ),
    )


def one_bad_slice(evidence):
    """Return a run that loses on one region only, with everything that the report shows."""
    found = {name: (0.002 - 0.001 * index, 0.012) for index, name in enumerate(REGIONS)}
    found["EU"] = (-0.071, 0.024)
    checks = [
        floor(tables=tables_of(churn(), full=True), **WEAK),
        compared("f1", -0.004, 0.009, 0.02),
        compared("roc_auc", 0.0031, 0.0055, 0.01),
        *slices("f1", found, 0.03),
        gap(),
    ]
    return accuracy_suite(evidence, checks)


def too_few_rows(evidence):
    """Return a run of many classes and fifty slices, of which some are open."""
    rng = np.random.default_rng(8)
    found = {name: (float(rng.normal(0, 0.004)), 0.014 if index % 9 else 0.05) for index, name in enumerate(MANY)}
    checks = [
        compared("f1_macro", -0.012, 0.021, 0.02, tables=tables_of(digits())),
        compared("accuracy", 0.004, 0.006, 0.01),
        *slices("f1_macro", found, 0.03, share=0.02),
        *slices("accuracy", dict.fromkeys(MANY, (0.001, 0.02)), 0.03, share=0.02),
        too_small("f1_macro", {"slice": "age >= 90"}),
    ]
    return accuracy_suite(evidence, checks, "inconclusive")


def alike(evidence):
    """Return a passed run of two models that answer alike."""
    same = churn(2000)[0]
    checks = [
        compared("accuracy", 0.0, 0.004, 0.01, n=2000, identical=True, tables=tables_of((same, same))),
        *slices("accuracy", dict.fromkeys(REGIONS, (0.0, 0.02)), 0.03),
        gap(0.02),
    ]
    return accuracy_suite(evidence, checks)

"""Each defect of peers.md section 3.2, by its number: the case that a peer judges wrongly is judged rightly here.

What the peers compute is written out beside some cases, so that the case is seen to be theirs.
"""

import json
import math

import numpy as np
import pytest
from scipy import stats

from mlgate.evaluation.comparison import Comparison
from mlgate.evaluation.judgement.sides import Absence, NoChampion
from mlgate.evaluation.metrics.catalogue import find_metric
from mlgate.evaluation.sample import Sample
from mlgate.evaluation.slices import Column
from mlgate.evaluation.weak_slices import weak_slices
from mlgate.evidence import Cause, Outcome, SuiteResult, worst
from mlgate.policy_file import parse_policy
from mlgate.statistics.interval import Undefined
from mlgate.statistics.multiplicity import benjamini_hochberg, holm
from mlgate.verdict import VerdictOutcome, assess
from tests.unit.builders import FULL_POLICY, NOW, admissible, with_outcome, without_check

ROWS = 2000
FIRST = NoChampion(absence=Absence.FIRST)


def judged(challenger, champion, metric, *, context=None, slices=(), **limits):
    """Compare two samples by the metric of the catalogue, under `accuracy.metrics.<metric>`."""
    accuracy = parse_policy(
        json.dumps({"accuracy": {"metrics": {metric: limits}, "slices": list(slices)}})
    ).values.accuracy
    columns = {name: Column.of(list(values)) for name, values in (context or {}).items()}
    return Comparison(
        accuracy=accuracy, metrics={metric: find_metric(metric)}, challenger=challenger, champion=champion, context=columns
    )  # fmt: skip


def regression(challenger, champion, metric, **limits):
    """The finding on all rows."""
    return judged(challenger, champion, metric, **limits).regression(metric)


def numbers(truth, answers):
    """A regression's sample."""
    return Sample(truth=np.asarray(truth, dtype=float), numbers=np.asarray(answers, dtype=float))


def binary(n, right, **more):
    """All of the class `yes`, of which the first *right* are answered so."""
    labels = (np.arange(n) < right).astype(np.int64)
    return Sample(truth=np.ones(n, dtype=np.int64), labels=labels, classes=("no", "yes"), positive=1, **more)


def with_r2(target, seed):
    """Answers of exactly this R², and the truth, on the same truth for every seed."""
    truth = np.random.default_rng(0).normal(50, 1, ROWS)
    noise = np.random.default_rng(seed).normal(size=ROWS)
    error = noise * math.sqrt((1 - target) * truth.var() / (noise**2).mean())
    return numbers(truth, truth + error)


@pytest.mark.parametrize("bad", [math.nan, math.inf])
@pytest.mark.parametrize("metric", ["rmse", "mae", "r2"])
def test_a_challenger_that_answers_nan_passes_no_check(metric, bad):
    """1: `(nan - b) / b < min` is false, so a relative threshold passes it; an absolute one raises."""
    sound = with_r2(0.5, 1)
    answers = sound.numbers.copy()
    answers[7] = bad
    sick = numbers(sound.truth, answers)
    limit = {"min": -9.0} if metric == "r2" else {"max": 9.0}
    comparison = judged(sick, sound, metric, margin=5.0, **limit)
    assert not (math.nan - 0.5) / 0.5 < 0.05  # the peer's question: "too bad?", and the answer is no
    for finding in (comparison.regression(metric), comparison.floor(metric)):
        assert (finding.outcome, finding.cause) == (Outcome.ERRORED, Cause.HARNESS)
        assert "not a finite number" in finding.reason
        assert finding.measured is None
    # The same rows without that answer pass: it is the one row that decides.
    assert regression(sound, sound, metric, margin=5.0).outcome is Outcome.PASSED


@pytest.mark.parametrize("metric", ["log_loss", "roc_auc", "brier"])
def test_a_score_that_is_nan_passes_no_check(metric):
    """1: in a score as in a number."""
    score = np.linspace(0.01, 0.99, ROWS)
    truth = (score > 0.4).astype(np.int64)
    sick = score.copy()
    sick[-1] = math.nan
    sound, broken = (Sample(truth=truth, score=each, classes=("no", "yes"), positive=1) for each in (score, sick))
    assert regression(broken, sound, metric, margin=0.9).outcome is Outcome.ERRORED
    assert regression(sound, broken, metric, margin=0.9).outcome is Outcome.INCONCLUSIVE


@pytest.mark.parametrize(
    ("champion", "challenger", "outcome"),
    [
        (-0.5, -0.9, Outcome.FAILED),
        (-0.5, -0.1, Outcome.PASSED),
        (0.5, 0.1, Outcome.FAILED),
        (0.5, 0.9, Outcome.PASSED),
    ],
)
def test_a_negative_r2_turns_nothing_around(champion, challenger, outcome):
    """2: -0.5 to -0.9 is a relative change of +0.8 and passes there, -0.5 to -0.1 one of -0.8 and fails."""
    finding = regression(with_r2(challenger, 1), with_r2(champion, 2), "r2", margin=0.05)
    assert finding.outcome is outcome
    assert finding.measured == pytest.approx(challenger - champion)
    assert ((challenger - champion) / champion > 0.05) is ((outcome is Outcome.PASSED) == (champion > 0))


@pytest.mark.parametrize(("challenger", "outcome"), [(-0.6, Outcome.INCONCLUSIVE), (-0.4, Outcome.PASSED)])
def test_the_very_numbers_of_the_negative_r2_are_never_the_wrong_way_round(challenger, outcome):
    """2: at -0.5 against -0.6 the worse one does not pass, and against -0.4 the better one does not fail."""
    finding = regression(with_r2(challenger, 1), with_r2(-0.5, 2), "r2", margin=0.05)
    assert finding.outcome in (outcome, *((Outcome.FAILED,) if challenger < -0.5 else ()))


def test_a_metric_that_the_champion_lacks_is_inconclusive_by_name():
    """3: `baseline_metrics[metric_name]` raises a KeyError there before the branch that was written for it."""
    score = np.linspace(0.6, 0.9, ROWS)
    finding = regression(binary(ROWS, 1990, score=score), binary(ROWS, 1990), "roc_auc", margin=0.1)
    assert (finding.outcome, finding.cause) == (Outcome.INCONCLUSIVE, Cause.ENVIRONMENT)
    assert "roc_auc: its answers hold no score" in finding.reason


@pytest.mark.parametrize("absence", Absence)
def test_no_champion_at_all_is_inconclusive_and_the_floor_is_still_judged(absence):
    """3: without a champion's result a peer with `min_relative_change=0.0` skips its guard and computes with None."""
    comparison = judged(binary(ROWS, 1990), NoChampion(absence=absence, reason="why"), "accuracy", margin=1e-9, min=0.9)
    assert comparison.regression("accuracy").outcome is Outcome.INCONCLUSIVE
    assert comparison.floor("accuracy").outcome is Outcome.PASSED


@pytest.mark.parametrize(("margin", "outcome"), [(0.03, Outcome.PASSED), (0.005, Outcome.FAILED)])
def test_a_margin_is_absolute_and_in_the_metrics_own_unit(margin, outcome):
    """4: absolute and relative are swapped in a peer's words; 2 points lost of 20 % are 10 % of it, and here 0.02."""
    n = 20_000
    finding = regression(binary(n, 3600), binary(n, 4000), "accuracy", margin=margin)
    assert (finding.outcome, finding.limit) == (outcome, -margin)
    assert finding.measured == pytest.approx(-0.02)
    assert f"must be > {-margin:g}" in finding.reason


@pytest.mark.parametrize(("right", "outcome"), [(0, Outcome.PASSED), (400, Outcome.PASSED)])
def test_a_champion_whose_value_is_0_divides_nothing(right, outcome):
    """5: the ratio to 0 is NaN, and `NaN >= -inf` fails a model though no ratio was asked for."""
    finding = regression(binary(ROWS, right), binary(ROWS, 0), "accuracy", margin=0.01)
    assert finding.outcome is outcome
    assert finding.measured == pytest.approx(right / ROWS)
    json.dumps(dict(finding.details), allow_nan=False)


def test_a_champion_without_any_error_is_no_ratio_to_zero_either():
    """5: of a loss, 0 is the best there is: whatever the challenger does is no division, and no pass if it is worse."""
    truth = np.random.default_rng(0).normal(size=ROWS)
    perfect, worse = numbers(truth, truth), numbers(truth, truth + 1)
    for metric in ("mae", "rmse"):
        finding = regression(worse, perfect, metric, margin=0.1)
        assert finding.outcome in (Outcome.FAILED, Outcome.INCONCLUSIVE)
    assert regression(worse, perfect, "mae", margin=0.1).outcome is Outcome.FAILED


def test_a_negative_champion_flips_no_sign():
    """5: MCC of -0.6 and -0.9: the ratio is 1.5, and the challenger is worse."""
    rng = np.random.default_rng(0)
    truth = rng.integers(2, size=ROWS)

    def opposed(share):
        labels = np.where(rng.random(ROWS) < share, 1 - truth, truth)
        return Sample(truth=truth, labels=labels, classes=("no", "yes"), positive=1)

    bad, worse = opposed(0.8), opposed(0.95)
    assert regression(worse, bad, "mcc", margin=0.05).outcome is Outcome.FAILED
    assert regression(bad, worse, "mcc", margin=0.05).outcome is Outcome.PASSED


def test_ranks_of_p_values_are_ranks():
    """6: `argsort() + 1` gives [2, 4, 3, 1] for these, and the ranks are [4, 1, 3, 2]."""
    p_values = [0.04, 0.001, 0.03, 0.02]
    assert (np.argsort(p_values) + 1).tolist() == [2, 4, 3, 1]
    assert stats.rankdata(p_values).tolist() == [4, 1, 3, 2]
    # p times 4 over the rank, made monotone: 0.04 * 4 / 4, 0.001 * 4 / 1, 0.03 * 4 / 3, 0.02 * 4 / 2.
    assert benjamini_hochberg(p_values) == pytest.approx([0.04, 0.004, 0.04, 0.04])
    assert holm(p_values) == pytest.approx([0.06, 0.004, 0.06, 0.06])
    assert benjamini_hochberg(p_values) == pytest.approx(stats.false_discovery_control(p_values))


def test_no_significant_p_value_is_an_empty_answer():
    """6: `.max()` over the significant ones raises where there is none."""
    rng = np.random.default_rng(0)
    loss = rng.random(ROWS) < 0.1
    columns = {name: Column.of(rng.choice(list("abc"), ROWS).tolist()) for name in ("region", "plan")}
    search = weak_slices(loss.astype(float), columns)
    assert search.found == ()
    assert search.searched > 0
    assert "no weak slice" in search.sentence
    assert (benjamini_hochberg([0.9, 0.8]) > 0.05).all()
    assert benjamini_hochberg([]).size == 0


@pytest.mark.parametrize("metric", ["accuracy", "f1", "roc_auc"])
def test_zero_rows_are_no_pass(metric):
    """6: zero perturbed rows pass there; zero rows here are inconclusive, for floor and margin."""
    empty = binary(0, 0, score=np.zeros(0))
    comparison = judged(empty, empty, metric, min=0.001, margin=0.999)
    for finding in (comparison.floor(metric), comparison.regression(metric)):
        assert (finding.outcome, finding.n) == (Outcome.INCONCLUSIVE, 0)
        assert "no rows" in finding.reason


def test_nothing_that_was_judged_is_no_pass():
    """6 and 7: the worst of no outcome at all is `skipped`, and a suite without checks makes no verdict pass."""
    assert worst([]) is Outcome.SKIPPED
    evidence = admissible(FULL_POLICY)
    empty = {name: SuiteResult(duration_s=0.0, checks=()) for name in evidence.suites}
    verdict = assess(FULL_POLICY, admissible(FULL_POLICY, suites=empty), NOW)
    assert verdict.outcome is VerdictOutcome.INCONCLUSIVE
    assert {reason.code for reason in verdict.reasons} == {"absent"}


def test_a_slice_of_too_few_rows_is_inconclusive_by_name():
    """6: slices under 20 rows leave a line in a log, and nothing in the result."""
    region = ["north"] * (ROWS - 15) + ["islands"] * 15
    comparison = judged(
        binary(ROWS, ROWS), binary(ROWS, ROWS), "accuracy", margin=0.01, context={"region": region}, slices=["region"]
    )
    checks = {check.params["region"]: check.finding for check in comparison.slice_checks("region")}
    assert checks["north"].outcome is Outcome.PASSED
    assert checks["islands"].outcome is Outcome.INCONCLUSIVE
    assert checks["islands"].reason.startswith("accuracy on region=islands")
    whole = comparison.slices("region")
    assert whole.outcome is Outcome.INCONCLUSIVE
    assert "region=islands" in whole.reason
    assert {row["name"]: row["rows"] for row in whole.details["values"]}["region=islands"] == 15


def test_a_declared_slice_without_rows_is_inconclusive_by_name():
    """6: and one with none at all leaves not even that line."""
    comparison = judged(
        binary(ROWS, ROWS), binary(ROWS, ROWS), "accuracy", margin=0.01, context={"age": [30] * ROWS}, slices=["age >= 65"]
    )  # fmt: skip
    (check,) = comparison.slice_checks("age >= 65")
    assert (check.outcome, check.finding.n) == (Outcome.INCONCLUSIVE, 0)
    assert "age >= 65" in check.finding.reason


@pytest.mark.parametrize("outcome", [Outcome.SKIPPED, Outcome.ERRORED, Outcome.INCONCLUSIVE, None])
@pytest.mark.parametrize("key", ["accuracy.regression[metric=accuracy]", "accuracy.floor[metric=f1]"])
def test_a_check_that_did_not_run_is_no_check_that_passed(key, outcome):
    """7: `passed()` ignores what did not run unless it is asked not to; here it refuses, and the check is named."""
    whole = admissible(FULL_POLICY)
    assert assess(FULL_POLICY, whole, NOW).outcome is VerdictOutcome.PASSED
    changed = without_check(whole, key) if outcome is None else with_outcome(whole, key, outcome)
    verdict = assess(FULL_POLICY, changed, NOW)
    assert verdict.outcome is VerdictOutcome.INCONCLUSIVE
    assert [reason.check for reason in verdict.reasons] == [key]


def test_unequal_rows_are_an_error_and_no_comparison_of_averages():
    """The issue's list: one row less, the same rows in another order, and another truth are not the same rows."""
    whole = binary(ROWS, 1900)
    truth = np.arange(ROWS) % 2
    mixed = Sample(truth=truth, labels=truth, classes=("no", "yes"), positive=1)
    for challenger, champion in ((whole, binary(ROWS - 1, 1900)), (mixed, mixed.take(np.arange(ROWS)[::-1]))):
        finding = regression(challenger, champion, "accuracy", margin=0.9)
        assert (finding.outcome, finding.cause) == (Outcome.ERRORED, Cause.HARNESS)
        assert "not scored on the same rows" in finding.reason
    with pytest.raises(ValueError, match="rows"):
        Sample(truth=truth, labels=truth[1:], classes=("no", "yes"))


def test_no_interval_is_a_point():
    """What all of these rest on: identical answers have a width, and too few rows no interval at all."""
    for metric, sample in (("accuracy", binary(ROWS, 1990)), ("r2", with_r2(0.5, 1)), ("f1", binary(ROWS, 1990))):
        found = find_metric(metric).difference(sample, sample, confidence=0.95, seed=0)
        assert not isinstance(found, Undefined)
        assert found.lower < found.estimate == 0 < found.upper

"""Planning, held against what the methods do on simulated data that meet the assumptions."""

import math

import numpy as np
import pytest

from mlgate.evaluation.metric_names import METRICS
from mlgate.evaluation.plan import Assumptions, plan
from mlgate.policy_accuracy import Accuracy
from mlgate.statistics.power import rows_needed_identical, rows_needed_proportion


def planned(name, rows=5000, *, slice_share=None, assumed=None, **metric):
    """The plan of one metric."""
    spec = {"margin": 0.01, **metric}
    at = METRICS[name].at if name in METRICS else None
    if at is not None and at.default is None:
        spec["at"] = 0.5
    accuracy = Accuracy.model_validate({"group": "query", "metrics": {name: spec}})
    (found,) = plan(accuracy, rows, assumed or Assumptions(), slice_share=slice_share)
    return found


def test_accuracy_needs_the_rows_of_the_formula():
    """The one metric with a closed form: (z + z)^2 discordance / margin^2."""
    assert planned("accuracy").needed == pytest.approx(rows_needed_proportion(250, 0, 5000, 0.01, 0.95), abs=1)


@pytest.mark.parametrize("name", METRICS)
def test_every_metric_has_a_plan_and_says_what_it_assumes(name):
    """And more rows show smaller losses; the rows needed are those at which the margin is the detectable loss."""
    few, many = planned(name, 2000), planned(name, 200_000)
    assert few.assumption
    assert 0 < many.detectable < few.detectable
    at_needed = planned(name, few.needed).detectable
    assert at_needed == pytest.approx(0.01, rel=0.05)


def test_models_that_would_answer_alike_still_need_rows():
    """No discordance is no certainty: the margin needs the rows of identical answers."""
    sure = Assumptions(discordance=1e-9)
    found = planned("accuracy", 1000, assumed=sure)
    assert found.needed == rows_needed_identical(0.01, 0.95)
    assert rows_needed_identical(found.detectable, 0.95) <= 1000
    assert rows_needed_identical(found.detectable * 0.98, 0.95) > 1000


def test_only_the_rows_of_a_class_count_for_recall():
    """A fifth of the rows, five times as many needed; of a rarer class, more."""
    assert planned("recall").needed == pytest.approx(5 * planned("accuracy").needed, abs=5)
    rare = Assumptions(positives=0.01)
    assert planned("recall", assumed=rare).needed > planned("recall").needed
    assert planned("recall", 50, assumed=rare).detectable is None


def test_a_slice_needs_its_rows_for_itself():
    """Of which the whole holds as many more."""
    found = planned("accuracy", 5000, slice_share=0.1)
    assert found.slice_detectable == pytest.approx(planned("accuracy", 500).detectable)
    assert found.slice_needed == pytest.approx(10 * found.needed, abs=10)


def test_groups_cost_rows():
    """A design effect of 4 is a quarter of the rows."""
    grouped = Assumptions(design_effect=4.0)
    assert planned("accuracy", assumed=grouped).detectable == pytest.approx(planned("accuracy", 1250).detectable)
    assert planned("accuracy", assumed=grouped).needed == pytest.approx(4 * planned("accuracy").needed, abs=4)


def test_a_metric_of_ones_own_is_not_guessed_at():
    """Nothing can be assumed of it, and that is said."""
    found = planned("m:cost", better="less")
    assert (found.detectable, found.needed) == (None, None)
    assert "a first run" in found.assumption


def test_a_floor_alone_has_no_margin_to_need_rows_for():
    """Only the loss that the rows could show."""
    accuracy = Accuracy.model_validate({"metrics": {"f1": {"min": 0.8}}})
    (found,) = plan(accuracy, 1000, Assumptions())
    assert (found.margin, found.needed) == (None, None)
    assert found.detectable > 0


def test_an_error_in_the_targets_unit_is_planned_at_the_policys_level_or_in_shares():
    """Nobody knows the unit without one."""
    share, level = planned("rmse"), planned("rmse", max=30.0)
    assert "in shares of the champion's rmse" in share.assumption
    assert level.detectable == pytest.approx(30 * share.detectable)
    assert "RMSE near 30" in level.assumption


def spread_of(statistic, draw, n=2000, draws=400):
    """Standard deviation of a difference of two models, times the root of the rows."""
    rng = np.random.default_rng(1)
    found = []
    for _ in range(draws):
        truth, new, old = draw(rng, n)
        found.append(statistic(truth, new) - statistic(truth, old))
    return float(np.std(found)) * math.sqrt(n)


def errors(rng, n, r=0.9):
    """Normal errors of deviation 1 with correlation r."""
    common, one, two = rng.normal(size=(3, n))
    return np.zeros(n), *(math.sqrt(r) * common + math.sqrt(1 - r) * own for own in (one, two))


def discordant(rng, n, share=0.05, positives=0.2, wrong=0.1):
    """Labels of two equally good models that differ in being right on a share of the rows."""
    truth = rng.random(n) < positives
    kind = rng.choice(4, n, p=[share / 2, share / 2, wrong, 1 - share - wrong])
    return truth, np.where(np.isin(kind, (0, 2)), ~truth, truth), np.where(np.isin(kind, (1, 2)), ~truth, truth)


def test_heavy_tails_cost_rows():
    """Of squared errors: Student's t with 5 degrees has a kurtosis of 9."""
    heavy = Assumptions(kurtosis=9.0)
    assert planned("rmse", assumed=heavy).needed > 2 * planned("rmse").needed
    assert planned("r2", assumed=heavy).needed > 2 * planned("r2").needed
    assert planned("accuracy", assumed=heavy) == planned("accuracy")
    assert "kurtosis 9" in planned("rmse", assumed=heavy).assumption


def test_a_large_margin_of_squared_errors_is_planned_for_what_may_not_be_seen():
    """95 of RMSE / margin rows at least, however alike the two models are assumed to be."""
    alike = Assumptions(correlation=0.999)
    assert 9500 < planned("rmse", assumed=alike).needed < 11_000


# Of the confidence and of the power: as the shares' test has them, and with what other methods are wider.
Z = 1.6448536 + 0.8416212
WIDER = 1.08 * (1.2 * 1.6448536 + 0.8416212)
SHARES = ("accuracy", "recall", "specificity")


@pytest.mark.parametrize(
    ("name", "statistic", "draw", "level"),
    [
        ("rmse", lambda t, p: math.sqrt(((p - t) ** 2).mean()), errors, {"max": 1.0}),
        ("mae", lambda t, p: np.abs(p - t).mean(), errors, {"max": 0.798}),
        ("median_absolute_error", lambda t, p: np.median(np.abs(p - t)), errors, {"max": 0.674}),
        ("accuracy", lambda t, p: (t == p).mean(), discordant, {}),
        ("recall", lambda t, p: p[t].mean(), discordant, {}),
        ("specificity", lambda t, p: (~p[~t]).mean(), discordant, {}),
        ("balanced_accuracy", lambda t, p: (p[t].mean() + (~p[~t]).mean()) / 2, discordant, {}),
        ("f1", lambda t, p: 2 * (t & p).sum() / (t.sum() + p.sum()), discordant, {"min": 0.73}),
    ],
)
def test_the_assumed_spread_is_that_of_data_that_meet_the_assumption(name, statistic, draw, level):
    """Within a third: a plan is an estimate, and a wrong formula is off by more."""
    assumed = planned(name, 10**6, **level).detectable * 1000 / (Z if name in SHARES else WIDER)
    assert assumed == pytest.approx(spread_of(statistic, draw), rel=0.34)

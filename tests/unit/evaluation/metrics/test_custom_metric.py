"""The user's own metric as a metric of samples."""

import numpy as np
import pytest

from mlgate.evaluation.metric_names import Better, Need, better_of, is_custom
from mlgate.evaluation.metrics.custom import UNKNOWN_NUMBER, UNKNOWN_TEXT, custom_metric, function_needs
from mlgate.evaluation.sample import UNKNOWN_CLASS, Sample
from mlgate.statistics.interval import Interval, Undefined


def cost(truth, prediction):
    """A missed churner costs ten, a false alarm one."""
    missed = (truth == "churn") & (prediction != "churn")
    alarm = (truth != "churn") & (prediction == "churn")
    return float(10 * missed.mean() + alarm.mean())


def regret(truth, *, score, group=None, scale=2.0):
    """Uses the score by name, and a parameter of its own that has a default."""
    assert group is not None
    return scale * np.abs(truth - score).mean()


def labelled(rng, n, *, error=0.2, classes=("churn", "stay"), group=None):
    """Labels that are wrong now and then."""
    truth = (np.arange(n) % 4 == 0).astype(np.int8) ^ 1
    return Sample(truth=truth, labels=np.where(rng.random(n) < error, 1 - truth, truth), classes=classes, group=group)


def metric(function=cost, *, better=Better.LESS, classification=True):
    """The function as a metric."""
    return custom_metric("my:f", function, better=better, classification=classification)


def test_the_function_gets_class_texts():
    """Not codes: the value is that of the function on the texts."""
    sample = labelled(np.random.default_rng(0), 400)
    names = np.array(["churn", "stay"])
    assert metric().value(sample) == pytest.approx(cost(names[sample.truth], names[sample.labels]))


def test_whole_numbers_stay_numbers_and_strange_answers_are_marked():
    """Classes 0 and 1 compare with numbers; an answer that is no class is the smallest integer, or an empty text."""
    seen = []

    def look(truth, prediction):
        seen.append((truth.tolist(), prediction.tolist()))
        return 0.0

    for classes in (("0", "1"), ("no", "yes")):
        answers = Sample(truth=np.array([0, 1]), labels=np.array([1, UNKNOWN_CLASS]), classes=classes)
        metric(look).value(answers)
    assert seen == [([0, 1], [1, UNKNOWN_NUMBER]), (["no", "yes"], ["yes", UNKNOWN_TEXT])]


def test_parameters_are_asked_for_by_name():
    """What a function needs follows from its signature; what it asks for is passed."""
    assert function_needs(cost, classification=True) == {Need.LABELS}
    assert function_needs(cost, classification=False) == {Need.NUMBERS}
    assert function_needs(regret, classification=True) == {Need.SCORE, Need.GROUP}
    sample = Sample(truth=np.zeros(3), score=np.full(3, 0.5), group=np.arange(3))
    assert metric(regret, classification=False).value(sample) == 1.0
    missing = metric(regret, classification=False).value(Sample(truth=np.zeros(3), score=np.full(3, 0.5)))
    assert isinstance(missing, Undefined)
    assert missing.reason == "my:f needs group"


@pytest.mark.parametrize(
    ("function", "words"),
    [
        (lambda: 0.0, "takes no arguments"),
        (lambda truth: 0.0, "takes nothing of the answers"),
        (lambda truth, y_pred: 0.0, "takes y_pred"),
        (lambda truth, prediction, /: 0.0, "positional-only"),
        (len("no function"), "no function"),
    ],
)
def test_a_function_of_another_form_is_refused(function, words):
    """Before anything is scored."""
    with pytest.raises(ValueError, match=words):
        function_needs(function, classification=True)


def test_a_worse_challenger_has_a_negative_difference():
    """Less is better: the difference is oriented, mirrored, and its interval holds it."""
    rng = np.random.default_rng(1)
    champion = labelled(rng, 1500, error=0.05)
    challenger = Sample(truth=champion.truth, labels=labelled(rng, 1500, error=0.2).labels, classes=champion.classes)
    found = metric().difference(challenger, champion, confidence=0.95, seed=1)
    assert isinstance(found, Interval)
    assert found.estimate == pytest.approx(metric().value(champion) - metric().value(challenger))
    assert found.lower < found.estimate < found.upper < 0
    assert found.method == "BCa bootstrap"


def test_identical_answers_have_the_width_of_three_unseen_churners():
    """3 of the 250 churners may be missed without any being seen: 10 * 3 / 1000."""
    sample = labelled(np.random.default_rng(2), 1000, error=0.0)
    found = metric().difference(sample, sample, confidence=0.95, seed=1)
    assert isinstance(found, Interval)
    assert (found.lower, found.estimate, found.upper) == pytest.approx((-0.03, 0, 0.03))


@pytest.mark.parametrize(
    ("answer", "words"),
    [
        (np.nan, "returned nan"),
        (np.inf, "returned inf"),
        ("much", "returned str"),
        (None, "returned NoneType"),
        ([1, 2], "returned list"),
    ],
)
def test_what_is_no_number_is_undefined_in_the_functions_words(answer, words):
    """A NaN must neither pass nor fail a comparison."""
    sample = labelled(np.random.default_rng(3), 200)
    bad = metric(lambda truth, prediction: answer)
    for found in (
        bad.value(sample),
        bad.interval(sample, confidence=0.95, seed=1),
        bad.difference(sample, sample, confidence=0.95, seed=1),
    ):
        assert isinstance(found, Undefined)
        assert words in found.reason


def test_an_exception_is_undefined_with_its_words_also_on_a_resample():
    """A function that fails on some resamples only is named as that."""

    def fragile(truth, prediction):
        if (truth == prediction).mean() > whole + 0.03:
            raise ZeroDivisionError("no errors left")
        return (truth != prediction).mean()

    sample = labelled(np.random.default_rng(4), 300, error=0.2)
    whole = float((sample.truth == sample.labels).mean())
    found = metric(fragile).interval(sample, confidence=0.95, seed=1)
    assert isinstance(found, Undefined)
    assert "on a resample of the rows, raised ZeroDivisionError: no errors left" in found.reason


def test_a_regression_metric_is_bootstrapped():
    """Numbers go to the function as they are."""
    rng = np.random.default_rng(5)
    truth = rng.normal(size=300)
    sample = Sample(truth=truth, numbers=truth + rng.normal(size=300))
    bias = metric(lambda truth, prediction: abs((prediction - truth).mean()), classification=False)
    found = bias.interval(sample, confidence=0.95, seed=1)
    assert isinstance(found, Interval)
    assert found.estimate == pytest.approx(abs((sample.numbers - truth).mean()))


def test_large_samples_are_bagged_within_seconds(monkeypatch):
    """The function sees as many rows as there are, and is called a few hundred times."""
    calls = []

    def counted(truth, prediction):
        calls.append(truth.size)
        return (truth == prediction).mean()

    sample = labelled(np.random.default_rng(6), 20_000)
    found = metric(counted, better=Better.MORE).interval(sample, confidence=0.95, seed=1)
    error = (0.2 * 0.8 / 20_000) ** 0.5
    assert isinstance(found, Interval)
    assert found.method == "bag of little bootstraps"
    assert len(calls) < 500
    assert found.standard_error == pytest.approx(error, rel=0.1)


def test_better_comes_from_the_policy_or_from_its_limit():
    """`max` alone says less, `min` alone more; both or neither say nothing."""
    assert better_of(low=None, high=1.0) is Better.LESS
    assert better_of(low=0.5, high=None) is Better.MORE
    assert better_of(low=0.5, high=1.0) is None
    assert better_of(low=None, high=None) is None
    assert better_of(low=0.5, high=None, better=Better.LESS) is Better.LESS
    assert is_custom("my_pkg.metrics:cost")
    assert not is_custom("roc_auc")

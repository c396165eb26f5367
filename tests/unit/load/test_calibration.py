import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from mlgate.load.calibration import Calibration, too_small
from mlgate.load.samples import ErrorKind, Samples

RATE = 100.0


def answered(added_ms, *, lag_ms=0.0, service_ms=5.0):
    """Return samples that each took *service_ms* and *added_ms* (one number or one a request), *lag_ms* of it before the send."""
    added_ms = np.broadcast_to(added_ms, (300,)) if np.isscalar(added_ms) else np.asarray(added_ms, float)
    samples = Samples.unsent(np.arange(len(added_ms)) / RATE)
    samples.sent_s[:] = samples.intended_s + lag_ms / 1000
    samples.done_s[:] = samples.intended_s + (service_ms + added_ms) / 1000
    samples.status[:], samples.error[:] = 200, ErrorKind.NONE
    return samples


def calibrated(samples, **options):
    return Calibration.of(samples, service_ms=5.0, **options)


def test_what_is_added_is_what_comes_on_top_of_the_service_time():
    """From the intended send: a late send is the generator's doing too."""
    found = calibrated(answered(np.arange(300.0), lag_ms=2.0))
    assert found.added_p95_ms == pytest.approx(284)
    assert found.added_p99_ms == pytest.approx(296)
    assert found.send_lag_p99_ms == pytest.approx(2)
    assert found.n == 300


def test_a_host_that_adds_little_is_large_enough():
    """Nine milliseconds are less than a tenth of 100 ms."""
    assert too_small(calibrated(answered(9.0)), 100, RATE) is None


def test_a_host_that_adds_more_than_a_tenth_of_the_limit_is_too_small():
    """The sentence says against what, at which rate, how late, and what to do."""
    assert too_small(calibrated(answered(38.0)), 100, RATE) == (
        "generator or host too small: against a server of 5 ms, answers at 100/s came 38 ms late at p99, more than 10 ms"
        " (10 % of the tightest limit); stop other work on the host, use one with more cores, or lower load.rate"
    )


def test_a_generator_that_sends_late_and_is_busy_is_named():
    """More processes help it; a quieter host would not."""
    text = too_small(calibrated(answered(38.0, lag_ms=30.0), generator_cpu_share=0.97), 100, RATE)
    assert ": they left 30 ms late, the generator used 97 % of a core; raise load.workers" in text


def test_one_hiccup_does_not_make_a_host_too_small():
    """Ten late answers in one place are over 1 % of three seconds; a host that is too small adds all the time."""
    burst, scattered = np.zeros(300), np.zeros(300)
    burst[100:110] = scattered[::30] = 50.0
    assert calibrated(answered(burst)).added_p99_ms == pytest.approx(50)
    assert calibrated(answered(scattered)).added_p99_ms == pytest.approx(50)
    assert too_small(calibrated(answered(burst)), 100, RATE) is None
    assert too_small(calibrated(answered(scattered)), 100, RATE) is not None


def test_answers_that_never_came_are_late_for_ever():
    """They have no time, and are no reason to call a host large enough."""
    samples = answered(0.0)
    samples.error[::10] = ErrorKind.CONNECTION
    found = calibrated(samples)
    assert found.added_p99_ms == np.inf
    assert "answers at 100/s did not all come, more than 10 ms" in too_small(found, 100, RATE)
    assert found.details["added_p99_ms"] is None
    assert found.details["text"] == "p95 no answer and p99 no answer above its 5 ms (n = 300)"


def test_requests_that_never_left_are_named():
    """That is the generator's doing and nobody else's."""
    samples = Samples.unsent(np.arange(300) / RATE)
    assert "they did not all leave" in too_small(calibrated(samples), 100, RATE)


def test_no_samples_are_no_calibration():
    """Nothing measured is not "fast enough"."""
    with pytest.raises(ValueError, match="without a request"):
        calibrated(Samples.unsent(np.empty(0)))


@given(st.lists(st.floats(0, 1000), min_size=1, max_size=200), st.floats(0, 500), st.floats(1, 5000))
def test_adding_more_never_makes_a_host_larger(added_ms, more_ms, limit_ms):
    """Whoever is too small stays so when every answer comes later."""
    before = too_small(calibrated(answered(added_ms)), limit_ms, RATE)
    after = too_small(calibrated(answered(np.array(added_ms) + more_ms)), limit_ms, RATE)
    assert before is None or after is not None

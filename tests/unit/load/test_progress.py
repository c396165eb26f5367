"""The live line counts what is due, and what still waits."""

import numpy as np
import pytest

from mlgate.load import progress
from mlgate.load.progress import LoadProgress, Standing
from mlgate.load.samples import ErrorKind, Samples


def running(at_s, *, rate=100.0, duration_s=60.0, takes_s=0.04):
    """Return the live samples of a healthy run: what is answered by *at_s* is, the rest is untouched."""
    samples = Samples.unsent(np.arange(round(rate * duration_s)) / rate)
    sent = samples.intended_s <= at_s
    samples.sent_s[sent] = samples.intended_s[sent]
    answer(samples, samples.intended_s + takes_s <= at_s, takes_s)
    return samples


def answer(samples, mask, takes_s, error=ErrorKind.NONE):
    """Fill the rows of *mask* as a generator does."""
    samples.done_s[mask] = samples.intended_s[mask] + takes_s
    samples.status[mask] = 200 if error is ErrorKind.NONE else 500
    samples.error[mask] = error


def test_the_line_says_how_far_how_fast_how_slow_how_wrong_and_how_long_still():
    """One look at a terminal tells whether to go on waiting."""
    samples = running(23.0, takes_s=0.041)
    line = Standing.of(samples, 23.0).line(duration_s=60.0, limit_ms=100.0)
    assert line == "load 23 s of 60 s · 100/s · p95 41 ms (limit 100 ms) · errors 0 of 2 301 · 37 s left"


def test_requests_that_are_not_due_are_neither_counted_nor_called_errors():
    """Nobody has touched their rows, and an untouched row says "dropped"."""
    standing = Standing.of(running(1.0), 1.0)
    assert (standing.due, standing.errors, standing.waiting) == (101, 0, 4)


def test_a_stall_shows_while_it_lasts():
    """What waits has taken as long as it has waited: the line must not look healthy until the first answer is back."""
    samples = running(10.0)
    assert Standing.of(samples, 10.0).p95_ms == pytest.approx(40.0)
    assert Standing.of(samples, 20.0).p95_ms == pytest.approx(9000, rel=0.02)
    assert Standing.of(samples, 20.0).rate == 0.0


def test_a_request_without_a_good_answer_is_beyond_every_limit():
    """A server that refuses at once is not a quick one."""
    samples = running(10.0)
    answer(samples, samples.intended_s < 1.0, 0.001, ErrorKind.SERVER_ERROR)
    standing = Standing.of(samples, 10.0)
    assert standing.errors == 100
    assert "p95 without a good answer" in standing.line(duration_s=60.0)


def test_before_the_first_request_there_is_nothing_to_say():
    """The first look comes before the first send."""
    samples = Samples.unsent(np.array([5.0]))
    assert (
        Standing.of(samples, 0.0).line(duration_s=6.0)
        == "load 0 s of 6 s · 0/s · p95 unknown · errors 0 of 0 · 6 s left"
    )


@pytest.mark.parametrize(("done", "end"), [(True, "all answered"), (False, "waiting for 1 answers")])
def test_after_the_last_send_the_line_says_what_is_waited_for(done, end):
    """The wait for stragglers must not look like a hang."""
    samples = running(70.0)
    if not done:
        samples.done_s[-1] = np.nan
    assert Standing.of(samples, 70.0).line(duration_s=60.0).endswith(f" · {end}")


def test_a_long_run_is_looked_at_in_part_and_gives_the_same_percentile():
    """Twice a second, a million rows must not be sorted beside the server that is measured."""
    rng = np.random.default_rng(7)
    samples = running(4000.0, duration_s=4000.0)
    samples.done_s[:] = samples.intended_s + rng.lognormal(-3, 0.5, len(samples))
    assert len(samples) > 10 * progress.MOST_SORTED
    assert Standing.of(samples, 4100.0).p95_ms == pytest.approx(np.quantile(samples.response_ms, 0.95), rel=0.03)


def test_a_job_log_gets_a_line_every_ten_seconds():
    """120 lines of progress would bury what a log is read for."""
    told = []
    with LoadProgress(duration_s=60.0, tell=told.append) as watch:
        for at_s in np.arange(0.5, 60.5, 0.5).tolist():
            assert watch(running(at_s), at_s) is None
    assert [line.split(" of ")[0] for line in told] == [f"load {second} s" for second in (10, 20, 30, 40, 50, 60)]


def test_a_terminal_gets_every_look_and_a_clear_line_at_the_end():
    """Also where the run ends in an error."""
    shown, told = [], []

    def stopped_run():
        with LoadProgress(duration_s=60.0, tell=told.append, show=shown.append) as watch:
            watch(running(0.5), 0.5)
            watch(running(1.0), 1.0)
            raise RuntimeError

    with pytest.raises(RuntimeError):
        stopped_run()
    assert len(shown) == 3
    assert shown[-1] == ""
    assert told == []

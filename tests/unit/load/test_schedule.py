import itertools
from types import SimpleNamespace

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from scipy import integrate, stats

from mlgate.load.blocks import REGRESSION_BLOCKS
from mlgate.load.schedule import (
    Schedule,
    block_numbers,
    constant,
    interleaved,
    poisson,
    prefixed,
    ramp,
    schedule_of,
    spike,
    trace,
)
from mlgate.policy_load import Load

RATES = st.floats(0.5, 500)
SEEDS = st.none() | st.integers(0, 2**32)


def test_a_constant_schedule_is_evenly_spaced_and_starts_at_once():
    """100/s for 60 s is 6 000 sends, 10 ms apart, from 0 to 59.99 s."""
    schedule = constant(100, 60)
    assert len(schedule) == 6000
    assert schedule.sends_s[0] == 0
    assert np.allclose(np.diff(schedule.sends_s), 0.01)
    assert schedule.sends_s[-1] == pytest.approx(59.99)


@given(st.floats(0.5, 500), st.floats(2, 30), st.integers(0, 2**32))
def test_every_send_lies_within_the_run(rate, duration_s, seed):
    """Both schedules hold rate times duration sends, ascending, none after the end."""
    for schedule in (constant(rate, duration_s), poisson(rate, duration_s, seed)):
        assert len(schedule) == round(rate * duration_s)
        assert schedule.sends_s.dtype == np.float64
        assert (np.diff(schedule.sends_s) >= 0).all()
        # Rounding the count up by half a request may put the last send at the very end.
        assert 0 <= schedule.sends_s[0] <= schedule.sends_s[-1] <= duration_s + 0.5 / rate


def test_a_poisson_schedule_repeats_with_its_seed():
    """The same seed gives the same times, another seed gives others."""
    assert (poisson(50, 10, 7).sends_s == poisson(50, 10, 7).sends_s).all()
    assert (poisson(50, 10, 7).sends_s != poisson(50, 10, 8).sends_s).any()


def test_poisson_gaps_have_the_spread_of_an_exponential():
    """Mean and standard deviation of the gaps agree, as they do for an exponential distribution only."""
    gaps = np.diff(poisson(100, 200, 1).sends_s)
    assert gaps.mean() == pytest.approx(0.01, rel=0.01)
    assert gaps.std() == pytest.approx(0.01, rel=0.05)


@pytest.mark.parametrize(("rate", "duration_s"), [(0, 10), (-1, 10), (10, 0), (0.01, 10), (float("nan"), 10)])
def test_a_schedule_without_a_request_is_refused(rate, duration_s):
    """An empty schedule would pass every check, so there is none."""
    with pytest.raises(ValueError, match=r"no load|no request"):
        constant(rate, duration_s)
    with pytest.raises(ValueError, match=r"no load|no request|does not fit"):
        ramp(rate, duration_s, 0.01)
    with pytest.raises(ValueError, match=r"no load|no request|does not fit"):
        spike(rate, duration_s, 0.01, duration_s / 2)


@given(rate=RATES, factor=st.floats(0.01, 3), duration_s=st.floats(5, 60), seed=SEEDS)
def test_a_changing_rate_has_its_mean_and_its_sends_within_the_run(rate, factor, duration_s, seed):
    """Ascending, none before the start or after the end, as many as the rate's integral; also where it hardly changes."""
    for schedule in (
        ramp(rate, duration_s, rate * factor, seed),
        ramp(rate, duration_s, rate * (1 + 1e-12), seed),
        spike(rate, duration_s, rate * factor, duration_s / 3, seed),
    ):
        assert schedule.sends_s.dtype == np.float64
        assert (np.diff(schedule.sends_s) >= 0).all()
        assert schedule.sends_s[0] >= 0
        assert schedule.sends_s[-1] <= duration_s * (1 + 1e-12)
        assert len(schedule) == round(schedule.rate * duration_s)


def rate_of_ramp(t):
    return 5 + (100 - 5) * t / 60


def rate_of_spike(t):
    return 300.0 if 25 <= t < 35 else 100.0


@pytest.mark.parametrize(
    ("schedule", "rate_at"),
    [(lambda seed: ramp(100, 60, 5, seed), rate_of_ramp), (lambda seed: spike(100, 60, 300, 10, seed), rate_of_spike)],
    ids=["ramp", "spike"],
)
def test_sends_follow_the_integral_of_the_rate(schedule, rate_at):
    """Against a numerical integral: exactly where evenly spaced, in distribution where Poisson."""
    edges = np.arange(0, 61, 5.0)
    pieces = [integrate.quad(rate_at, a, b)[0] for a, b in itertools.pairwise(edges)]
    even = np.histogram(schedule(None).sends_s, edges)[0]
    assert np.abs(even - pieces).max() <= 1
    drawn = schedule(11).sends_s
    assert len(drawn) == len(schedule(None))
    fine = np.linspace(0, 60, 6001)
    cumulative = integrate.cumulative_trapezoid([rate_at(t) for t in fine], fine, initial=0)
    assert stats.kstest(np.interp(drawn, fine, cumulative) / cumulative[-1], "uniform").pvalue > 0.01
    assert stats.chisquare(np.histogram(drawn, edges)[0], np.array(pieces) * len(drawn) / sum(pieces)).pvalue > 0.01
    assert stats.chisquare(even, np.full(12, len(drawn) / 12)).pvalue < 1e-6


def test_a_spike_is_in_the_middle_and_a_ramp_ends_at_its_rate():
    """The rate before, within and after; the gaps at both ends."""
    sends = spike(100, 60, 300, 10).sends_s
    assert [((sends >= a) & (sends < b)).sum() for a, b in ((0, 25), (25, 35), (35, 60))] == [2500, 3000, 2500]
    gaps = np.diff(ramp(100, 60, 5).sends_s)
    assert gaps[-1] == pytest.approx(1 / 100, rel=0.01)
    assert gaps[0] == pytest.approx(1 / 5, rel=0.05)
    assert (np.diff(gaps) < 0).all()


@pytest.mark.parametrize("length_s", [0, 60, 61, float("nan")])
def test_a_spike_that_does_not_fit_is_refused(length_s):
    """It has to begin and to end within the run."""
    with pytest.raises(ValueError, match="does not fit"):
        spike(100, 60, 300, length_s)


def test_a_trace_is_sent_as_it_was_recorded():
    """One mean gap follows the last send, so that n over the length is the rate."""
    schedule = trace(np.array([0.0, 1.0, 1.0, 6.0]))
    assert schedule.sends_s.tolist() == [0, 1, 1, 6]
    assert (schedule.duration_s, schedule.rate) == (8.0, 0.5)


def test_a_trace_with_poisson_arrivals_keeps_its_number_and_its_bursts():
    """As many sends as recorded, most of them where the recorded ones were; another seed gives others."""
    times = np.concatenate([np.linspace(0, 10, 100, endpoint=False), np.linspace(10, 11, 900)])
    drawn = trace(times, seed=3)
    assert len(drawn) == 1000
    assert (drawn.sends_s < 10).sum() == pytest.approx(100, abs=40)
    assert drawn.sends_s.max() < drawn.duration_s
    assert (drawn.sends_s != trace(times, seed=4).sends_s).any()


@pytest.mark.parametrize("times", [[], [0.0], [0.0, 0.0], [1.0, 2.0], [0.0, 2.0, 1.0], [0.0, np.nan], [0.0, np.inf]])
def test_what_is_no_trace_is_refused(times):
    """No rate follows from it."""
    with pytest.raises(ValueError, match="ascend from 0"):
        trace(np.array(times))


@given(st.lists(st.floats(0, 20), min_size=1, max_size=60).map(sorted))
def test_the_peak_rate_is_the_fullest_second(times):
    """Counted one by one, over every window that begins with a send."""
    fullest = max(sum(start <= time < start + 1 - 1e-9 for time in times) for start in times)
    schedule = Schedule(sends_s=np.array(times), rate=len(times) / 21, duration_s=21.0)
    assert schedule.peak_rate == max(fullest, schedule.rate)


@pytest.mark.parametrize(
    ("schedule", "peak"),
    [(constant(100, 60), 100), (constant(0.5, 60), 1), (constant(50, 0.1), 50), (spike(100, 60, 300, 10), 300), (ramp(100, 60, 5), 100)],
    ids=["constant", "slow", "short", "spike", "ramp"],
)  # fmt: skip
def test_the_peak_rate_is_what_a_profile_rises_to(schedule, peak):
    """Give or take one request of a ramp's last second."""
    assert schedule.peak_rate == pytest.approx(peak, abs=1)


def test_a_prefix_leaves_before_second_0():
    """The schedule keeps its times, its rate and its length; the prefix goes to another target."""
    schedule, target = prefixed(constant(100, 60), constant(50, 2))
    assert schedule.sends_s[0] == -2
    assert schedule.lead_s == 2
    assert (schedule.sends_s[target == 0] == constant(100, 60).sends_s).all()
    assert target.sum() == 100
    assert (schedule.duration_s, schedule.rate) == (60, 100)


@given(
    rate=st.floats(5, 300),
    duration_s=st.floats(5, 60),
    blocks=st.integers(1, 12),
    gap_s=st.floats(0, 3),
    seed=SEEDS,
)
def test_both_sides_get_the_same_and_never_at_the_same_time(rate, duration_s, blocks, gap_s, seed):
    """As many sends, in as many blocks of the same length, with a gap after each."""
    schedule, side = interleaved(rate, duration_s, blocks, gap_s, seed)
    block = block_numbers(schedule.sends_s, duration_s, blocks, gap_s)
    assert (np.diff(schedule.sends_s) >= 0).all()
    assert side.dtype == np.uint8
    assert len(side) == len(schedule)
    assert (side == 0).sum() == (side == 1).sum() == len(schedule) / 2
    assert set(block.tolist()) == set(range(2 * blocks))
    period_s = duration_s / blocks + gap_s
    assert schedule.duration_s == pytest.approx(2 * blocks * period_s)
    for number in range(2 * blocks):
        mine = block == number
        assert mine.sum() == round(rate * duration_s / blocks)
        assert len(set(side[mine].tolist())) == 1
        within = schedule.sends_s[mine] - number * period_s
        assert within.min() >= -1e-9
        assert within.max() <= duration_s / blocks + 0.5 / rate


def test_the_blocks_go_a_b_b_a():
    """So that a steady trend of the host adds as much to the one side as to the other."""
    schedule, side = interleaved(10, 20, REGRESSION_BLOCKS, 0.5)
    assert side[::20].tolist() == [0, 1, 1, 0] * 5
    assert schedule.sends_s[side == 0].mean() == pytest.approx(schedule.sends_s[side == 1].mean())
    assert np.diff(schedule.sends_s).max() == pytest.approx(0.1 + 0.5)


@pytest.mark.parametrize(("blocks", "gap_s"), [(0, 1), (-1, 1), (4, -0.1), (1000, 1)])
def test_blocks_without_a_request_are_refused(blocks, gap_s):
    """Nothing would be compared."""
    with pytest.raises(ValueError, match=r"at least 1|sends no request"):
        interleaved(10, 20, blocks, gap_s)


@pytest.mark.parametrize("arrivals", ["constant", "poisson"])
def test_a_policy_gets_the_schedule_that_it_names(tmp_path, arrivals):
    """Each profile, with the same number of sends for both kinds of arrivals."""
    (tmp_path / "t.csv").write_text("".join(f"{place / 20}\n" for place in range(400)))

    def of(seed=5, **values):
        return schedule_of(Load.model_validate({"arrivals": arrivals, **values}), seed, tmp_path)

    drawn = 5 if arrivals == "poisson" else None
    plain = constant(20, 30) if drawn is None else poisson(20, 30, drawn)
    for got, wanted in (
        (of(), plain),
        (of(profile="soak", duration="10m", rate="1/s"), constant(1, 600) if drawn is None else poisson(1, 600, drawn)),
        (of(profile="ramp"), ramp(20, 30, 2, drawn)),
        (of(profile={"spike": {"to": "90/s", "length": "4s"}}), spike(20, 30, 90, 4, drawn)),
        (of(profile={"trace": "t.csv"}), trace(np.arange(400) / 20, drawn)),
    ):
        assert np.array_equal(got.sends_s, wanted.sends_s)
        assert (got.rate, got.duration_s) == (wanted.rate, wanted.duration_s)
    assert (of().sends_s == of(seed=6).sends_s).all() == (arrivals == "constant")


def test_no_profile_is_left_out():
    """One that nobody built would otherwise be sent as something else."""
    with pytest.raises(AssertionError):
        schedule_of(SimpleNamespace(shape="stairs", arrivals="constant"), 1, None)

import json
import math
from dataclasses import replace

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from mlgate.evidence import Cause, Outcome
from mlgate.load.capacity import (
    STEPS_BETWEEN,
    Capacity,
    Limits,
    Step,
    headroom_words,
    most_steps,
    next_callers,
    report_capacity,
)
from mlgate.load.samples import ErrorKind, Samples

LIMITS = Limits(p95_ms=100.0, error_rate=0.01)


def step(callers, rate, *, exceeded="", cpu=0.2, n=200):
    return Step(
        callers=callers, rate=rate, n=n, errors=0, p50_ms=8.0, p95_ms=10.0, p99_ms=12.0,
        generator_cpu_share=cpu, exceeded=exceeded,
    )  # fmt: skip


def search(server, most=512):
    """Return the steps that a *server* (callers to a step) is asked for."""
    steps = []
    while (callers := next_callers(steps, most=most)) is not None:
        steps.append(server(callers))
    return steps


def queueing(service_ms, lines, limit_ms):
    """Return a server of *lines* parallel lines, each a request in *service_ms*, exact: a closed loop has no luck."""

    def serve(callers):
        latency_ms = service_ms * max(1, callers / lines)
        over = f"p95 {latency_ms:g} ms" if latency_ms > limit_ms else ""
        return step(callers, min(callers, lines) * 1000 / service_ms, exceeded=over)

    return serve


def test_callers_double_until_a_limit_is_exceeded_and_then_close_in():
    """10 ms a request, one at a time: eleven callers wait 110 ms each, ten wait 100."""
    steps = search(queueing(10, 1, 40))
    # The rate stands still from the first caller on, so the search may end before the limit does.
    assert [each.callers for each in steps] == [1, 2, 4]
    steps = search(queueing(10, 8, 15))
    assert [each.callers for each in steps] == [1, 2, 4, 8, 16, 11, 13, 12]
    found = Capacity.of(steps)
    assert (found.rate, found.callers) == (800, 8)
    assert found.stopped_by == "p95 16.25 ms with 13 callers"


def test_a_rate_that_no_longer_grows_ends_the_search_after_two_steps_in_a_row():
    """One step without growth may be noise."""
    assert next_callers([step(1, 100), step(2, 101)]) == 4
    assert next_callers([step(1, 100), step(2, 101), step(4, 300)]) == 8
    assert next_callers([step(1, 100), step(2, 101), step(4, 102)]) is None
    assert (
        Capacity.of([step(1, 100), step(2, 101), step(4, 102)]).stopped_by == "the rate no longer grows with 4 callers"
    )


def test_a_server_beyond_its_limits_with_one_caller_has_no_capacity():
    """There is nothing between zero and one to look for."""
    steps = search(queueing(200, 1, 100))
    assert [each.callers for each in steps] == [1]
    finding = report_capacity(Capacity.of(steps), rate=20)
    assert finding.outcome is Outcome.FAILED
    assert finding.measured == 0
    assert finding.reason == "closed loop: p95 200 ms with 1 caller"


def test_what_is_within_by_luck_beyond_a_step_that_is_not_does_not_count():
    """The capacity lies before the first step that exceeds a limit."""
    found = Capacity.of([step(1, 100), step(4, 300, exceeded="p95 300 ms > 250 ms"), step(8, 900)])
    assert found.rate == 100


def test_a_generator_at_its_end_is_named():
    """Then the server may well carry more, and the words say so."""
    found = Capacity.of([step(64, 4000, cpu=0.7), step(128, 4100, cpu=0.97), step(256, 4050, cpu=0.99)])
    assert found.generator_is_the_limit
    assert "at least 4 100/s" in report_capacity(found, rate=100).reason
    assert report_capacity(found, rate=100).outcome is Outcome.PASSED
    assert report_capacity(found, rate=9000).cause is Cause.HARNESS
    assert headroom_words(100, 0.02, 1, found) == (
        "100/s uses 2 % of one core; the limit is beyond 4 100/s, which is what the generator can send"
    )


@given(
    st.floats(0.5, 500), st.integers(1, 64), st.floats(1, 1000), st.integers(1, 512),
    st.lists(st.booleans(), min_size=20, max_size=20),
)  # fmt: skip
def test_every_search_ends_and_its_answer_is_a_step_within_the_limits(service_ms, lines, limit_ms, most, luck):
    """Whatever the server does, also where limits are exceeded at random."""
    lucky = iter(luck)

    def serve(callers):
        found = queueing(service_ms, lines, limit_ms)(callers)
        return found if next(lucky) else replace(found, exceeded="noise")

    steps = search(serve, most)
    assert len(steps) <= most_steps(most)
    assert len({each.callers for each in steps}) == len(steps)
    assert max(each.callers for each in steps) <= most
    found = Capacity.of(steps)
    assert not found.rate or any(each.within and each.rate == found.rate for each in steps)
    assert len([each for each in steps if not each.within]) <= STEPS_BETWEEN + 1


def served(times_ms, *, failing=0):
    samples = Samples.unsent(np.zeros(len(times_ms)))
    samples.sent_s[:], samples.done_s[:] = 0.0, np.asarray(times_ms) / 1000
    samples.status[:], samples.error[:] = 200, ErrorKind.NONE
    samples.error[:failing] = ErrorKind.INVALID
    return samples


@pytest.mark.parametrize(
    ("times_ms", "failing", "exceeded"),
    [
        ([50] * 100, 0, ""),
        ([50] * 100, 1, ""),
        ([50] * 100, 2, "errors 2 % > 1 %"),
        ([50] * 94 + [130] * 6, 0, "p95 130 ms > 100 ms"),
        ([50] * 95 + [130] * 5, 0, ""),
        ([], 0, "no answer at all"),
    ],
)
def test_a_step_is_held_to_the_limits(times_ms, failing, exceeded):
    """Errors first: a server that refuses at once is not a fast one."""
    found = Step.of(served(times_ms, failing=failing), callers=4, seconds=2, generator_cpu_share=0.1, limits=LIMITS)
    assert found.exceeded == exceeded
    assert found.rate == (len(times_ms) - failing) / 2


def test_steps_are_json():
    """A percentile that is no number is null there."""
    found = Step.of(served([]), callers=4, seconds=2, generator_cpu_share=0.1, limits=LIMITS)
    assert math.isinf(found.p95_ms)
    assert found.details["p95_ms"] is None
    details = report_capacity(Capacity.of([step(1, 100), step(2, 101), found]), rate=20, headroom="some").details
    assert json.loads(json.dumps(dict(details)))["steps"][-1]["within"] is False
    assert details["advisory"] is True
    assert details["headroom"] == "some"


@pytest.mark.parametrize(
    ("share", "cpus", "capacity", "words"),
    [
        (0.63, 1, None, "100/s uses 63 % of one core; the limit is reached near 158/s"),
        (0.63, 1, 141.7, "100/s uses 63 % of one core; the limit is reached near 141/s"),
        (1.26, 2, None, "100/s uses 63 % of 2 cores; the limit is reached near 158/s"),
        (0.02, 1, None, "100/s uses 2 % of one core"),
        (None, 1, 141.7, "the limit is reached near 141/s"),
        (None, 1, None, ""),
    ],
)
def test_headroom_is_said_in_words(share, cpus, capacity, words):
    """From the measured capacity, else from the CPU; and nothing where nothing is known."""
    found = None if capacity is None else Capacity.of([step(4, capacity)])
    assert headroom_words(100, share, cpus, found) == words

import numpy as np
import pytest
from hdrh.histogram import HdrHistogram
from hypothesis import given
from hypothesis import strategies as st

from mlgate.load import tally
from mlgate.load.samples import Samples
from mlgate.load.tally import UNITS_PER_MS, Exact, Recorded, Tally, chunks, ordered_latencies
from tests.unit.load.judgement.runs import erring, run, spread


@given(st.lists(st.floats(0.001, 3_000_000), min_size=1, max_size=200))
def test_values_recorded_at_once_are_in_the_buckets_of_values_recorded_one_by_one(times):
    """The cut to a bucket's bits agrees with HdrHistogram's own."""
    recorded, one_by_one = Recorded(), HdrHistogram(1, tally.LARGEST_MS * UNITS_PER_MS, tally.DIGITS)
    recorded.add(np.array(times))
    for time in times:
        one_by_one.record_value(max(1, round(time * UNITS_PER_MS)))
    steps = [(step.value_iterated_to, step.count_at_value_iterated_to) for step in one_by_one.get_recorded_iterator()]
    values, last_ranks = recorded.buckets()
    assert last_ranks.tolist() == np.cumsum([count for _, count in steps]).tolist()
    assert values == pytest.approx([top / UNITS_PER_MS for top, _ in steps], rel=1e-3)


@given(st.lists(st.one_of(st.floats(1, 100_000), st.just(np.inf)), min_size=1, max_size=100))
def test_every_rank_is_within_a_thousandth(times):
    """Those without a good answer come last."""
    exact, recorded = Exact(np.array(times)), Recorded()
    recorded.add(np.array(times))
    assert len(recorded) == len(exact)
    for rank in range(1, len(times) + 1):
        assert recorded.at(rank) == pytest.approx(exact.at(rank), rel=1e-3)


def test_a_long_run_is_recorded(monkeypatch):
    """Up to the threshold every latency is kept, beyond it none."""
    assert isinstance(ordered_latencies(run(10)), Exact)
    monkeypatch.setattr(tally, "EXACT_UP_TO", 9)
    assert isinstance(ordered_latencies(run(10)), Recorded)


def test_parts_are_views_of_a_mapped_file(tmp_path, monkeypatch):
    """Looking at a part copies nothing, and the parts are all rows in order."""
    monkeypatch.setattr(tally, "CHUNK", 7)
    samples = Samples.create(tmp_path / "rows", np.arange(20) / 10)
    parts = list(chunks(samples))
    assert [len(part) for part in parts] == [7, 7, 6]
    assert all(np.shares_memory(part.done_s, samples.done_s) for part in parts)
    assert np.concatenate([part.intended_s for part in parts]).tolist() == samples.intended_s.tolist()


def test_counts_do_not_depend_on_the_parts(monkeypatch):
    """Per second, per kind and per status."""
    samples = erring(run(1_000, over=spread(50, 1_000)), spread(30, 1_000))
    whole = Tally.of(samples, lambda part: part.failed | (part.response_ms > 250))
    monkeypatch.setattr(tally, "CHUNK", 37)
    parted = Tally.of(samples, lambda part: part.failed | (part.response_ms > 250))
    assert parted.sizes.tolist() == whole.sizes.tolist() == [100] * 10
    assert parted.counts.tolist() == whole.counts.tolist()
    assert (parted.errors, parted.statuses) == (whole.errors, whole.statuses)
    assert whole.errors == {"5xx": 30}
    assert whole.failed == 30

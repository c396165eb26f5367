import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from mlgate.load.samples import DROPPED, STATUS, TIMEOUT, Health, Samples
from mlgate.load.schedule import constant

COLUMNS = ("intended_s", "sent_s", "done_s", "status", "size", "error")


def answered(intended_s, response_ms, *, lag_ms=0.0):
    """Return samples that were all answered well, *response_ms* after the intended send."""
    samples = Samples.unsent(np.asarray(intended_s, float))
    samples.sent_s[:] = samples.intended_s + np.asarray(lag_ms) / 1000
    samples.done_s[:] = samples.intended_s + np.asarray(response_ms) / 1000
    samples.status[:], samples.error[:] = 200, ""
    return samples


@given(
    st.lists(
        st.tuples(
            st.floats(0, 1e6),
            st.floats(0, 1e6),
            st.sampled_from([0, 200, 400, 504]),
            st.sampled_from(["", STATUS, TIMEOUT]),
        ),
        max_size=20,
    )
)
def test_samples_survive_their_file(tmp_path_factory, rows):
    """Every column comes back bit for bit, sent or not, and no partial file stays."""
    samples = Samples.unsent(np.arange(len(rows) + 1) / 10)
    for index, (sent_s, wait_s, status, error) in enumerate(rows):
        samples.sent_s[index], samples.done_s[index] = sent_s, sent_s + wait_s
        samples.status[index], samples.error[index], samples.size[index] = status, error, index
    folder = tmp_path_factory.mktemp("samples")
    samples.write(folder / "samples.npz")
    again = Samples.read(folder / "samples.npz")
    assert [path.name for path in folder.iterdir()] == ["samples.npz"]
    for column in COLUMNS:
        assert np.array_equal(getattr(samples, column), getattr(again, column), equal_nan=column.endswith("_s"))
        assert getattr(samples, column).dtype == getattr(again, column).dtype


@pytest.mark.parametrize("content", [b"", b"PK\x03\x04 not a zip", b"\x93NUMPY"])
def test_a_damaged_file_is_no_samples(tmp_path, content):
    """A truncated or foreign file is named, not read as an empty run."""
    path = tmp_path / "samples.npz"
    path.write_bytes(content)
    with pytest.raises(ValueError, match=r"samples\.npz holds no load samples"):
        Samples.read(path)


def test_a_file_of_pickled_objects_is_not_opened(tmp_path):
    """An object column would run code on load, so it is refused."""
    path = tmp_path / "samples.npz"
    np.savez(path, **dict.fromkeys(COLUMNS, np.array([object()], dtype=object)))
    with pytest.raises(ValueError, match="allow_pickle"):
        Samples.read(path)


def test_columns_of_unequal_length_are_refused():
    """A row that lacks a column is no sample."""
    whole = Samples.unsent(np.zeros(3))
    with pytest.raises(ValueError, match="differ in length"):
        Samples(**{column: getattr(whole, column)[: 2 if column == "status" else 3] for column in COLUMNS})


def test_response_time_starts_at_the_intended_send_and_service_time_at_the_real_one():
    """A request that leaves 40 ms late and is answered 10 ms later took its caller 50 ms."""
    samples = answered([0.0, 1.0], [50.0, 50.0], lag_ms=[40.0, 0.0])
    assert samples.response_ms == pytest.approx([50, 50])
    assert samples.service_ms == pytest.approx([10, 50])
    assert samples.send_lag_ms == pytest.approx([40, 0])


def test_an_unsent_request_is_a_failed_one():
    """What never left is neither sent nor answered, and no good answer."""
    samples = Samples.unsent(np.arange(3.0))
    assert not samples.sent.any()
    assert not samples.answered.any()
    assert samples.failed.all()
    assert set(samples.error) == {DROPPED}


def test_the_histogram_counts_every_answer_once():
    """Forty bins, forty-one ascending edges, as many counts as answers, also where all are equal."""
    for values in (np.geomspace(1, 5000, 777), np.full(777, 5.0)):
        histogram = answered(np.arange(777) / 100, values).histogram()
        assert sum(histogram["counts"]) == 777
        assert len(histogram["edges_ms"]) == len(histogram["counts"]) + 1 == 41
        assert (np.diff(histogram["edges_ms"]) >= 0).all()


def test_the_summary_is_of_observed_values():
    """p50 of 1..100 ms is 50 ms and p99 is 99 ms: values that were seen, not between two of them."""
    summary = answered(np.arange(100) / 10, np.arange(1.0, 101.0)).summary()
    assert summary["response_ms"] == {"p50": 50, "p90": 90, "p95": 95, "p99": 99, "max": 100}
    assert Samples.unsent(np.arange(3.0)).summary() == {}


def test_health_is_the_rate_and_the_lag_of_what_left():
    """Of 400 sends at 100/s, 40 never leave and the rest leave 3 ms late."""
    samples = answered(constant(100, 4).sends_s, 5.0, lag_ms=3.0)
    samples.sent_s[::10] = np.nan
    health = Health.of(samples, rate=100, duration_s=4, cpu_share=0.04)
    assert health.dropped == 40
    assert health.achieved_rate == pytest.approx(90)
    assert health.send_lag_p99_ms == pytest.approx(3)
    assert Health.of(Samples.unsent(np.arange(3.0)), rate=1, duration_s=3, cpu_share=0).send_lag_p99_ms == float("inf")

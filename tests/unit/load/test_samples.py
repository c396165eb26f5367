import numpy as np
import pytest

from mlgate.load.samples import ErrorKind, Health, Samples
from mlgate.load.schedule import constant

COLUMNS = ("intended_s", "sent_s", "done_s", "size", "status", "body", "answer", "target", "error")


def answered(intended_s, response_ms, *, lag_ms=0.0):
    """Return samples that were all answered well, *response_ms* after the intended send."""
    samples = Samples.unsent(np.asarray(intended_s, float))
    samples.sent_s[:] = samples.intended_s + np.asarray(lag_ms) / 1000
    samples.done_s[:] = samples.intended_s + np.asarray(response_ms) / 1000
    samples.status[:], samples.error[:] = 200, ErrorKind.NONE
    return samples


def test_what_a_generator_writes_is_seen_where_it_is_mapped(tmp_path):
    """The run looks at the same bytes; it can not change them, and a copy outlives the file."""
    writer = Samples.create(tmp_path / "rows", constant(10, 1).sends_s, body=np.arange(10, dtype=np.int32))
    reader = Samples.mapped(tmp_path / "rows")
    assert reader.failed.all()
    writer.sent_s[3], writer.done_s[3], writer.status[3] = 0.3, 0.31, 200
    assert reader.failed.all()  # half a row is no good answer
    assert reader.waiting.nonzero()[0].tolist() == [3]
    writer.error[3] = ErrorKind.NONE
    assert (~reader.failed).nonzero()[0].tolist() == [3]
    assert not reader.waiting.any()
    assert reader.body.tolist() == list(range(10))
    with pytest.raises(ValueError, match="read-only"):
        reader.error[0] = 0
    kept = reader.copy()
    (tmp_path / "rows").unlink()
    writer.error[4] = ErrorKind.TIMEOUT
    assert kept.error[4] == ErrorKind.DROPPED


def test_no_rows_map_to_no_samples(tmp_path):
    """An empty file can not be mapped, and is no error."""
    assert len(Samples.create(tmp_path / "rows", np.zeros(0))) == 0


def test_a_file_of_other_rows_is_refused(tmp_path):
    """Bytes that are not a whole number of rows are no rows."""
    (tmp_path / "rows").write_bytes(b"x" * 100)
    with pytest.raises(ValueError, match="multiple"):
        Samples.mapped(tmp_path / "rows")


def test_errors_are_counted_by_their_labels():
    """As evidence and people read them; good answers are not among them."""
    samples = answered([0.0, 1.0, 2.0, 3.0], 5.0)
    samples.error[:3] = [ErrorKind.SERVER_ERROR, ErrorKind.TIMEOUT, ErrorKind.TIMEOUT]
    assert samples.error_counts == {"5xx": 1, "timeout": 2}


def test_every_kind_of_error_has_a_label_of_its_own():
    """A file that holds labels can be read back."""
    assert len({kind.label for kind in ErrorKind}) == len(ErrorKind)


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
    assert set(samples.error) == {ErrorKind.DROPPED}


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

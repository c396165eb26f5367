"""Reading a recorded arrival trace: what is a time, and what is refused, by line."""

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from mlgate.errors import PolicyError
from mlgate.load import arrivals
from mlgate.load.arrivals import read_arrivals


def read(folder, text):
    """The times of a trace with *text*."""
    (folder / "t.csv").write_bytes(text if isinstance(text, bytes) else text.encode())
    return read_arrivals(folder / "t.csv", name="t.csv")


@pytest.mark.parametrize(
    ("text", "times"),
    [
        ("0\n0.25\n1\n", [0, 0.25, 1]),
        ("seconds\n0\n1\n", [0, 1]),
        ('"arrived at"\n"3"\n"5"\n', [0, 2]),
        ("\ufefftime\r\n1\r\n4\r\n", [0, 3]),
        ("1700000000.5\n1700000003\n", [0, 2.5]),
        ("5\n1\n3\n3", [0, 2, 2, 4]),
        ("\n\n-1\n\n1e1\n\n", [0, 11]),
        ("2024-01-31T12:00:00\n2024-01-31T12:00:00.250\n2024-01-31 12:01:00Z\n", [0, 0.25, 60]),
        ("when\n2024-01-31T12:00:00+01:00\n2024-01-31T11:00:02Z\n", [0, 2]),
        ("2024-02-28\n2024-03-01\n", [0, 2 * 86400]),
    ],
)
def test_times_are_seconds_from_the_first_in_order(tmp_path, text, times):
    """Seconds from any zero or timestamps, with or without a header, sorted."""
    found = read(tmp_path, text)
    assert found.dtype == np.float64
    assert found.tolist() == pytest.approx(times, abs=1e-6)


@pytest.mark.parametrize(
    ("text", "says"),
    [
        ("0\nx\n", "t.csv:2: 'x' is no number of seconds, as the lines above it are"),
        ("s\n0\n\n1\ntwo\n", "t.csv:5: 'two' is no number of seconds"),
        ("0\n1,2\n", "t.csv:2: '1,2' has more than one column"),
        ("a,b\n1,2\n", "t.csv:1: 'a,b' has more than one column"),
        ("0,5\n1,5\n", "t.csv:1: '0,5' has more than one column"),
        ("nan\n1\n2\n", "t.csv:1: 'nan' is no finite number of seconds"),
        ("1\ninf\n", "t.csv:2: 'inf' is no finite number of seconds"),
        ("a\nb\n1\n", "t.csv:2: 'b' is no time"),
        ("2024-13-01\n2024-01-01\n", "t.csv:1: '2024-13-01' is no time"),
        ("2024-01-01\n5\n", "t.csv:2: '5' is no time"),
        ("", "t.csv: 0 arrivals; a trace has at least two"),
        (
            "1767225600000\n1767225660000\n",
            "t.csv:1: '1767225600000' is no number of seconds that a clock shows; are these milliseconds?",
        ),
        ("-1e308\n1e308\n", "t.csv:1: '-1e308' is no number of seconds"),
        ("seconds\n", "t.csv: 0 arrivals"),
        ("7\n", "t.csv: 1 arrivals"),
        ("7\n7\n7\n", "t.csv: 3 arrivals at one moment"),
        (b"\xff\xfe1\n", "t.csv: can not be read ('utf-8' codec"),
    ],
)
def test_a_bad_line_is_named_with_file_number_and_what_it_is(tmp_path, text, says):
    """In one line, with how it would be right."""
    with pytest.raises(PolicyError) as caught:
        read(tmp_path, text)
    message = str(caught.value)
    assert message.startswith(says)
    assert "\n" not in message
    assert "Hint: " in message


@pytest.mark.parametrize("name", ["nowhere.csv", "."])
def test_a_file_that_can_not_be_read_is_refused(tmp_path, name):
    """Missing, or a folder."""
    with pytest.raises(PolicyError, match=r"can not be read .*Hint: paths are relative to the policy file"):
        read_arrivals(tmp_path / name)


def test_a_huge_file_is_not_even_read(tmp_path, monkeypatch):
    """Its bytes would all be held."""
    monkeypatch.setattr(arrivals, "MAX_TRACE_BYTES", 5)
    assert len(read(tmp_path, "1\n22\n")) == 2
    with pytest.raises(PolicyError, match="larger than 5 bytes"):
        read(tmp_path, "1\n222\n")


@given(st.lists(st.floats(-1e9, 1e9), min_size=2, max_size=50), st.booleans())
def test_any_numbers_come_back_as_their_distance_from_the_smallest(tmp_path_factory, numbers, header):
    """To the last digit."""
    folder = tmp_path_factory.getbasetemp()
    text = "".join(f"{line}\n" for line in (["t"] if header else []) + [repr(number) for number in numbers])
    if min(numbers) == max(numbers):
        with pytest.raises(PolicyError, match="at one moment"):
            read(folder, text)
    else:
        assert read(folder, text).tolist() == [number - min(numbers) for number in sorted(numbers)]


@given(st.text(max_size=40))
def test_any_text_is_a_trace_or_one_line(tmp_path_factory, text):
    """Nothing but a policy error comes out."""
    try:
        line = str(read(tmp_path_factory.getbasetemp(), text.encode("utf-8", "surrogatepass"))[0])
    except PolicyError as error:
        line = str(error)
    assert line == "0.0" or line.startswith("t.csv")
    assert "\n" not in line

"""Quantities: what people write, and what people read."""

import math

import pytest
from hypothesis import given
from hypothesis import strategies as st

from mlgate.quantities import (
    format_duration,
    format_measured,
    format_number,
    format_share,
    format_size,
    parse_duration,
    parse_percent,
    parse_rate,
    parse_size,
)

PARSERS = [parse_duration, parse_percent, parse_rate, parse_size]


@pytest.mark.parametrize(
    ("parse", "text", "value"),
    [
        (parse_duration, "250ms", 0.25),
        (parse_duration, "10s", 10.0),
        (parse_duration, "5m", 300.0),
        (parse_duration, "5 min", 300.0),
        (parse_duration, "7d", 604800.0),
        (parse_duration, " 1.5h ", 5400.0),
        (parse_percent, "0.5%", 0.005),
        (parse_percent, "0%", 0.0),
        (parse_percent, "100%", 1.0),
        (parse_rate, "100/s", 100.0),
        (parse_rate, "600/min", 10.0),
        (parse_rate, "3600/h", 1.0),
        (parse_size, "1GiB", 2**30),
        (parse_size, "900MiB", 900 * 2**20),
        (parse_size, "1.5kB", 1500),
    ],
)
def test_a_quantity_is_read_in_its_base_unit(parse, text, value):
    """Seconds, fractions, events per second, bytes."""
    assert parse(text) == pytest.approx(value)


@pytest.mark.parametrize("parse", PARSERS)
@pytest.mark.parametrize("bare", [250, 0.5, True, None, ["1s"], "250", ""])
def test_a_bare_number_is_refused_with_an_example(parse, bare):
    """Whatever the type that YAML made of it."""
    with pytest.raises(ValueError, match="write it like"):
        parse(bare)


@pytest.mark.parametrize(
    ("parse", "text"),
    [
        (parse_duration, "-5s"),
        (parse_duration, "5 years"),
        (parse_duration, "100001d"),
        (parse_duration, "99999999999999999999w"),
        (parse_duration, "1e3s"),
        (parse_duration, "10S"),
        (parse_duration, "٣s"),
        (parse_duration, "5%"),
        (parse_percent, "101%"),
        (parse_percent, "-1%"),
        (parse_rate, "0/s"),
        (parse_rate, "5s"),
        (parse_size, "0MiB"),
        (parse_size, "0.4B"),
        (parse_size, "1gib"),
    ],
)
def test_a_wrong_quantity_is_refused(parse, text):
    """Negative, unknown unit, out of range, or nothing at all."""
    with pytest.raises(ValueError, match="'"):
        parse(text)


@pytest.mark.parametrize(("parse", "unit"), [(parse_duration, "s"), (parse_rate, "/s"), (parse_size, "GiB")])
def test_more_digits_than_a_number_holds_are_a_value_error(parse, unit):
    """Not an overflow, and the message does not repeat them all."""
    with pytest.raises(ValueError, match="more than a number can hold") as caught:
        parse("9" * 400 + unit)
    assert len(str(caught.value)) < 120


@given(st.text())
def test_any_text_is_a_quantity_or_a_value_error(text):
    """And a quantity is finite and not negative."""
    for parse in PARSERS:
        try:
            value = parse(text)
        except ValueError:
            continue
        assert 0 <= value < math.inf


@pytest.mark.parametrize(
    ("value", "text"),
    [
        (6000, "6 000"),
        (6000.0, "6 000"),
        (0.83123, "0.8312"),
        (12345.6, "12 346"),
        (-1234.0, "-1 234"),
        (1e20, "1e+20"),
        (1e300, "1e+300"),
        (math.nan, "nan"),
        (math.inf, "inf"),
    ],
)
def test_a_number_is_short_and_never_raises(value, text):
    """Four digits, thousands apart; what is no number is shown as such."""
    assert format_number(value) == text


@pytest.mark.parametrize(
    ("value", "unit", "text"),
    [
        (0.0412, "s", "41.2 ms"),
        (2.61, "s", "2.61 s"),
        (250, "s", "4 min 10 s"),
        (7200 * 3, "s", "6 h"),
        (86400 * 10, "s", "10 d"),
        (41.2, "ms", "41.2 ms"),
        (0.005, "share", "0.5 %"),
        (2**30, "bytes", "1 GiB"),
        (893.4 * 2**20, "bytes", "893.4 MiB"),
        (99.5, "1/s", "99.5/s"),
        (0.8312, "", "0.8312"),
    ],
)
def test_a_measurement_is_shown_in_the_unit_a_person_would_choose(value, unit, text):
    """One line of each unit."""
    assert format_measured(value, unit) == text


@given(st.floats(0.001, 1e8))
def test_a_shown_duration_is_read_back_close_to_what_it_was(seconds):
    """What is printed for days, hours and seconds is what the parser takes; minutes have two parts."""
    shown = format_duration(seconds)
    if " min " in shown:
        minutes, rest = shown.split(" min ")
        back = parse_duration(f"{minutes}min") + parse_duration(rest)
    else:
        back = parse_duration(shown.replace(" ", ""))
    assert back == pytest.approx(seconds, rel=0.01, abs=1.0 if " min " in shown else 0)


@given(st.integers(1, 2**50))
def test_a_shown_size_is_within_rounding_of_the_bytes(size):
    """One decimal in each unit."""
    number, unit = format_size(size).rsplit(" ", 1)
    assert parse_size(f"{number.replace(' ', '')}{unit}") == pytest.approx(size, rel=0.06)


@given(st.floats(0, 1))
def test_a_share_is_shown_in_percent(share):
    """With the unit that the policy asks for."""
    number = format_share(share).removesuffix(" %")
    assert float(number.replace(" ", "")) == pytest.approx(share * 100, rel=0.01)

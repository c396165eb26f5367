"""Text of unknown origin, made fit to be shown."""

import math

import pytest
from hypothesis import given
from hypothesis import strategies as st

from mlgate.report.text import as_text, clean, clean_end, number, numbers, one_line


@pytest.mark.parametrize(
    ("text", "shown"),
    [
        ("a\x00b", "a\u2400b"),
        ("\x1b[31m", "\u241b[31m"),
        ("\x7f\x85", "\u2421\\u0085"),
        ("\u202egnp.exe", "\\u202egnp.exe"),
        ("\ud800", "\\ud800"),
        ("tab\tand\r\nline", "tab\tand\nline"),
        ("é 你 \U0001f600", "é 你 \U0001f600"),
    ],
    ids=ascii,
)
def test_unfit_characters_become_visible_and_others_stay(text, shown):
    """A reader sees what was there, and nothing moves around it."""
    assert clean(text, 100) == shown


def test_a_cut_text_says_how_long_it_was():
    """Nobody mistakes the beginning for the whole."""
    assert clean("x" * 5000, 100).endswith("x… (5 000 characters in all)")
    assert len(clean("x" * 5000, 100)) == 100


def test_a_cut_log_keeps_its_end():
    """The last line says what went wrong."""
    shown = clean_end("start\n" * 1000 + "ValueError: no", 50)
    assert shown.startswith("…")
    assert shown.endswith("ValueError: no")
    assert len(shown) == 50


@given(st.text(st.characters()), st.integers(20, 60))
def test_a_cleaned_text_is_never_longer_than_asked_and_always_utf_8(text, limit):
    """Escapes count too."""
    for cut in (clean, clean_end, one_line):
        shown = cut(text, limit)
        assert len(shown) <= limit
        shown.encode()
    assert "\n" not in one_line(text, limit)


@pytest.mark.parametrize("value", [math.nan, math.inf, -math.inf, 1e300, "1", None, True, [1]])
def test_what_is_no_number_is_not_drawn(value):
    """A chart never places NaN."""
    assert number(value) is None
    assert numbers([value, 2]) == [2.0]


def test_json_values_are_shown_as_json_and_text_as_it_stands():
    """An example that a check stored as text is not parsed: parsing would change it."""
    assert as_text('{"a": 1e400}') == '{"a": 1e400}'
    assert as_text({"b": 1, "a": "é"}) == '{\n  "a": "é",\n  "b": 1\n}'

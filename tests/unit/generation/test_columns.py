"""Domains of single columns: every value is valid, text is real Unicode, rules narrow, and simplifying ends."""

import base64
import json
import re
import subprocess
import sys
import unicodedata

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from mlgate.artifacts.signature import AnyType, ArrayType, DataType, MapType, ObjectType, Property
from mlgate.errors import PolicyError
from mlgate.generation.columns import column_domain
from mlgate.generation.domain import identity
from mlgate.generation.interface import Mode, Unsupported
from mlgate.policy_properties import InputRule

NUMBERS = [DataType.INTEGER, DataType.LONG, DataType.FLOAT, DataType.DOUBLE]
PERSON = ObjectType(
    (
        Property("name", DataType.STRING, True),
        Property("nick", DataType.STRING, False),
        Property("scores", ArrayType(DataType.DOUBLE), False),
        Property("tags", MapType(DataType.LONG), True),
    )
)
KINDS = [
    *DataType,
    ArrayType(DataType.LONG),
    ArrayType(ArrayType(DataType.STRING)),
    MapType(DataType.DOUBLE),
    MapType(ArrayType(DataType.BINARY)),
    PERSON,
    ArrayType(PERSON),
    AnyType(),
    ArrayType(AnyType()),
]
kinds = st.sampled_from(KINDS)


def drawn(domain, n=200, mode=Mode.MIXED, seed=1):
    """Values of a domain."""
    return domain.fill(n, mode, np.random.default_rng(seed))


@settings(max_examples=150, deadline=None)
@given(kinds, st.sampled_from(Mode), st.booleans(), st.integers(0, 2**32))
def test_every_value_is_valid_and_simplifying_ends(kind, mode, nullable, seed):
    """Whatever is drawn, listed as an edge, called default or called simpler."""
    domain = column_domain("c", kind, nullable=nullable)
    values = drawn(domain, 20, mode, seed)
    json.dumps(values, allow_nan=False)
    for value in [*values, *domain.edges, domain.default]:
        assert domain.holds(value)
        assert identity(domain.spelled(value)) == identity(value)
        assert identity(simplest(domain, value)) == identity(domain.default)


def simplest(domain, value, *, most=200):
    """The end of simplifying, by the smallest steps that are offered."""
    for _ in range(most):
        simpler = domain.simpler(value)
        if not simpler:
            return value
        assert all(domain.holds(candidate) for candidate in simpler)
        assert identity(value) not in map(identity, simpler)
        value = simpler[-1]
    raise AssertionError("it does not end")


@given(kinds, st.integers(0, 2**32))
def test_what_was_drawn_may_be_known_again(kind, seed):
    """Known rows of any type narrow the domain, stay valid, and the first is the default."""
    values = [value for value in drawn(column_domain("c", kind), 8, seed=seed) if value is not None]
    domain = column_domain("c", kind, seen=values)
    assert all(domain.holds(domain.spelled(value)) for value in values)
    assert identity(domain.default) == identity(domain.spelled(values[0]))
    assert all(domain.holds(value) for value in drawn(domain, 20, seed=seed))


def test_text_is_real_unicode():
    """Astral, combining, right to left, empty and long; never a lone surrogate, never NUL."""
    domain = column_domain("t", DataType.STRING)
    for mode in (Mode.MIXED, Mode.SPREAD):
        words = drawn(domain, 500, mode)
        letters = {letter for word in words for letter in word}
        assert any(ord(letter) > 0xFFFF for letter in letters)
        assert any(unicodedata.combining(letter) for letter in letters)
        assert any(unicodedata.bidirectional(letter) in {"R", "AL"} for letter in letters)
        assert any(unicodedata.category(letter) == "Lo" for letter in letters)
        assert "\0" not in letters
        assert not any("\ud800" <= letter <= "\udfff" for letter in letters)
        assert sum(word.isascii() for word in words) > 150
    assert "" in drawn(domain)
    assert max(map(len, drawn(domain))) >= 300


@pytest.mark.parametrize(("low", "high"), [(0, 3), (5, 5), (50, None), (None, 2), (0, 0), (400, 500)])
@pytest.mark.parametrize("kind", [DataType.STRING, DataType.BINARY])
def test_lengths_are_kept_and_both_are_tried(kind, low, high):
    """Code points of a text, bytes of a binary."""
    domain = column_domain("t", kind, rule=InputRule(min_length=low, max_length=high), seen=["x"])
    size = len if kind is DataType.STRING else lambda value: len(base64.b64decode(value, validate=True))
    found = {size(value) for mode in Mode for value in drawn(domain, mode=mode)}
    assert min(found) == (low or 0)
    assert high is None or max(found) == high


@pytest.mark.parametrize(
    "pattern", ["[A-Z]{2}-[0-9]{1,4}", "a|bb|ccc", r"\w+@\w+\.(de|com)", "x?", "(foo){2,3}$", "[äöü🙂]+"]
)
def test_a_pattern_is_matched_from_end_to_end(pattern):
    """By every text of a pool that has more than a few where the pattern has."""
    domain = column_domain("t", DataType.STRING, rule=InputRule(pattern=pattern))
    words = set(drawn(domain))
    assert all(re.fullmatch(pattern, word) for word in words)
    assert len(words) >= (2 if pattern in {"x?", "a|bb|ccc", "(foo){2,3}$"} else 20)
    assert not domain.holds("§")
    assert domain.simpler(max(words, key=len))[0] == domain.default


def test_a_pattern_gives_the_same_texts_in_another_process():
    """A rerun repeats."""
    script = (
        "from mlgate.generation.pattern import matching; import zlib; "
        "print(zlib.crc32(repr(matching('[a-z]{2,9}é?[0-9]+')).encode()))"
    )
    run = [
        subprocess.run([sys.executable, "-c", script], capture_output=True, text=True, check=True).stdout
        for _ in range(2)
    ]
    assert run[0] == run[1]


def test_a_pattern_that_nothing_matches_is_refused():
    """In one line."""
    with pytest.raises(PolicyError, match=r"properties.inputs.t.pattern: no text matches it"):
        column_domain("t", DataType.STRING, rule=InputRule(pattern="a(?!b)b"))


@pytest.mark.parametrize(
    ("kind", "low", "high", "step", "values"),
    [
        (DataType.LONG, 10, 30, 5, {10, 15, 20, 25, 30}),
        (DataType.LONG, 1, 9, 3, {1, 4, 7}),
        (DataType.DOUBLE, 0, 0.3, 0.1, {0.0, 0.1, 0.2, 0.3}),
        (DataType.DOUBLE, 0.05, 1, 0.25, {0.05, 0.3, 0.55, 0.8}),
        (DataType.DOUBLE, None, None, 5e5, {-1e6, -5e5, 0.0, 5e5, 1e6}),
        (DataType.FLOAT, -1, 1, 0.5, {-1.0, -0.5, 0.0, 0.5, 1.0}),
        (DataType.INTEGER, None, 3, 2, {2, 0, *range(-1_999_998, 2, 2)}),
    ],
)
def test_numbers_lie_on_their_step(kind, low, high, step, values):
    """As the decimal numbers that were declared, not as what adding floats makes of them."""
    domain = column_domain("n", kind, rule=InputRule(min=low, max=high, step=step))
    found = {value for mode in Mode for value in drawn(domain, 400, mode)}
    assert found <= values
    assert len(values) > 100 or found == values
    assert all(domain.holds(value) for value in found)
    assert not domain.holds(next(iter(values)) + step / 3)


@given(st.sampled_from(NUMBERS), st.floats(-1e5, 1e5), st.floats(0.01, 1e4), st.integers(0, 2**32))
def test_numbers_with_any_step_are_valid(kind, low, step, seed):
    """Also in 32 bits, where the grid can not be met exactly."""
    if kind in NUMBERS[:2]:
        low, step = float(round(low)), float(max(1, round(step)))
    domain = column_domain("n", kind, rule=InputRule(min=low, max=low + 20 * step, step=step))
    for mode in Mode:
        assert all(map(domain.holds, drawn(domain, 40, mode, seed)))
    assert all(map(domain.holds, domain.edges))
    # A float32 does not tell a hundredth apart at a hundred thousand.
    assert len(set(drawn(domain, 600, Mode.SPREAD, seed=seed))) == 21 or (
        kind is DataType.FLOAT and abs(low) / step > 1e5
    )


@pytest.mark.parametrize("rule", [InputRule(min=0, step=0.5), InputRule(min=0.5, step=1)])
def test_the_step_of_a_whole_number_is_whole(rule):
    """Between its values there are none."""
    with pytest.raises(PolicyError, match=r"inputs\.n\.step: step and min of a long must be whole"):
        column_domain("n", DataType.LONG, rule=rule)


@pytest.mark.parametrize(
    ("rule", "seen", "first", "last"),
    [
        (InputRule(after="2024-02-01", before="2024-02-29"), [], "2024-02-01T00:00:00", "2024-02-29T23:59:59"),
        (
            InputRule(after="2024-02-01T12:00:00", before="2024-02-01T12:00:05"),
            [],
            "2024-02-01T12:00:00",
            "2024-02-01T12:00:05",
        ),
        (InputRule(after="2040-01-01"), [], "2040-01-01T00:00:00", "2071-12-31T23:59:59"),
        (InputRule(before="1980-12-31"), [], "1949-01-01T00:00:00", "1980-12-31T23:59:59"),
        (None, ["2024-01-10", "2024-01-20"], "2023-12-31T00:00:00", "2024-01-30T00:00:00"),
        (None, ["2024-01-10T00:00:00+01:00", "2024-01-10T08:30:00"], "2024-01-09T13:30:00", "2024-01-10T18:00:00"),
        (
            None,
            ["2024-01-10 00:00:00.5", "2024-01-10 00:00:01"],
            "2024-01-10T00:00:00.000000",
            "2024-01-10T00:00:01.500000",
        ),
        (None, [], "2000-01-01T00:00:00", "2031-12-31T23:59:59"),
    ],
)
def test_times_lie_between_and_are_spelled_alike(rule, seen, first, last):
    """A date means all of its day; known times widen their range once; a column of dates stays one of dates."""
    domain = column_domain("t", DataType.DATETIME, rule=rule, seen=seen)
    found = {value for mode in Mode for value in drawn(domain, mode=mode)}
    assert min(found) == first
    assert max(found) == last
    assert len({len(value) for value in found}) == 1
    assert len(found) > 5
    assert seen == [] or domain.default == domain.spelled(seen[0])


@pytest.mark.parametrize("text", ["2024-02-30", "", "yesterday", "2024-01-01T00:00:00+00:00", 5, "1066-01-01T00:00:00"])
def test_what_is_no_time_of_the_column_does_not_hold(text):
    """MLflow refuses a zone, and pandas what comes before 1677."""
    assert not column_domain("t", DataType.DATETIME).holds(text)


def test_a_time_beyond_what_pandas_holds_is_refused():
    """As a bound and as a value."""
    with pytest.raises(PolicyError, match="no time lies between"):
        column_domain("t", DataType.DATETIME, rule=InputRule(after="3000-01-01"))
    with pytest.raises(PolicyError, match="beyond what MLflow takes"):
        column_domain("t", DataType.DATETIME, rule=InputRule(values=("2024-01-01", "1500-01-01")))
    with pytest.raises(PolicyError, match="beyond what a integer holds"):
        column_domain("n", DataType.INTEGER, rule=InputRule(values=(2**40,)))


def test_an_optional_property_is_left_out_or_null_and_a_required_one_never():
    """Both are what MLflow takes for nothing there."""
    found = drawn(column_domain("p", PERSON), 300)
    assert {value["nick"] is None for value in found if "nick" in value} == {True, False}
    assert any("nick" not in value for value in found)
    assert all(value["name"] is not None and value["tags"] is not None for value in found)
    assert all(None not in value["tags"].values() for value in found)
    domain = column_domain("p", PERSON)
    assert not domain.holds({"name": "a"})
    assert not domain.holds({"name": "a", "tags": {}, "more": 1})
    assert not domain.holds({"name": None, "tags": {}})
    assert domain.holds({"name": "a", "tags": {"b": 1}, "scores": None})


def test_lists_have_the_lengths_that_were_seen_or_declared():
    """An embedding keeps its size; without knowledge a list is empty at times."""
    assert {
        len(value)
        for value in drawn(column_domain("v", ArrayType(DataType.DOUBLE), seen=[[0.5] * 384, [1.0] * 384]), 50)
    } == {384}
    assert {len(value) for value in drawn(column_domain("v", ArrayType(DataType.DOUBLE)))} == {0, 1, 2, 3, 4}
    rule = InputRule(min_length=2, max_length=3, min=0, max=1)
    found = drawn(column_domain("v", ArrayType(DataType.DOUBLE), rule=rule))
    assert {len(value) for value in found} == {2, 3}
    assert all(0 <= item <= 1 for value in found for item in value)
    words = drawn(column_domain("v", ArrayType(DataType.STRING), rule=InputRule(values=("x", "y"))))
    assert {item for value in words for item in value} == {"x", "y"}
    keyed = drawn(column_domain("v", MapType(DataType.LONG), seen=[{"red": 1}, {"red": 4, "blue": 2}]))
    assert {key for value in keyed for key in value} >= {"red", "blue"}
    assert all(-2 <= item <= 7 for value in keyed for item in value.values())


def test_what_nests_deep_stays_small():
    """A row is a request, not a document."""
    kind = DataType.LONG
    for _ in range(6):
        kind = ArrayType(ObjectType((Property("x", kind, True), Property("y", MapType(kind), False))))
    values = drawn(column_domain("d", kind), 30)
    assert max(len(json.dumps(value)) for value in values) < 200_000
    for _ in range(100):
        kind = ArrayType(kind)
    with pytest.raises(Unsupported, match="nests deeper than 40 levels"):
        column_domain("d", kind)


def test_a_column_of_anything_holds_every_kind_unless_something_is_known():
    """A column that holds messages gets no other JSON."""
    found = drawn(column_domain("a", AnyType()), 400)
    assert {type(value) for value in found} == {str, bool, int, float, list, dict}
    known = [{"role": "user", "content": "hi"}, "text"]
    assert {identity(value) for value in drawn(column_domain("a", AnyType(), seen=known))} == set(map(identity, known))


def test_bytes_are_base64_with_every_byte():
    """As MLflow's server reads them."""
    raw = b"".join(base64.b64decode(value, validate=True) for value in drawn(column_domain("b", DataType.BINARY), 300))
    assert len(set(raw)) == 256
    domain = column_domain("b", DataType.BINARY, seen=["aGVsbG8g\nd29ybGQ=\n"])
    assert domain.default == "aGVsbG8gd29ybGQ="
    assert not domain.holds("not base64!")


def test_edges_are_tried_equally_often_and_not_in_step():
    """So that few rows try each, and each meets each other's."""
    domain = column_domain("n", DataType.LONG, rule=InputRule(min=0, max=100))
    rng = np.random.default_rng(3)
    first, second = (domain.fill(len(domain.edges) * 20, Mode.EDGES, rng) for _ in range(2))
    assert {first.count(edge) for edge in domain.edges} == {20}
    assert len(set(zip(first, second, strict=True))) > len(domain.edges) * 3

"""What a server says of its start: read where it makes sense, left out where it does not."""

import json

import pytest
from hypothesis import given
from hypothesis import strategies as st

from mlgate.sandbox.boot_facts import MAX_NAMES, imports_of, model_bytes_of, read_of
from mlgate.sandbox.readiness import boot_times

GOOD = {
    "started_at": 100.5,
    "phases": {"load": 1.0},
    "imports": {"load": {"skops": {"skops": 0.2, "scipy": 0.4}}},
    "read": {"load": {"asked": 1000, "disk": 10}},
    "model_bytes": 123,
}


def test_a_good_server_is_believed():
    """Beside what was measured from outside."""
    boot = boot_times(GOOD, started_at=100.0, ready_at=103.0, before={"create": 0.1})
    assert (boot.ready_s, boot.phases, boot.before) == (3.0, {"load": 1.5}, {"create": 0.1})
    assert boot.imports == {"load": {"skops": {"skops": 0.2, "scipy": 0.4}}}
    assert (boot.read, boot.model_bytes) == ({"load": {"asked": 1000, "disk": 10}}, 123)


@pytest.mark.parametrize("size", [-1, 2**53, True, 1.5, "1", None, [1]])
def test_a_size_that_is_none_is_left_out(size):
    """It would be multiplied, divided and stored."""
    assert model_bytes_of({"model_bytes": size}) is None


def test_a_server_can_not_fill_the_evidence():
    """Names and their number are bounded."""
    many = {f"p{index}": {"a" * 65: {"x": 1}, "b": {f"m{n}": 1 for n in range(1000)}} for index in range(1000)}
    found = imports_of({"imports": many})
    assert len(found) <= MAX_NAMES
    assert all(set(packages) == {"b"} and len(packages["b"]) <= MAX_NAMES for packages in found.values())


JSON = st.recursive(
    st.none() | st.booleans() | st.floats() | st.integers() | st.text(max_size=5),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(max_size=8), inner, max_size=3),
)


@given(st.fixed_dictionaries({"imports": JSON, "read": JSON, "model_bytes": JSON}) | st.dictionaries(st.text(), JSON))
def test_anything_can_be_said_and_what_is_kept_is_json(said):
    """Without NaN, which canonical JSON does not have."""
    json.dumps([imports_of(said), read_of(said), model_bytes_of(said)], allow_nan=False)

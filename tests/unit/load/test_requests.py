"""What load requests carry: rows per request in proportion, and bodies within their bounds."""

import json
from collections import Counter

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from mlgate.artifacts.signature import Column, ColumnSchema, DataType, Signature
from mlgate.errors import ConfigError
from mlgate.load import requests
from mlgate.load.requests import MAX_BODIES, rows_needed, sizes_of, target_of
from mlgate.policy_load import BatchRange, Load
from mlgate.scoring.payloads import Batch
from mlgate.scoring.protocols import Invocations
from mlgate.scoring.v2 import V2

URL = "http://127.0.0.1:1"
SHARES = st.dictionaries(st.integers(1, 60), st.integers(1, 50), min_size=1, max_size=8).map(
    lambda weights: {size: weight / sum(weights.values()) for size, weight in weights.items()}
)


def batch(n):
    """Rows that can be told apart."""
    return Batch(columns=("x", "y"), rows=tuple([place, f"r{place}"] for place in range(n)))


def rows_of(body):
    return json.loads(body)["dataframe_split"]["data"]


@given(shares=SHARES, n=st.integers(1, 3000), seed=st.integers(0, 2**32))
def test_sizes_keep_the_proportions_as_far_as_n_allows(shares, n, seed):
    """Never a whole request off, whatever the seed."""
    sizes = sizes_of(shares, n, seed)
    assert sizes.shape == (n,)
    counts = Counter(sizes.tolist())
    assert counts.keys() <= shares.keys()
    for size, share in shares.items():
        assert abs(counts[size] - n * share) < 1 + 1e-6


def test_a_share_that_n_can_meet_is_met_exactly():
    """And so for every seed; only the order is another."""
    drawn = [sizes_of({1: 0.9, 100: 0.1}, 6000, seed) for seed in range(20)]
    assert {Counter(sizes.tolist())[100] for sizes in drawn} == {600}
    assert (drawn[0] != drawn[1]).any()
    assert (drawn[0] == sizes_of({1: 0.9, 100: 0.1}, 6000, 0)).all()
    assert sizes_of({1: 0.9, 100: 0.1}, 6000, 0)[:100].sum() > 100  # not all of one size first


def test_a_rare_size_is_as_likely_as_its_share_where_n_is_small():
    """The mean over seeds, where one run can not show it."""
    hits = [100 in sizes_of({1: 0.9, 100: 0.1}, 3, seed) for seed in range(2000)]
    assert np.mean(hits) == pytest.approx(0.3, abs=0.04)


def test_a_number_is_every_request_and_a_range_is_even():
    """Also a range too wide to give each number a body of its own: both ends and the mean stay."""
    assert set(sizes_of(7, 50, 1).tolist()) == {7}
    assert Counter(sizes_of(BatchRange(min=1, max=5), 50, 1).tolist()) == dict.fromkeys(range(1, 6), 10)
    wide = sizes_of(BatchRange(min=1, max=10_000), 5000, 1)
    assert (wide.min(), wide.max(), len(set(wide.tolist()))) == (1, 10_000, 50)
    assert wide.mean() == pytest.approx(5000.5, rel=0.01)


@given(shares=SHARES, n=st.integers(1, 2000), rows=st.integers(1, 250), seed=st.integers(0, 99))
def test_every_request_gets_a_body_of_its_size(shares, n, rows, seed):
    """All different, at most 200, and each of the rows that it says."""
    sizes = sizes_of(shares, n, seed)
    target, body = target_of(URL, Invocations(), batch(rows), sizes, seed=seed)
    assert body.dtype == np.int32
    assert body.shape == (n,)
    assert len(target.bodies) <= MAX_BODIES
    assert len(set(target.bodies)) == len(target.bodies)
    assert [len(rows_of(content)) for content in target.bodies] == list(target.rows)
    assert (np.array(target.rows)[body] == sizes).all()
    assert set(body.tolist()) == set(range(len(target.bodies)))


def test_one_row_requests_are_200_different_rows_in_equal_parts():
    """As `rows_needed` asks for them; so that no cache answers for the model."""
    sizes = sizes_of(1, 6000, 0)
    assert rows_needed(sizes) == 200
    target, body = target_of(URL, Invocations(), batch(200), sizes, seed=3)
    assert {rows_of(content)[0][0] for content in target.bodies} == set(range(200))
    assert set(np.bincount(body).tolist()) == {30}
    again = target_of(URL, Invocations(), batch(200), sizes, seed=3)[1]
    other = target_of(URL, Invocations(), batch(200), sizes, seed=4)[1]
    assert (body == again).all()
    assert (body != other).any()


def test_two_targets_of_the_same_requests_get_the_same_rows():
    """Challenger and champion are asked the same, whatever their protocols."""
    sizes = sizes_of({1: 0.5, 3: 0.5}, 100, 0)
    mine, body = target_of(URL, Invocations(), batch(200), sizes, seed=1)
    other, same = target_of("http://127.0.0.1:2", V2(SIGNATURE), batch(200), sizes, seed=1)
    assert (body == same).all()
    assert mine.rows == other.rows


def test_a_pool_is_as_large_as_the_share_of_its_size():
    """One of ten, and at least one."""
    target, _ = target_of(URL, Invocations(), batch(200), sizes_of({1: 0.899, 50: 0.1, 51: 0.001}, 10_000, 0), seed=1)
    counts = Counter(target.rows)
    assert counts[1] == pytest.approx(179, abs=2)
    assert counts[50] == pytest.approx(20, abs=2)
    assert counts[51] >= 1


def test_a_batch_larger_than_the_rows_begins_again():
    """Better the same rows twice than fewer than the policy says; and with the largest size, no row is missing."""
    target, _ = target_of(URL, Invocations(), batch(3), np.array([7]), seed=1)
    assert [row[0] for row in rows_of(target.bodies[0])] == [0, 1, 2, 0, 1, 2, 0]
    assert rows_needed(np.array([1, 5000])) == 5000


def test_bytes_are_bounded_and_no_size_is_left_without_a_body(monkeypatch):
    """Beyond one of each size, only as far as the bytes reach."""
    monkeypatch.setattr(requests, "MAX_BYTES", 20_000)
    target, _ = target_of(URL, Invocations(), batch(500), sizes_of({1: 0.5, 400: 0.5}, 1000, 0), seed=1)
    longest = max(map(len, target.bodies))
    assert longest > 5_000
    assert sum(map(len, target.bodies)) < 20_000 + longest
    assert set(target.rows) == {1, 400}
    monkeypatch.setattr(requests, "MAX_BYTES", 10)
    small, body = target_of(URL, Invocations(), batch(500), sizes_of({1: 0.5, 400: 0.5}, 1000, 0), seed=1)
    assert sorted(small.rows) == [1, 400]
    assert set(body.tolist()) == {0, 1}


def test_what_no_generator_can_hold_is_refused_in_one_line(monkeypatch):
    """Before it takes the memory of the host."""
    monkeypatch.setattr(requests, "MAX_BYTES_FIRST", 100)
    with pytest.raises(ConfigError, match=r"load\.batch: one request of each size takes more than 100 B .*Hint: fewer"):
        target_of(URL, Invocations(), batch(50), np.array([50]), seed=1)


SIGNATURE = Signature(
    inputs=ColumnSchema(
        (Column(name="x", type=DataType.LONG, required=True), Column(name="y", type=DataType.STRING, required=True))
    ),
    outputs=ColumnSchema((Column(name="p", type=DataType.DOUBLE, required=True),)),
)


@pytest.mark.parametrize("required", [True, False])
def test_v2_is_named_and_its_null_is_an_error_where_no_output_may_be_missing(required):
    """Where one may be, null is a right answer."""
    outputs = ColumnSchema((Column(name="p", type=DataType.DOUBLE, required=required),))
    protocol = V2(Signature(inputs=SIGNATURE.inputs, outputs=outputs))
    target, _ = target_of(URL, protocol, batch(2), np.array([1]), seed=1, headers={"X-Token": "a"})
    assert (target.protocol, target.path) == ("v2", "/v2/models/model/infer")
    assert target.reject_not_finite is required
    assert target.headers == {"X-Token": "a"}


def test_mlflows_protocol_always_rejects_what_is_not_finite():
    """It has tokens for it that are no JSON."""
    target, _ = target_of(URL, Invocations(), batch(2), np.array([1, 2]), seed=1)
    assert (target.protocol, target.path, target.reject_not_finite) == ("invocations", "/invocations", True)
    assert (target.url, target.content_type) == (URL, "application/json")


def test_no_rows_are_no_requests():
    """Said here, and not by a division by zero."""
    with pytest.raises(ValueError, match="no rows"):
        target_of(URL, Invocations(), batch(0), np.array([1]), seed=1)


def test_the_policys_batch_is_what_sizes_are_drawn_from():
    """All three ways to write it."""
    for given_batch, sizes in ((3, {3}), ({"max": 2}, {1, 2}), ({"1": "50%", "9": "50%"}, {1, 9})):
        section = Load.model_validate({"batch": given_batch})
        assert set(sizes_of(section.batch, 100, 1).tolist()) == sizes

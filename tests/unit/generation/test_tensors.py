"""Tensors: any dtype and shape, open axes of many lengths, alike in all rows and tensors of a request."""

import json
import warnings

import numpy as np
import pytest

from mlgate.artifacts.signature import Signature, Tensor, TensorSchema
from mlgate.generation.input_space import example_batch, input_space
from mlgate.generation.interface import Mode, Unsupported
from mlgate.policy_properties import InputRule
from mlgate.scoring.payloads import encode
from mlgate.scoring.protocols import Invocations

DTYPES = ["float16", "float32", "float64", "int8", "int16", "int32", "int64", "uint8", "uint16", "uint32", "uint64", "bool", "str"]  # fmt: skip


def space_of(*tensors, **more):
    """The space of tensors."""
    return input_space(TensorSchema(tensors), **{"rules": {}, **more})


@pytest.mark.parametrize("dtype", DTYPES)
@pytest.mark.parametrize("shape", [(-1,), (-1, 4), (-1, 2, 3), (-1, -1, 2), (-1, -1, -1)])
@pytest.mark.parametrize("mode", Mode)
def test_tensors_have_their_shape_and_fit_their_dtype(dtype, shape, mode):
    """Read back by numpy without a change of value; an open axis gets one length in all rows, and never zero."""
    space = space_of(Tensor(None, dtype, shape))
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        batch = space.sample(6, seed=3, modes={None: mode})
    encode(batch)
    assert space.holds(batch)
    array = np.array(list(batch.rows))
    assert array.shape == (6, *(size if size != -1 else array.shape[axis] for axis, size in enumerate(shape[1:], 1)))
    assert 0 not in array.shape
    if dtype == "str":
        assert array.dtype.kind == "U"
    else:
        assert np.all(np.isfinite(array.astype(float)))
        assert np.array_equal(array.astype(dtype).astype(array.dtype), array)
    for row in batch.rows:
        assert all(space.domains[0].holds(simpler) for simpler in space.domains[0].simpler(row))


def lengths_of(space, name, seeds=60):
    """Lengths of the second axis that are drawn."""
    return {len(space.sample(1, seed=seed).column(name)[0]) for seed in range(seeds)}


def test_open_axes_have_many_lengths_one_among_them():
    """Declared ones, those that the example shows as their most, or up to eight."""
    assert lengths_of(space_of(Tensor(None, "int64", (-1, -1))), None) == set(range(1, 9))
    assert lengths_of(
        space_of(Tensor("x", "int64", (-1, -1)), rules={"x": InputRule(min_length=4, max_length=6)}), "x"
    ) == {4, 5, 6}
    schema = TensorSchema((Tensor(None, "int64", (-1, -1)),))
    example = example_batch(json.dumps({"inputs": [[5] * 12, [9] * 12]}).encode(), schema)
    space = input_space(schema, rules={}, known=[example])
    assert {1, 2, 12} <= lengths_of(space, None) <= set(range(1, 13))
    assert space.default_row().rows == ([5] * 12,)
    assert all(1 <= value <= 13 for row in space.sample(50, seed=1).rows for value in row)


@pytest.mark.parametrize("shape", [(-1, -1), (-1, -1, 3), (-1, 2, -1), (-1, -1, -1)])
def test_an_open_axis_is_empty_only_where_a_rule_says_so(shape):
    """An empty text is a text; an empty picture is none."""
    space = space_of(Tensor("x", "float32", shape), rules={"x": InputRule(min_length=0, max_length=2)})
    found = set()
    for seed in range(60):
        batch = space.sample(2, seed=seed)
        assert space.holds(batch)
        found.add(0 in np.array(batch.column("x")).shape)
        assert all(
            map(
                space.holds,
                [batch.with_value("x", simpler) for simpler in space.domains[0].simpler(batch.column("x")[0])],
            )
        )
    assert found == {True, False}


def test_tensors_of_one_request_share_the_length_of_an_axis():
    """A mask is as long as its text; a tensor with lengths of its own is not held to that."""
    space = space_of(Tensor("ids", "int64", (-1, -1)), Tensor("mask", "int64", (-1, -1)), Tensor("own", "float32", (-1, -1)),
                     rules={"own": InputRule(min_length=20, max_length=20), "mask": InputRule(values=(0, 1))})  # fmt: skip
    for seed in range(20):
        batch = space.sample(3, seed=seed)
        assert space.holds(batch)
        for row in batch.rows:
            assert len(row["ids"]) == len(row["mask"])
            assert len(row["own"]) == 20
            assert set(row["mask"]) <= {0, 1}
    assert len({len(space.sample(1, seed=seed).rows[0]["ids"]) for seed in range(40)}) > 4
    ragged = batch.with_value("mask", [0] * (len(batch.rows[0]["ids"]) + 1))
    assert not space.holds(ragged)


def test_rows_of_two_lengths_are_no_request():
    """Numpy reads no array out of them."""
    space = space_of(Tensor(None, "float32", (-1, -1)))
    one, two = (
        next(batch for seed in range(99) if len((batch := space.sample(1, seed=seed)).rows[0]) == n) for n in (2, 3)
    )
    assert space.holds(one)
    assert space.holds(two)
    assert not space.holds(type(one)(columns=None, rows=(*one.rows, *two.rows)))


def test_a_fixed_number_of_rows_is_told():
    """A model exported for one picture takes one at a time."""
    assert space_of(Tensor(None, "uint8", (1, 3, 4, 4))).request_rows == 1
    assert space_of(Tensor(None, "uint8", (-1, 3))).request_rows is None
    with pytest.raises(Unsupported, match="no number of rows in common"):
        space_of(Tensor("a", "uint8", (1, 3)), Tensor("b", "uint8", (2, 3)))
    with pytest.raises(Unsupported, match="no number of rows in common"):
        space_of(Tensor(None, "float64", ()))


def test_a_tensor_without_axes_has_one_value_a_request():
    """A sample rate goes once, beside the rows."""
    tensors = (Tensor("audio", "float32", (-1, -1)), Tensor("rate", "int64", ()))
    space = space_of(*tensors, rules={"rate": InputRule(values=(8000, 16000))})
    signature = Signature(inputs=TensorSchema(tensors), outputs=None)
    seen = set()
    for seed in range(20):
        document = json.loads(Invocations(signature).encode(space.sample(3, seed=seed))[0])
        assert len(document["inputs"]["audio"]) == 3
        seen.add(document["inputs"]["rate"])
    assert seen == {8000, 16000}


@pytest.mark.parametrize("dtype", ["void", "timedelta64[ns]"])
def test_a_tensor_that_json_can_not_carry_is_named(dtype):
    """With its dtype."""
    with pytest.raises(Unsupported, match=f"tensor 'x' has dtype {dtype}".replace("[", r"\[")):
        space_of(Tensor("x", dtype, (-1,)))


def test_a_tensor_is_the_same_element_everywhere_at_times():
    """Elements at random hardly ever are all zero."""
    batch = space_of(Tensor(None, "float32", (-1, 4))).sample(100, seed=1)
    assert [0.0] * 4 in batch.rows
    assert [1e6] * 4 in batch.rows


def test_simplifying_a_tensor_ends_in_the_default():
    """Shorter, plain, half plain."""
    space = space_of(Tensor(None, "float32", (-1, -1)))
    domain = space.domains[0]
    value = max((row for seed in range(9) for row in space.sample(5, seed=seed).rows), key=len)
    assert any(len(simpler) < len(value) for simpler in domain.simpler(value))
    steps = 0
    while simpler := domain.simpler(value):
        value = simpler[-1]
        steps += 1
        assert steps < 100
    assert value == domain.default


def test_large_tensors_cost_a_large_row_and_no_more():
    """A picture is drawn once, and its edges are few."""
    space = space_of(Tensor(None, "uint8", (-1, 64, 64, 3)))
    assert space.cells == 64 * 64 * 3
    assert len(space.domains[0].edges) <= 2
    assert space.holds(space.sample(2, seed=1))

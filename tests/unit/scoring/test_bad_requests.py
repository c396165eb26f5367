"""What is called a wrong request is one, for every signature, by a reader that shares no code with it."""

import gzip
import io
import json
import zlib

import pytest

from mlgate.artifacts.signature import (
    AnyType,
    ArrayType,
    Column,
    ColumnSchema,
    DataType,
    MapType,
    ObjectType,
    Property,
    Signature,
    Tensor,
    TensorSchema,
)
from mlgate.policy_schema import REJECT_CASES, STRICT_CASES
from mlgate.scoring.bad_requests import BOMB, Case, _bomb, bad_requests, no_such_request
from mlgate.scoring.payloads import Batch
from mlgate.scoring.protocols import Invocations
from mlgate.scoring.v2 import V2
from tests.unit.scoring.strict_reader import is_valid, strict_json

OBJECT = ObjectType((Property("a", DataType.LONG, required=True), Property("b", DataType.STRING, required=False)))
VALUES = {
    DataType.BOOLEAN: True, DataType.INTEGER: 3, DataType.LONG: 4, DataType.FLOAT: 0.5, DataType.DOUBLE: 1.25,
    DataType.STRING: "pro", DataType.BINARY: "aGk=", DataType.DATETIME: "2020-01-02T03:04:05",
    ArrayType(DataType.DOUBLE): [1.5, 2.5], ArrayType(ArrayType(DataType.STRING)): [["a"], ["b"]], OBJECT: {"a": 1, "b": "x"},
    MapType(DataType.LONG): {"k": 1}, AnyType(): {"free": [1, None]},
}  # fmt: skip
BYTES = [case for case in (*REJECT_CASES, *STRICT_CASES) if case != "slow_body"]
# Wrong by what stands around the body.
AROUND = {"content_type", "no_content_type", "gzip_bomb"}


def table(*kinds, **more):
    """Return a case of a table with a column of each type, and one that may be null."""
    columns = [Column(f"c{place}", kind, required=True) for place, kind in enumerate(kinds)]
    columns.append(Column("maybe", DataType.DOUBLE, required=False))
    row = [*(VALUES[kind] for kind in kinds), 1.0]
    valid = Batch(columns=tuple(column.name for column in columns), rows=(row,))
    return case_of(valid, ColumnSchema(tuple(columns)), **more)


def case_of(valid, inputs, *, protocol=None, **more):
    signature = Signature(inputs=inputs, outputs=None)
    return Case(valid=valid, signature=signature, protocol=protocol or Invocations(), **more)


def tensor(dtype, shape, value, name=None):
    row = value if name is None else {name: value}
    return case_of(Batch(columns=None, rows=(row,)), TensorSchema((Tensor(name, dtype, shape),)))


TABLES = [table(kind) for kind in VALUES] + [table(*VALUES)]
TENSORS = [
    tensor("float32", (-1, 3), [0.5, 1.5, 2.5]),
    tensor("float64", (-1, 2, 2), [[1.0, 2.0], [3.0, 4.0]], "x"),
    tensor("int64", (-1, -1), [1, 2], "x"),
    tensor("uint8", (-1, 2), [1, 2]),
    tensor("bool", (-1, 2), [True, False]),
    tensor("str", (-1,), "word"),
    tensor("float16", (-1, 1), [0.5]),
]


@pytest.mark.parametrize("of", TABLES + TENSORS)
def test_the_valid_row_is_valid_to_the_strict_reader(of):
    """Else nothing below would say anything."""
    assert is_valid(of.body, of.signature, extra=False)


@pytest.mark.parametrize("case", BYTES)
@pytest.mark.parametrize("of", TABLES + TENSORS)
def test_a_wrong_request_is_wrong(of, case):
    """Each of them, of each case, for each type."""
    for request in bad_requests(case, of):
        if case not in AROUND and "charset=" not in str(request.content_type):
            assert not is_valid(request.body, of.signature, extra=False), request.what


@pytest.mark.parametrize("of", TABLES + TENSORS)
def test_an_extra_column_is_all_that_is_wrong_with_its_request(of):
    """Where it is ignored, the request is a valid one."""
    for request in bad_requests("extra_column", of):
        assert is_valid(request.body, of.signature, extra=True)


def test_every_case_has_a_request_for_a_table_of_all_types():
    """But for nesting, which is a value to `any`, and no number can be lossy in a table without one."""
    whole = table(*[kind for kind in VALUES if not isinstance(kind, AnyType)])
    assert {case for case in BYTES if not bad_requests(case, whole)} == set()
    assert bad_requests("deep_nesting", table(AnyType())) == ()


@pytest.mark.parametrize(
    ("of", "without"),
    [
        (
            case_of(Batch(columns=("c",), rows=(["a"],)), ColumnSchema((Column("c", DataType.STRING, True),))),
            {"missing_column", "word", "lossy_number", "huge_integer"},
        ),
        (
            case_of(Batch(columns=("c",), rows=([1],)), ColumnSchema((Column("c", AnyType(), True),))),
            {"missing_column", "word", "wrong_type", "lossy_number", "huge_integer", "null_required", "deep_nesting"},
        ),
        (tensor("str", (-1,), "word"), {"missing_column", "word", "lossy_number", "huge_integer", "extra_column"}),
        (tensor("float64", (-1, 2), [1.0, 2.0]), {"missing_column", "lossy_number", "extra_column"}),
    ],
)
def test_a_signature_without_such_a_request_says_so(of, without):
    """By having none, and a sentence for it."""
    assert {case for case in BYTES if not bad_requests(case, of)} == without
    assert "word" in no_such_request("word", of.signature)


def test_a_wrong_type_is_tried_in_every_column_before_a_second_one_in_any():
    """A list that is cut still has every column."""
    of = table(DataType.STRING, DataType.LONG)
    told = [request.what for request in bad_requests("wrong_type", of)]
    assert told[:3] == ["5 in 'c0'", "\"twelve\" in 'c1'", "\"twelve\" in 'maybe'"]
    assert len(told) == 9


def test_a_word_that_is_text_is_wrong_in_no_column_of_text():
    """Wrong by construction: "5" is a valid text."""
    of = table(DataType.STRING)
    assert all(
        type(strict_json(r.body)["dataframe_split"]["data"][0][0]) is not str
        for r in bad_requests("wrong_type", of)
        if "'c0'" in r.what
    )


def test_a_null_is_wrong_in_required_columns_only():
    """Nor is it in `any`, which MLflow lets be null."""
    of = table(DataType.DOUBLE, AnyType())
    assert [request.what for request in bad_requests("null_required", of)] == ["null in 'c0'"]


def test_what_is_no_json_stands_in_the_text_as_such():
    """NaN and a number of 401 digits."""
    of = table(DataType.DOUBLE)
    (nan,) = bad_requests("nan_token", of)
    assert b"[[NaN, 1.0]]" in nan.body
    (huge,) = bad_requests("huge_integer", of)
    assert strict_json(huge.body)["dataframe_split"]["data"][0][0] == 10**400


def test_the_bomb_unpacks_to_what_it_says_and_is_no_json():
    """A thousand times its size."""
    (bomb,) = bad_requests("gzip_bomb", table(DataType.DOUBLE))
    assert len(bomb.body) * 500 < BOMB
    assert bomb.headers == {"Content-Encoding": "gzip"}
    unpacked = 0
    with gzip.open(io.BytesIO(bomb.body)) as file:
        while chunk := file.read(2**24):
            unpacked += len(chunk)
            assert not chunk.strip(b"\0")
    assert unpacked == BOMB


def test_duplicate_keys_have_two_values():
    """To one parser the request is valid, to another it is not: that is what is wrong with it."""
    (request,) = bad_requests("duplicate_keys", table(DataType.DOUBLE))
    assert json.loads(request.body) == json.loads(table(DataType.DOUBLE).body)
    assert request.body.startswith(b'{"dataframe_split": null, "dataframe_split": {')


def test_columns_without_names_are_changed_by_place():
    """The row is a list, and stays one."""
    inputs = ColumnSchema((Column(None, DataType.LONG, True), Column(None, DataType.STRING, True)))
    of = case_of(Batch(columns=None, rows=([1, "a"],)), inputs)
    rows = [json.loads(request.body)["inputs"] for request in bad_requests("wrong_type", of)]
    assert rows[:2] == [[["twelve", "a"]], [[1, 5]]]


def test_over_v2_the_cases_are_those_that_v2_can_say():
    """It has one envelope; the rest is spelled in its own words."""
    columns = (Column("a", DataType.DOUBLE, True), Column("n", DataType.LONG, True))
    signature = Signature(inputs=ColumnSchema(columns), outputs=None)
    of = case_of(Batch(columns=("a", "n"), rows=([1.5, 2],)), signature.inputs, protocol=V2(signature))
    assert {case for case in BYTES if not bad_requests(case, of)} == {"two_envelopes", "wrong_shape"}
    (extra,) = bad_requests("extra_column", of)
    assert [part["name"] for part in json.loads(extra.body)["inputs"]] == ["a", "n", "mlgate_extra_column"]
    (nan,) = bad_requests("nan_token", of)
    assert b'"data": [NaN]' in nan.body


@pytest.mark.parametrize("case", ["slow_body", "no_such"])
def test_what_is_no_matter_of_bytes_has_no_request(case):
    """A name that is none is an error and no empty list: nothing would be tried."""
    with pytest.raises(ValueError, match=case):
        bad_requests(case, table(DataType.DOUBLE))


def test_the_gzip_bomb_unpacks_to_what_it_says():
    """Whole, with the right checksum: a server that unpacks gets all of it."""
    body = _bomb()
    assert len(body) < 500_000
    unpacker = zlib.decompressobj(16 + zlib.MAX_WBITS)
    size, rest = 0, body
    while rest:
        size += len(unpacker.decompress(rest, 2**20))
        rest = unpacker.unconsumed_tail
    assert (size + len(unpacker.flush()), unpacker.eof, unpacker.unused_data) == (BOMB, True, b"")

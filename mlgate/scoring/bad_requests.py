"""Requests that are wrong for a signature, by construction: one list a case of `schema.rejects`. Pure."""

import json
import struct
import zlib
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any, Literal

from mlgate.artifacts.signature import AnyType, Column, ColumnSchema, DataType, Signature, Tensor, TensorSchema
from mlgate.scoring.payloads import JSON_TYPE, Batch, Encoding
from mlgate.scoring.protocols import ServingProtocol
from mlgate.scoring.wrong_values import (
    HUGE,
    WORD,
    is_number,
    lossy,
    of_another_kind,
    of_another_shape,
    places,
    tensor_lossy,
    tensor_of_another_kind,
    with_leaf,
)

EXTRA = "mlgate_extra_column"
# Stands in requests that are wrong whatever else they hold, so that an error which repeats it is seen to.
PLANTED = "mlgate-planted-7391"
LARGE = 50 * 10**6  # bytes
# A thousandfold: what a server unpacks that unpacks at all. Within the memory that a model has by default.
BOMB = 256 * 2**20
_BOMB_CRC = 0x2A0E7DBB  # of so many zeros
_DEPTH = 100_000  # beyond the recursion limit of any parser that recurses
# Of one case: a table of a thousand columns must not take minutes.
MAX_REQUESTS = 200
# Stands for what strict JSON can not say, and is replaced in the text.
_MARK = "@mlgate-raw@"

Due = Literal["refused", "ignored", "either"]


@dataclass(frozen=True, slots=True, kw_only=True)
class BadRequest:
    """One request that is not as the signature says.

    Attributes:
        what: What is wrong with it, in a few words.
        body: As sent.
        content_type: `None` for no such header.
        headers: Further ones.
        due: What it must get: a 4xx; the answer of the same request without what is too much; or either of them.
        json: Whether a refusal must be JSON: not where the server can not know that its caller reads JSON.
    """

    what: str
    body: bytes
    content_type: str | None = JSON_TYPE
    headers: Mapping[str, str] = field(default_factory=dict)
    due: Due = "refused"
    json: bool = True


@dataclass(frozen=True, slots=True, kw_only=True)
class Case:
    """What the requests of a case are made of.

    Attributes:
        valid: One valid row.
        signature: The model's.
        protocol: How the model is spoken to.
        extra: What is due to a column that the signature does not have.
    """

    valid: Batch
    signature: Signature
    protocol: ServingProtocol
    extra: Literal["ignore", "refuse"] = "ignore"

    @property
    def body(self) -> bytes:
        """The valid row's request."""
        return self.protocol.encode(self.valid)[0]

    @property
    def places(self) -> tuple[Column | Tensor, ...]:
        """The columns or tensors."""
        return places(self.signature.inputs)

    def with_value(self, place: Column | Tensor, value: object) -> Batch | None:
        """Return the valid row with *value* in one column, or as the first leaf of a tensor; `None` where there is none."""
        leaf = with_leaf(self.value(place), value) if isinstance(place, Tensor) else value
        return None if leaf is None and value is not None else self.with_whole(place, leaf)

    def with_whole(self, place: Column | Tensor, value: object) -> Batch:
        """Return the valid row with *value* as the whole of one column or tensor."""
        if self.valid.columns is None and not isinstance(self.valid.rows[0], dict):
            if isinstance(place, Tensor) or not isinstance(self.valid.rows[0], list):
                return Batch(columns=None, rows=(value,))
            row = list(self.valid.rows[0])
            row[self.places.index(place)] = value
            return Batch(columns=None, rows=(row,))
        return self.valid.with_value(place.name if isinstance(place, Tensor) else place.label, value)

    def value(self, place: Column | Tensor) -> Any:
        """Return the valid value of a column or tensor."""
        row = self.valid.rows[0]
        if isinstance(row, dict):
            return row[place.name]
        if isinstance(place, Tensor):
            return row
        return row[self.valid.columns.index(place.label)] if self.valid.columns else row[self.places.index(place)]


def bad_requests(case: str, of: Case) -> tuple[BadRequest, ...]:
    """Return the requests of *case*; none where the signature has no such request.

    Raises:
        ValueError: No such case, or `slow_body`, which is no matter of bytes.
    """
    if case not in _CASES:
        raise ValueError(f"no case '{case}'")
    return tuple(_CASES[case](of))


def _name(place: Column | Tensor, index: int) -> str:
    return str(index) if place.name is None else place.name


def _with(of: Case, what: str, batch: Batch | None) -> Iterator[BadRequest]:
    if batch is None:
        return
    try:
        body, content_type = of.protocol.encode(batch)
    except (TypeError, ValueError):  # V2 spells each input with one shape: it can not say this
        return
    yield BadRequest(what=what, body=body, content_type=content_type)


def _missing_column(of: Case) -> Iterator[BadRequest]:
    # A model of one column would be left with none: a data frame without columns has no rows either.
    if len(of.places) < 2 or of.places[0].name is None:
        return
    for place in of.places:
        if isinstance(place, Tensor) or place.required:
            label = place.name if isinstance(place, Tensor) else place.label
            yield from _with(of, f"without '{label}'", of.valid.without_column(label))
            return


def _word(of: Case) -> Iterator[BadRequest]:
    for place in filter(is_number, of.places):
        yield from _with(of, f"'{WORD}' in '{_name(place, 0)}'", of.with_value(place, WORD))
        return


def _envelope(of: Case) -> Iterator[BadRequest]:
    body = {"rows": of.valid.records(), "mlgate": PLANTED}
    yield BadRequest(what="the rows under 'rows'", body=json.dumps(body).encode())


def _planted(body: bytes) -> bytes:
    return f'{{"mlgate": "{PLANTED}", '.encode() + body[1:]


def _malformed(of: Case) -> Iterator[BadRequest]:
    yield BadRequest(what="without the last brace", body=_planted(of.body)[:-1])


def _truncated(of: Case) -> Iterator[BadRequest]:
    body = _planted(of.body)
    yield BadRequest(what="cut in the middle", body=body[: (len(body) + len(PLANTED)) // 2])


def _empty(of: Case) -> Iterator[BadRequest]:
    del of
    yield BadRequest(what="nothing", body=b"")


def _content_type(of: Case) -> Iterator[BadRequest]:
    yield BadRequest(what="an unknown type", body=of.body, content_type="application/x-mlgate", json=False)


def _no_content_type(of: Case) -> Iterator[BadRequest]:
    # RFC 9110 §8.3 lets a recipient look at the body instead: an answer is as good as a refusal.
    yield BadRequest(what="no type", body=of.body, content_type=None, due="either", json=False)


def _charset(of: Case) -> Iterator[BadRequest]:
    # RFC 8259 §11: JSON has no charset, and a recipient that overlooks one is right. Bytes that are no UTF-8 are wrong.
    unknown = f"{JSON_TYPE}; charset=x-mlgate"
    yield BadRequest(what="charset=x-mlgate", body=of.body, content_type=unknown, due="either", json=False)
    yield BadRequest(what="bytes that are no UTF-8", body=b'{"mlgate": "\xff", ' + of.body[1:])


def _extra_column(of: Case) -> Iterator[BadRequest]:
    batch = _with_extra(of.valid)
    for request in _with(of, f"a column '{EXTRA}'", batch):
        due: Due = "ignored" if of.extra == "ignore" else "refused"
        yield BadRequest(what=request.what, body=request.body, content_type=request.content_type, due=due)


def _with_extra(valid: Batch) -> Batch | None:
    if valid.columns is not None:
        return Batch(columns=(*valid.columns, EXTRA), rows=tuple([*row, 1] for row in valid.rows))
    if isinstance(valid.rows[0], dict):
        return Batch(columns=None, rows=tuple({**row, EXTRA: 1} for row in valid.rows))
    return None


def _values(of: Case, wrong: Callable[[Column | Tensor], Sequence[Any]]) -> Iterator[BadRequest]:
    """Yield a request a wrong value: the first of every column, then the second of every column, and so on."""
    columns = [(place, _name(place, index), list(wrong(place))) for index, place in enumerate(of.places)]
    for turn in range(max((len(values) for _, _, values in columns), default=0)):
        for place, name, values in columns:
            if turn < len(values):
                shown = json.dumps(values[turn])[:40]
                yield from _with(of, f"{shown} in '{name}'", of.with_value(place, values[turn]))


def _wrong_type(of: Case) -> Iterator[BadRequest]:
    return _values(
        of,
        lambda place: (
            tensor_of_another_kind(place.dtype)
            if isinstance(place, Tensor)
            else of_another_kind(place.type, of.value(place))
        ),
    )


def _lossy_number(of: Case) -> Iterator[BadRequest]:
    return _values(of, lambda place: tensor_lossy(place.dtype) if isinstance(place, Tensor) else lossy(place.type))


def _wrong_shape(of: Case) -> Iterator[BadRequest]:
    if isinstance(of.signature.inputs, TensorSchema):
        for index, place in enumerate(of.signature.inputs.tensors):
            value = of_another_shape(of.value(place), place.shape[1:])
            yield from _with(of, f"another shape in '{_name(place, index)}'", of.with_whole(place, value))
    elif of.valid.columns is not None and _split_is_known(of):
        columns, row = list(of.valid.columns), list(of.valid.rows[0])
        for what, cells in (("a value too many", [*row, 1]), ("a value too few", row[:-1])):
            body = {"dataframe_split": {"columns": columns, "data": [cells]}}
            yield BadRequest(what=what, body=json.dumps(body).encode())


def _split_is_known(of: Case) -> bool:
    return of.protocol.path == "/invocations" and not of.signature.from_type_hint


def _null_required(of: Case) -> Iterator[BadRequest]:
    def wrong(place: Column | Tensor) -> Sequence[Any]:
        takes_null = isinstance(place, Column) and (not place.required or isinstance(place.type, AnyType))
        return () if takes_null else (None,)

    return _values(of, wrong)


def _literal(of: Case, place: Column | Tensor, literal: bytes, what: str) -> Iterator[BadRequest]:
    for request in _with(of, what, of.with_value(place, _MARK)):
        yield BadRequest(what=what, body=request.body.replace(json.dumps(_MARK).encode(), literal))


def _nan_token(of: Case) -> Iterator[BadRequest]:
    # NaN is no JSON in any column; in one of numbers a lenient parser makes a number of it.
    place = next(filter(is_number, of.places), of.places[0] if of.places else None)
    if place is not None and not _cells_are_text(of, place):
        yield from _literal(of, place, b"NaN", f"NaN in '{_name(place, 0)}'")


def _cells_are_text(of: Case, place: Column | Tensor) -> bool:
    # V2 sends what has parts as JSON inside of text: there the token would be a word of that text.
    return isinstance(place, Column) and not isinstance(place.type, DataType) and of.protocol.path != "/invocations"


def _huge_integer(of: Case) -> Iterator[BadRequest]:
    kinds: set[str] = set()
    for index, place in enumerate(of.places):
        kind = place.dtype if isinstance(place, Tensor) else str(place.type)
        if is_number(place) and kind not in kinds:
            kinds.add(kind)
            yield from _literal(of, place, str(HUGE).encode(), f"10^400 in '{_name(place, index)}'")


def _two_envelopes(of: Case) -> Iterator[BadRequest]:
    if of.protocol.path != "/invocations":
        return  # V2 has one
    table = of.valid.columns is not None
    pair = (Encoding.SPLIT, Encoding.INPUTS) if table else (Encoding.INPUTS, Encoding.INSTANCES)
    both: dict[str, Any] = {}
    for encoding in pair:
        both |= json.loads(of.protocol.encode(of.valid, encoding)[0])
    yield BadRequest(what=f"{pair[0]} and {pair[1]}", body=json.dumps(both).encode())


def _duplicate_keys(of: Case) -> Iterator[BadRequest]:
    key = next(iter(json.loads(of.body)))
    yield BadRequest(what=f"'{key}' twice, with two values", body=f'{{"{key}": null, '.encode() + of.body[1:])


def _deep_nesting(of: Case) -> Iterator[BadRequest]:
    if any(isinstance(place, Column) and isinstance(place.type, AnyType) for place in of.places) or not of.places:
        return  # to `any`, it is a value
    key = next(iter(json.loads(of.body)))
    body = f'{{"{key}": '.encode() + b"[" * _DEPTH + b"]" * _DEPTH + b"}"
    yield BadRequest(what=f"{_DEPTH:,} lists in each other".replace(",", " "), body=body)


def _bomb() -> bytes:
    """Return `BOMB` zeros as gzip (RFC 1952): what they unpack to is no JSON, so a server that unpacks refuses them too."""
    packer = zlib.compressobj(9, zlib.DEFLATED, -zlib.MAX_WBITS)
    # After a full flush the packer starts afresh: packing a MiB once is packing all of them.
    part = packer.compress(bytes(2**20)) + packer.flush(zlib.Z_FULL_FLUSH)
    body = part * (BOMB // 2**20) + packer.flush()
    return b"\x1f\x8b\x08" + bytes(5) + b"\x02\xff" + body + struct.pack("<II", _BOMB_CRC, BOMB)


def _gzip_bomb(of: Case) -> Iterator[BadRequest]:
    del of
    body = _bomb()
    what = f"{len(body) // 1000} kB that unpack to {BOMB // 2**20} MiB"
    yield BadRequest(what=what, body=body, headers={"Content-Encoding": "gzip"}, json=False)


def _large_body(of: Case) -> Iterator[BadRequest]:
    del of
    body = b'{"rows": "' + b"a" * LARGE + b'"}'
    yield BadRequest(what=f"{LARGE // 10**6} MB in an unknown envelope", body=body, json=False)


_CASES: Mapping[str, Callable[[Case], Iterator[BadRequest]]] = {
    "missing_column": _missing_column,
    "word": _word,
    "envelope": _envelope,
    "malformed_json": _malformed,
    "empty_body": _empty,
    "content_type": _content_type,
    "extra_column": _extra_column,
    "wrong_type": _wrong_type,
    "lossy_number": _lossy_number,
    "wrong_shape": _wrong_shape,
    "null_required": _null_required,
    "nan_token": _nan_token,
    "huge_integer": _huge_integer,
    "two_envelopes": _two_envelopes,
    "duplicate_keys": _duplicate_keys,
    "truncated_json": _truncated,
    "deep_nesting": _deep_nesting,
    "charset": _charset,
    "no_content_type": _no_content_type,
    "gzip_bomb": _gzip_bomb,
    "large_body": _large_body,
}


def no_such_request(case: str, signature: Signature) -> str:
    """Return in a sentence why *signature* has no request of *case*."""
    kind = "columns" if isinstance(signature.inputs, ColumnSchema) else "tensors"
    return f"no such request exists for this signature of {kind} ({case})"

"""JSON that anybody may have written: read within bounds, and with one meaning only. Pure."""

import json
from collections.abc import Collection
from enum import StrEnum
from typing import Any

from mlgate.errors import EvidenceError
from mlgate.typed_json import read_number


class Flaw(StrEnum):
    """What is wrong with bytes that claim to be an envelope or a statement: the whole list."""

    TOO_LARGE = "too_large"
    NOT_JSON = "not_json"
    DUPLICATE_KEY = "duplicate_key"
    TOO_DEEP = "too_deep"
    UNKNOWN_FIELD = "unknown_field"
    MISSING_FIELD = "missing_field"
    WRONG_VALUE = "wrong_value"
    WRONG_TYPE = "wrong_type"  # another payload type, statement type or predicate type
    OTHER_FORMAT = "other_format"  # of the evidence inside
    NOT_BASE64 = "not_base64"
    NO_SIGNATURES = "no_signatures"
    TOO_MANY_SIGNATURES = "too_many_signatures"
    NOT_CANONICAL = "not_canonical"
    WRONG_DIGEST = "wrong_digest"


class AttestationError(EvidenceError):
    """An envelope or a statement that can not be read.

    Attributes:
        flaw: What is wrong with it.
    """

    def __init__(self, flaw: Flaw, message: str, *, hint: str | None = None) -> None:
        super().__init__(message, hint=hint)
        self.flaw = flaw

    @property
    def code(self) -> str:
        """Stable word for machines, as in `Reason.code`."""
        return f"attestation_{self.flaw}"


def read_json(raw: bytes, *, what: str, max_bytes: int, max_depth: int) -> Any:
    """Return the JSON value in *raw*: UTF-8, finite numbers, each key once.

    Args:
        raw: From anywhere.
        what: What it should be, for the message.
        max_bytes: Longest text that is looked at.
        max_depth: Deepest nesting; `1` is a flat object or list.

    Raises:
        AttestationError: Larger or deeper than that, no JSON, or an object with one key twice.
    """
    if len(raw) > max_bytes:
        raise AttestationError(Flaw.TOO_LARGE, f"{what} is {len(raw)} bytes > {max_bytes} allowed")
    try:
        found = json.loads(
            raw.decode("utf-8"),
            object_pairs_hook=_each_key_once,
            parse_int=read_number,
            parse_float=read_number,
            parse_constant=read_number,
        )
    except _DuplicateKeyError as error:
        raise AttestationError(Flaw.DUPLICATE_KEY, f"{what} has key '{str(error)[:40]}' twice") from None
    except RecursionError:
        raise AttestationError(Flaw.TOO_DEEP, f"{what} nests deeper than {max_depth}") from None
    except ValueError:
        raise AttestationError(Flaw.NOT_JSON, f"{what} is not JSON") from None
    if _deeper_than(found, max_depth):
        raise AttestationError(Flaw.TOO_DEEP, f"{what} nests deeper than {max_depth}")
    return found


def read_object(
    value: object, *, what: str, required: Collection[str], optional: Collection[str] = ()
) -> dict[str, Any]:
    """Return *value* as an object with these keys and no other.

    Raises:
        AttestationError: No object, a key is missing, or one stands there that nobody reads.
    """
    if not isinstance(value, dict):
        raise AttestationError(Flaw.WRONG_VALUE, f"{what} is no object")
    if missing := sorted(set(required) - value.keys()):
        raise AttestationError(Flaw.MISSING_FIELD, f"{what} lacks '{missing[0]}'")
    if unknown := sorted(value.keys() - {*required, *optional}):
        raise AttestationError(Flaw.UNKNOWN_FIELD, f"{what} has '{unknown[0][:40]}', which nobody reads")
    return value


class _DuplicateKeyError(ValueError):
    """An object with one key twice: readers differ in which of the two they believe."""


def _each_key_once(pairs: list[tuple[str, Any]]) -> dict[str, Any]:
    found = dict(pairs)
    if len(found) != len(pairs):
        seen: set[str] = set()
        raise _DuplicateKeyError(next(key for key, _ in pairs if key in seen or seen.add(key)))  # type: ignore[func-returns-value]  # add() is the memory
    return found


def _deeper_than(value: object, depth: int) -> bool:
    """Walk level by level: a recursion would end where the interpreter's does."""
    level = [value]
    for _ in range(depth + 1):
        level = [
            inner
            for outer in level
            if isinstance(outer, (dict, list))
            for inner in (outer.values() if isinstance(outer, dict) else outer)
        ]
        if not level:
            return False
    return True

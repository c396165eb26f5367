"""An ASGI wrapper that refuses what MLflow's server lets through: what a careful gateway before it does. With holes to order."""

import asyncio
import json
from collections.abc import Callable
from typing import Any

COLUMNS = {"age": (int, float), "tenure": (int,), "plan": (str,)}
MAX_BODY = 5_000_000
BODY_S = 1.5


class Refused(Exception):
    """With a status."""


def gateway(
    *,
    hole: Callable[[bytes, dict[str, str]], bool] = lambda raw, headers: False,
    extra: bool = True,
    max_body: int = MAX_BODY,
    body_s: float = BODY_S,
    hole_answer: bytes = b'{"predictions": [0.5]}',
) -> Callable[[Any], Any]:
    """Return the wrapper.

    Args:
        hole: Requests that it answers as if they were valid.
        extra: Whether a column that it does not know is let through.
        max_body: Bytes that it reads.
        body_s: Seconds that a body may take.
        hole_answer: What they get.
    """

    def wrap(inner: Any) -> Any:
        async def app(scope: Any, receive: Any, send: Any) -> None:
            if scope["type"] != "http" or scope["path"] != "/invocations":
                await inner(scope, receive, send)
                return
            headers = {name.decode(): value.decode() for name, value in scope["headers"]}
            raw = b""
            try:
                raw = await asyncio.wait_for(_body(receive, max_body), body_s)
                if hole(raw, headers):
                    await _answer(send, 200, hole_answer)
                    return
                _check(raw, headers, extra=extra)
            except TimeoutError:
                await _answer(send, 408, b'{"error": "slow"}')
                return
            except Refused as error:
                await _answer(send, error.args[0], b'{"error": "refused"}')
                return
            parts = [{"type": "http.request", "body": raw, "more_body": False}]

            async def replay() -> Any:
                return parts.pop() if parts else await receive()

            await inner(scope, replay, send)

        return app

    return wrap


async def _body(receive: Any, max_body: int) -> bytes:
    raw, more = bytearray(), True
    while more:
        message = await receive()
        raw += message.get("body", b"")
        more = message.get("more_body", False)
        if len(raw) > max_body:
            raise Refused(413)
    return bytes(raw)


async def _answer(send: Any, status: int, body: bytes) -> None:
    headers = [(b"content-type", b"application/json"), (b"content-length", str(len(body)).encode())]
    await send({"type": "http.response.start", "status": status, "headers": headers})
    await send({"type": "http.response.body", "body": body})


def _check(raw: bytes, headers: dict[str, str], *, extra: bool) -> None:
    if "content-encoding" in headers or headers.get("content-type") not in {"application/json", "text/csv"}:
        raise Refused(415)
    if headers["content-type"] == "text/csv":
        return
    try:
        document = json.loads(raw, object_pairs_hook=_once, parse_constant=_no_constant)
    except (ValueError, RecursionError):
        raise Refused(400) from None
    if not isinstance(document, dict) or len(document.keys() - {"params"}) != 1:
        raise Refused(400)
    for row in _records(document):
        _check_row(row, extra=extra)


def _once(pairs: list[tuple[str, Any]]) -> dict[str, Any]:
    if len(dict(pairs)) != len(pairs):
        raise ValueError("twice")
    return dict(pairs)


def _no_constant(token: str) -> Any:
    raise ValueError(token)


def _records(document: dict[str, Any]) -> list[dict[str, Any]]:
    split = document.get("dataframe_split")
    if isinstance(split, dict):
        columns = split["columns"]
        if any(len(row) != len(columns) for row in split["data"]):
            raise Refused(400)
        return [dict(zip(columns, row, strict=True)) for row in split["data"]]
    rows = next(value for key, value in document.items() if key != "params")
    if not isinstance(rows, list) or not all(isinstance(row, dict) for row in rows):
        raise Refused(400)
    return rows


def _check_row(row: dict[str, Any], *, extra: bool) -> None:
    if not row.keys() >= COLUMNS.keys() or (not extra and row.keys() != COLUMNS.keys()):
        raise Refused(400)
    for name, kinds in COLUMNS.items():
        if not isinstance(row[name], kinds) or isinstance(row[name], bool):
            raise Refused(400)
        if not isinstance(row[name], str) and abs(row[name]) >= 2**63:
            raise Refused(400)

"""ASGI wrappers around a good server that answer some request wrongly."""

import json
from collections.abc import Callable
from typing import Any

GOOD_ANSWER = b'{"predictions": [0.5]}'


def answering(
    when: Callable[[bytes, str], bool], *, status: int = 200, body: bytes = GOOD_ANSWER
) -> Callable[[Any], Any]:
    """Return a wrapper that answers requests for which `when(body, content type)` holds, and passes on the others."""

    def wrap(inner: Any) -> Any:
        async def app(scope: Any, receive: Any, send: Any) -> None:
            if scope["type"] != "http" or scope["path"] != "/invocations":
                await inner(scope, receive, send)
                return
            raw, more = b"", True
            while more:
                message = await receive()
                raw += message.get("body", b"")
                more = message.get("more_body", False)
            content_type = dict(scope["headers"]).get(b"content-type", b"").decode()
            if when(raw, content_type):
                headers = [(b"content-type", b"application/json"), (b"content-length", str(len(body)).encode())]
                await send({"type": "http.response.start", "status": status, "headers": headers})
                await send({"type": "http.response.body", "body": body})
                return
            sent = False

            async def replay() -> Any:
                nonlocal sent
                if sent:
                    return await receive()
                sent = True
                return {"type": "http.request", "body": raw, "more_body": False}

            await inner(scope, replay, send)

        return app

    return wrap


def document_of(raw: bytes) -> Any:
    """Return the JSON document of a request, or `None`."""
    try:
        return json.loads(raw)
    except ValueError:
        return None


def split_of(raw: bytes) -> dict[str, Any]:
    """Return the `dataframe_split` of a request, or nothing."""
    document = document_of(raw)
    return document.get("dataframe_split", {}) if isinstance(document, dict) else {}

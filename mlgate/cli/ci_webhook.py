"""`mlgate ci from-webhook`: from MLflow's event to the version that a pipeline has to test."""

import os
import sys
from datetime import UTC, datetime
from pathlib import Path
from typing import Annotated

import typer

from mlgate.cli.console import Output, OutputOption, emit_json, result, say
from mlgate.errors import ConfigError

NAME = "from-webhook"
HELP = """Print the URI of the version that MLflow's webhook tells of; nothing, and status 0, where the event asks for no
test; status 1 where it is forged. Example: mlgate ci from-webhook "$TRIGGER_PAYLOAD" """
SECRET = "MLGATE_WEBHOOK_SECRET"  # noqa: S105 - the name of a variable

_HEADER_HELP = "The request's header, to be checked with MLGATE_WEBHOOK_SECRET"


def command(
    file: Annotated[str, typer.Argument(metavar="FILE", help="The body of the request; - for standard input")],
    delivery_id: Annotated[
        str,
        typer.Option("--delivery-id", metavar="X-MLflow-Delivery-Id", envvar="MLGATE_WEBHOOK_ID", help=_HEADER_HELP),
    ] = "",
    timestamp: Annotated[
        str,
        typer.Option("--timestamp", metavar="X-MLflow-Timestamp", envvar="MLGATE_WEBHOOK_TIMESTAMP", help=_HEADER_HELP),
    ] = "",
    signature: Annotated[
        str,
        typer.Option("--signature", metavar="X-MLflow-Signature", envvar="MLGATE_WEBHOOK_SIGNATURE", help=_HEADER_HELP),
    ] = "",
    output: OutputOption = Output.TEXT,
) -> int:
    """Check the signature first, then read: what is not from MLflow is not looked at."""
    from mlgate.registry.mlflow_webhook import Headers, read_event, verify

    body = _read(file)
    headers = Headers(delivery_id=delivery_id, timestamp=timestamp, signature=signature)
    secret = os.environ.get(SECRET, "")
    if secret:
        verify(body, headers, secret, datetime.now(UTC))
    elif signature:
        raise ConfigError(f"a signature is given and {SECRET} is not set: it can not be checked")
    event = read_event(body)
    if not secret:
        say(f"mlgate: the sender is not checked: {SECRET} is not set")
    if event.uri is None:
        say(f"mlgate: {event.kind} is ignored: {event.ignored}")
    if output is Output.JSON:
        emit_json({"event": event.kind, "uri": event.uri, "ignored": event.ignored or None, "verified": bool(secret)})
    elif event.uri is not None:
        result(event.uri)
    return 0


def _read(file: str) -> bytes:
    from mlgate.registry.mlflow_webhook import MAX_BODY_BYTES

    # One byte more than allowed is enough to say that it is too large.
    if file == "-":
        return sys.stdin.buffer.read(MAX_BODY_BYTES + 1)
    try:
        with Path(file).open("rb") as opened:
            return opened.read(MAX_BODY_BYTES + 1)
    except (OSError, ValueError) as error:
        reason = getattr(error, "strerror", None) or "no file name"
        raise ConfigError(
            f"{file[:200]}: {reason}", hint="FILE is a path: in GitLab TRIGGER_PAYLOAD is one, of type file"
        ) from error

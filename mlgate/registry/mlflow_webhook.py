"""What MLflow's webhook says, and whether it was MLflow that said it. Pure.

Body and headers as MLflow 3 sends them: `{"entity", "action", "timestamp", "data"}`, and a signature as Standard Webhooks
has it, over `<delivery id>.<timestamp>.<body>`.
"""

import base64
import binascii
import hashlib
import hmac
import json
from dataclasses import dataclass
from datetime import datetime
from typing import Any

from mlgate.errors import ConfigError, UriError, WebhookRefused
from mlgate.model_version import ModelUri
from mlgate.registry.tags import PREFIX

# Standard Webhooks' own limit, in both directions: clocks differ.
MAX_AGE_S = 300
# One description of 100 000 characters and some tags; nobody's event is larger.
MAX_BODY_BYTES = 16 * 1024 * 1024
_SIGNATURE_VERSION = "v1"
_CREATED = "model_version.created"
_TAG_EVENTS = frozenset({"model_version_tag.set", "model_version_tag.deleted"})


@dataclass(frozen=True, slots=True, kw_only=True)
class Headers:
    """What the request said beside its body; empty where it said nothing.

    Attributes:
        delivery_id: `X-MLflow-Delivery-Id`.
        timestamp: `X-MLflow-Timestamp`, Unix seconds as text.
        signature: `X-MLflow-Signature`, `v1,<base64>`.
    """

    delivery_id: str = ""
    timestamp: str = ""
    signature: str = ""


@dataclass(frozen=True, slots=True, kw_only=True)
class Event:
    """One event.

    Attributes:
        kind: `<entity>.<action>`.
        uri: The version to be tested, `models:/name/version`; `None` where the event asks for no test.
        ignored: Why not; empty where there is a URI.
    """

    kind: str
    uri: str | None = None
    ignored: str = ""


def verify(body: bytes, headers: Headers, secret: str, now: datetime) -> None:
    """Make sure that who knows *secret* sent *body* just now.

    Args:
        body: Byte for byte as it came: GitLab's `TRIGGER_PAYLOAD` is written anew and can not be verified.
        headers: As they came.
        secret: The webhook's.
        now: With a time zone.

    Raises:
        WebhookRefused: A header is missing, the signature is another, or it is older (or newer) than five minutes.
    """
    named = {
        "X-MLflow-Delivery-Id": headers.delivery_id,
        "X-MLflow-Timestamp": headers.timestamp,
        "X-MLflow-Signature": headers.signature,
    }
    missing = [name for name, value in named.items() if not value]
    if missing:
        raise WebhookRefused(
            f"webhook without {', '.join(missing)}: unsigned, and a secret is set",
            hint="give the webhook the secret, and mlgate the headers",
        )
    signed = f"{headers.delivery_id}.{headers.timestamp}.".encode() + body
    expected = hmac.new(secret.encode(), signed, hashlib.sha256).digest()
    version, _, encoded = headers.signature.partition(",")
    try:
        told = base64.b64decode(encoded, validate=True)
    except (binascii.Error, ValueError):
        told = b""
    if version != _SIGNATURE_VERSION or not hmac.compare_digest(told, expected):
        raise WebhookRefused(
            "webhook: the signature is not one of this secret over these bytes",
            hint="forged, changed on the way, or another secret; GitLab's TRIGGER_PAYLOAD is always changed",
        )
    # Only now is the timestamp somebody's word.
    try:
        age = now.timestamp() - int(headers.timestamp)
    except ValueError:
        raise WebhookRefused(f"webhook: timestamp '{headers.timestamp[:40]}' is no Unix time") from None
    if abs(age) > MAX_AGE_S:
        when = f"{age:.0f} s old" if age > 0 else f"{-age:.0f} s ahead"
        raise WebhookRefused(f"webhook: {when}, more than {MAX_AGE_S} s", hint="replayed, or a clock is wrong")


def read_event(body: bytes) -> Event:
    """Read an event.

    Keys that are not MLflow's are left alone: GitLab adds `id` and `ref`.

    Raises:
        ConfigError: No event of MLflow's, or a version that no URI can name.
    """
    document = _json(body)
    entity, action, data = (document.get(key) for key in ("entity", "action", "data"))
    if not isinstance(entity, str) or not isinstance(action, str) or not isinstance(data, dict):
        raise ConfigError(
            "not a webhook of MLflow's: no entity, action and data", hint='give it the body, {"entity": …, "data": {…}}'
        )
    kind = f"{entity}.{action}"
    if kind == _CREATED:
        return Event(kind=kind, uri=_uri(data))
    key = data.get("key")
    # A run writes tags: whoever tested on them would test for ever.
    if kind in _TAG_EVENTS and isinstance(key, str) and key.startswith(PREFIX):
        return Event(kind=kind, ignored=f"{key} is a tag of mlgate's own")
    return Event(kind=kind, ignored=f"only {_CREATED} asks for a test")


def _json(body: bytes) -> dict[str, Any]:
    if len(body) > MAX_BODY_BYTES:
        raise ConfigError(f"{len(body)} bytes are no webhook of MLflow's, limit {MAX_BODY_BYTES}")
    try:
        document = json.loads(body)
    except (ValueError, RecursionError) as error:
        raise ConfigError(
            f"not a webhook of MLflow's: no JSON ({error})", hint='in GitLab: mlgate ci from-webhook "$TRIGGER_PAYLOAD"'
        ) from None
    if not isinstance(document, dict):
        raise ConfigError("not a webhook of MLflow's: no JSON object")
    return document


def _uri(data: dict[str, Any]) -> str:
    name, version = data.get("name"), data.get("version")
    if isinstance(version, int) and not isinstance(version, bool):
        version = str(version)
    text = f"models:/{name}/{version}"
    # What is printed goes into a shell's variable: one line that names one version.
    if isinstance(name, str) and isinstance(version, str) and text.isprintable():
        try:
            parsed = ModelUri.parse(text)
        except UriError:
            parsed = None
        if parsed is not None and (parsed.name, parsed.version) == (name, version):
            return text
    raise ConfigError(f"the event names no version: name {str(name)[:100]!r}, version {str(version)[:40]!r}")

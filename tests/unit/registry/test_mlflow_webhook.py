"""MLflow's webhook: which event asks for a test, and what is forged. Signatures come from MLflow's own code."""

import json
from datetime import UTC, datetime, timedelta

import pytest
from mlflow.entities.webhook import WebhookEvent
from mlflow.webhooks.delivery import _generate_hmac_signature
from mlflow.webhooks.types import EVENT_TO_PAYLOAD_CLASS, get_example_payload_for_event

from mlgate.errors import ConfigError, WebhookRefused
from mlgate.registry.mlflow_webhook import MAX_BODY_BYTES, Headers, read_event, verify

NOW = datetime(2026, 11, 23, 12, tzinfo=UTC)
SECRET = "whsec swordfish"


def body(kind="model_version.created", **data):
    entity, _, action = kind.partition(".")
    told = {"name": "churn", "version": "3", **data}
    return json.dumps({"entity": entity, "action": action, "timestamp": "2026-11-23T12:00:00", "data": told}).encode()


def signed(content, *, secret=SECRET, at=NOW, delivery="d-1"):
    stamp = str(int(at.timestamp()))
    told = _generate_hmac_signature(secret, delivery, stamp, content.decode())
    return Headers(delivery_id=delivery, timestamp=stamp, signature=told)


def test_a_created_version_is_a_uri():
    """As MLflow spells it, and with what GitLab adds."""
    assert read_event(body()).uri == "models:/churn/3"
    assert read_event(body(name="Kündigung (EU)", version="12")).uri == "models:/Kündigung (EU)/12"
    assert read_event(json.dumps({**json.loads(body()), "id": "42", "ref": "main"}).encode()).uri == "models:/churn/3"


@pytest.mark.parametrize("event", EVENT_TO_PAYLOAD_CLASS, ids=lambda event: f"{event[0]}.{event[1]}")
def test_of_all_events_that_mlflow_knows_one_asks_for_a_test(event):
    """Each with MLflow's own example body."""
    entity, action = (str(part) for part in event)
    data = get_example_payload_for_event(WebhookEvent(*event))
    found = read_event(json.dumps({"entity": entity, "action": action, "timestamp": "x", "data": data}).encode())
    assert found.kind == f"{entity}.{action}"
    assert found.uri == ("models:/example_model/1" if found.kind == "model_version.created" else None)
    assert bool(found.ignored) == (found.uri is None)


@pytest.mark.parametrize("kind", ["model_version_tag.set", "model_version_tag.deleted"])
def test_a_tag_of_our_own_is_named(kind):
    """A pipeline that tested on it would start itself for ever; somebody else's tag gets the other reason."""
    assert (
        read_event(body(kind, key="mlgate.status", value="passed")).ignored == "mlgate.status is a tag of mlgate's own"
    )
    assert "only model_version.created" in read_event(body(kind, key="mlgatekeeper", value="x")).ignored


@pytest.mark.parametrize(
    ("content", "words"),
    [
        (b"", "no JSON"),
        (b"{", "no JSON"),
        (b"\xff\xfe", "no JSON"),
        (b"[" * 100_000, "no JSON"),
        (b"[]", "no JSON object"),
        (b"{}", "no entity, action and data"),
        (b'{"entity": "model_version", "action": ["created"], "data": {}}', "no entity, action and data"),
        (b'{"entity": "model_version", "action": "created", "data": 3}', "no entity, action and data"),
        (body(name=None), "names no version"),
        (body(version=True), "names no version"),
        (body(version="3\nmodels:/other/1"), "names no version"),
        (body(name="a\nb"), "names no version"),
        (body(name="a/b"), "names no version"),
        (body(name="m@champion"), "names no version"),
        (body(version="latest"), "names no version"),
        (b" " * (MAX_BODY_BYTES + 1), "limit"),
    ],
    ids=range(16),
)
def test_what_is_no_event_is_an_error(content, words):
    """One line, and never a URI of two lines."""
    with pytest.raises(ConfigError, match=words) as caught:
        read_event(content)
    assert "\n" not in str(caught.value)


def test_a_signature_of_mlflows_is_believed():
    """Over bytes, also where they are not ASCII."""
    content = body(name="Kündigung").decode("unicode_escape").encode()
    verify(content, signed(content), SECRET, NOW)
    for seconds in (-300, 300):
        verify(content, signed(content, at=NOW + timedelta(seconds=seconds)), SECRET, NOW)


FORGERIES = {
    "another secret": (lambda h: signed(body(), secret="x"), "not one of this secret"),
    "another body": (lambda h: signed(body(version="4")), "not one of this secret"),
    "another delivery": (lambda h: Headers(delivery_id="d-2", timestamp=h.timestamp, signature=h.signature), "not one of"),
    "newer stamp": (
        lambda h: Headers(delivery_id="d-1", timestamp=str(int(h.timestamp) + 1), signature=h.signature), "not one of"),
    "another version": (
        lambda h: Headers(delivery_id="d-1", timestamp=h.timestamp, signature="v2" + h.signature[2:]), "not one of"),
    "no base64": (lambda h: Headers(delivery_id="d-1", timestamp=h.timestamp, signature="v1,%"), "not one of"),
    "empty": (lambda h: Headers(delivery_id="d-1", timestamp=h.timestamp, signature="v1,"), "not one of"),
    "not ASCII": (lambda h: Headers(delivery_id="d-1", timestamp=h.timestamp, signature="v1,ü"), "not one of"),
    "none": (lambda h: Headers(delivery_id="d-1", timestamp=h.timestamp), "without X-MLflow-Signature"),
    "nothing": (lambda h: Headers(), "without X-MLflow-Delivery-Id, X-MLflow-Timestamp, X-MLflow-Signature"),
    "stale": (lambda h: signed(body(), at=NOW - timedelta(seconds=301)), "301 s old, more than 300 s"),
    "ahead": (lambda h: signed(body(), at=NOW + timedelta(seconds=301)), "301 s ahead, more than 300 s"),
}  # fmt: skip


@pytest.mark.parametrize("forgery", FORGERIES)
def test_a_forged_or_old_request_is_refused(forgery):
    """With exit status 1, and without a word of the secret."""
    make, words = FORGERIES[forgery]
    with pytest.raises(WebhookRefused, match=words) as caught:
        verify(body(), make(signed(body())), SECRET, NOW)
    assert caught.value.exit_code == 1
    assert "swordfish" not in str(caught.value)


def test_a_signed_stamp_that_is_no_time_is_refused():
    """It can not be told how old the request is."""
    told = Headers(
        delivery_id="d", timestamp="soon", signature=_generate_hmac_signature(SECRET, "d", "soon", body().decode())
    )
    with pytest.raises(WebhookRefused, match="no Unix time"):
        verify(body(), told, SECRET, NOW)

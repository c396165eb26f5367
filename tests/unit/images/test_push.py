"""What an engine says while it pushes, and the one line that it comes to."""

import pytest

from mlgate.errors import EngineError
from mlgate.images.push import digest_of, push_error
from mlgate.images.reference import ImageReference

REFERENCE = ImageReference.parse("registry.example.com:5000/team/churn:3")
DIGEST = "sha256:" + "d" * 64
# As docker 20.10 streams it.
GOOD = [
    {"status": "The push refers to repository [registry.example.com:5000/team/churn]"},
    {"status": "Preparing", "progressDetail": {}, "id": "f3e44a0d3628"},
    {
        "status": "Pushing",
        "progressDetail": {"current": 512, "total": 12247},
        "progress": "[=> ]",
        "id": "f3e44a0d3628",
    },
    {"status": "Layer already exists", "progressDetail": {}, "id": "213493750d6f"},
    {"status": "Pushed", "progressDetail": {}, "id": "f3e44a0d3628"},
    {"status": f"3: digest: {DIGEST} size: 950"},
    {"progressDetail": {}, "aux": {"Tag": "3", "Digest": DIGEST, "Size": 950}},
]


def test_the_digest_is_the_manifests():
    """And each layer is told once."""
    told = []
    assert digest_of(GOOD, REFERENCE, told.append) == DIGEST
    assert told == ["213493750d6f: layer already exists", "f3e44a0d3628: pushed"]


def test_a_push_without_a_digest_is_no_push():
    """Nothing may be called pushed that a cluster could not name."""
    with pytest.raises(EngineError, match="names no digest"):
        digest_of(GOOD[:-1], REFERENCE, print)


def test_an_error_in_the_stream_ends_it_also_after_a_digest():
    """The engine answers 200 and says later that it failed."""
    said = [*GOOD, {"errorDetail": {"message": "unauthorized: authentication required"}, "error": "unauthorized"}]
    with pytest.raises(EngineError, match="does not allow it"):
        digest_of(said, REFERENCE, lambda _: None)


@pytest.mark.parametrize(
    ("told", "says"),
    [
        ("no basic auth credentials", "docker login registry.example.com:5000"),
        ("denied: requested access to the resource is denied", "docker login"),
        ("unauthorized: HTTP Basic: Access denied", "docker login"),
        ("error parsing HTTP 403 response body", "docker login"),
        ('Get "https://registry.example.com:5000/v2/": dial tcp 10.0.0.1:5000: connect: connection refused', "can not be reached"),
        ("dial tcp: lookup registry.example.com on 10.0.0.2:53: no such host", "can not be reached"),
        ("net/http: request canceled while waiting for connection", "can not be reached"),
        ("x509: certificate signed by unknown authority", "can not be reached"),
        ("http: server gave HTTP response to HTTPS client", "insecure-registries"),
        ("received unexpected HTTP status: 507 Insufficient Storage", "full"),
        ("filesystem: mkdir /var/lib/registry: no space left on device", "full"),
        ("something that nobody has heard of", "something that nobody has heard of"),
    ],
)  # fmt: skip
def test_each_failure_has_its_line(told, says):
    """Who refused, and what to do."""
    text = str(push_error(told, REFERENCE))
    assert says in text
    assert text.startswith("registry.example.com:5000/team/churn:3 can not be pushed")


def test_no_password_is_in_a_message():
    """A proxy's or a registry's, in an address that the engine quotes."""
    told = 'Get "https://ci:t0ken@registry.example.com/v2/": proxyconnect tcp: connection refused\nsecond line'
    text = str(push_error(told, REFERENCE))
    assert "t0ken" not in text
    assert "\n" not in text

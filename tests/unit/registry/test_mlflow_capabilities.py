"""What an answer to a probe says; the probes themselves meet real servers in tests/integration."""

import pytest

from mlgate.registry.interface import Capability
from mlgate.registry.mlflow_capabilities import absent, judge, probe


@pytest.mark.parametrize(
    ("status", "body", "told"),
    [
        (400, '{"error_code": "INVALID_PARAMETER_VALUE", "message": "Missing value for required parameter"}', "yes"),
        (404, '{"error_code": "RESOURCE_DOES_NOT_EXIST"}', "yes"),
        (400, '{"error": "name is missing"}', "yes"),
        (200, "{}", "yes"),
        (404, '{"error": "404 Not Found"}', "no: HTTP 404"),
        (404, '{"detail": "Not Found"}', "no: HTTP 404"),
        (404, "<html>Not Found</html>", "no: HTTP 404"),
        (405, '{"error": "405 Not Allowed"}', "no: HTTP 405"),
        (404, '{"error_code": "ENDPOINT_NOT_FOUND"}', "no: HTTP 404"),
        (501, '{"error_code": "NOT_IMPLEMENTED"}', "no: HTTP 501"),
        (401, '{"error_code": "UNAUTHENTICATED"}', "unknown: HTTP 401"),
        (403, "denied", "unknown: HTTP 403"),
        (500, '{"error_code": "INTERNAL_ERROR"}', "unknown: HTTP 500"),
        (503, "busy", "unknown: HTTP 503"),
        (200, "<!doctype html><title>Log in</title>", "unknown: HTTP 200 without JSON"),
    ],
)
def test_an_answer_says_yes_no_or_that_nobody_knows(status, body, told):
    """Only a route that is not there is a no: a server in trouble may still have it."""
    assert judge(Capability.ALIASES, status, body) == told
    assert absent(told) == told.startswith("no")


def test_a_server_without_artifact_proxy_says_503():
    """MLflow's own word for it."""
    told = judge(Capability.ARTIFACT_PROXY, 503, '{"error_code": "TEMPORARILY_UNAVAILABLE"}')
    assert told == "no: mlflow server runs without --serve-artifacts"


def test_a_plain_database_has_aliases_and_nobody_who_calls():
    """Webhooks and the proxy are a server's."""
    told = {one: probe(one, "sqlite:///x.db", "sqlite:///x.db") for one in Capability}
    assert [one for one in Capability if absent(told[one])] == [Capability.WEBHOOKS, Capability.ARTIFACT_PROXY]


def test_a_server_that_is_gone_is_not_a_server_without():
    """Asked, no answer: nobody knows."""
    assert probe(Capability.TAGS, "http://127.0.0.1:9", "http://127.0.0.1:9").startswith("unknown: ")

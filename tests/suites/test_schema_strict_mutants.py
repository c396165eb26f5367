"""Under `rejects: strict` each further case fails what lets it through, and a careful gateway passes all of them."""

import json

import pytest

from mlgate.policy_schema import STRICT_CASES
from tests.suites.conftest import POLICY
from tests.suites.strict_gateway import gateway

STRICT = POLICY + "schema: {rejects: strict}\n"


def cells(raw):
    """Return the cells of a request's rows, or none."""
    try:
        split = json.loads(raw)["dataframe_split"]
        return [cell for row in split["data"] for cell in row]
    except (ValueError, KeyError, TypeError, RecursionError):
        return []


def kinds(raw):
    return [type(cell) for cell in cells(raw)]


# Request to whether it is of the case; the hole of a gateway that is tight otherwise.
HOLES = {
    "extra_column": lambda raw, _: b"mlgate_extra_column" in raw,
    "wrong_type": lambda raw, _: kinds(raw)[:3] == [float, int, int],
    "lossy_number": lambda raw, _: 1.5 in cells(raw) and kinds(raw)[1:2] == [float],
    "wrong_shape": lambda raw, _: len(cells(raw)) == 2 and len(json.loads(raw)["dataframe_split"]["columns"]) == 3,
    "null_required": lambda raw, _: None in cells(raw),
    "nan_token": lambda raw, _: b"NaN" in raw,
    "huge_integer": lambda raw, _: b"0" * 400 in raw,
    "two_envelopes": lambda raw, _: b"dataframe_split" in raw and b'"inputs"' in raw,
    "duplicate_keys": lambda raw, _: raw.count(b'"dataframe_split"') == 2,
    "truncated_json": lambda raw, _: b"planted" in raw and not raw.endswith(b"]}") and b'"rows"' not in raw,
    "deep_nesting": lambda raw, _: b"[" * 1000 in raw,
    "charset": lambda raw, headers: "charset" in headers.get("content-type", ""),
    "gzip_bomb": lambda raw, headers: "content-encoding" in headers,
    "large_body": lambda raw, _: len(raw) > 40_000_000,
}


def not_passed(findings):
    """Return the checks that did not pass."""
    return {key: str(found.outcome) for key, found in findings.items() if str(found.outcome) != "passed"}


def strict(case):
    return f"schema.rejects[case={case}]"


def test_a_careful_gateway_passes_every_case(bench):
    """All of them gate, and none is vacuous for a table of a number, a whole number and a text."""
    findings = bench(policy=STRICT, app=gateway()).findings("schema")
    assert not_passed(findings) == {}
    assert {strict(case) for case in STRICT_CASES} <= findings.keys()
    assert all(found.n for found in findings.values() if found.n is not None)


@pytest.mark.parametrize("case", HOLES)
def test_a_wrong_request_that_is_answered_fails_its_case(bench, case):
    """Each has a gateway that lets this one through, and no other."""
    # The answer of another row: a column too many may be ignored, and must not change the answer.
    wide = {"max_body": 60_000_000, "body_s": 30} if case == "large_body" else {}
    findings = bench(policy=STRICT, app=gateway(hole=HOLES[case], **wide)).findings("schema")
    expected = {strict(case): "failed"}
    if case == "large_body":
        expected |= dict.fromkeys((strict("slow_body"),), "failed")
    assert not_passed(findings) == expected
    assert str(findings[strict(case)].cause) == "server"


def test_a_body_that_never_ends_and_is_waited_for_fails_its_case(bench):
    """For as long as the server's own limit, and no longer."""
    findings = bench(policy=STRICT, app=gateway(body_s=60), timeout_s=2.0).findings("schema")
    assert not_passed(findings) == {strict("slow_body"): "failed"}
    assert "still waited for" in findings[strict("slow_body")].reason


def test_a_server_error_without_a_content_type_fails_its_case(bench):
    """An answer or a refusal would do; MLflow's own server answers 500."""
    findings = bench(policy=STRICT, app=untyped).findings("schema")
    assert not_passed(findings) == {strict("no_content_type"): "failed"}


def untyped(inner):
    """A careful gateway that passes on what has no content type."""
    tight = gateway()(inner)

    async def app(scope, receive, send):
        typed = any(name == b"content-type" for name, _ in scope["headers"])
        await (tight if typed or scope["type"] != "http" else inner)(scope, receive, send)

    return app


@pytest.mark.parametrize(("allowed", "policy"), [(True, "ignore"), (False, "refuse")])
def test_a_column_too_many_gets_what_the_policy_says(bench, allowed, policy):
    """Ignored or refused; the one where the other is asked for fails."""
    text = POLICY + f"schema: {{rejects: strict, extra_column: {policy}}}\n"
    assert not_passed(bench(policy=text, app=gateway(extra=allowed)).findings("schema")) == {}
    found = bench(policy=text, app=gateway(extra=not allowed)).findings("schema")
    assert not_passed(found) == {strict("extra_column"): "failed"}


def test_what_mlflows_own_server_lets_through_is_the_servers_doing(bench):
    """Under `basic` all of it is shown and nothing gates; the list stands in docs/schema.md."""
    on = bench()
    assert not_passed(on.findings("schema")) == {}
    parts = {case: on.parts[strict(case)] for case in STRICT_CASES}
    assert all(part.details["advisory"] is True for part in parts.values())
    failed = {case for case, part in parts.items() if str(part.outcome) == "failed"}
    assert failed == MLFLOWS_OWN
    assert {str(parts[case].cause) for case in failed} == {"server"}


# As docs/schema.md says of MLflow 3.17.2.
MLFLOWS_OWN = {
    "wrong_type", "lossy_number", "null_required", "nan_token", "duplicate_keys", "deep_nesting", "no_content_type",
}  # fmt: skip

"""Evidence: what goes in comes out, and nothing else is believed."""

import copy
import json
import subprocess
import sys
from dataclasses import replace

import numpy as np
import pytest
import rfc8785
from hypothesis import assume, example, given
from hypothesis import strategies as st

from mlgate.errors import EvidenceError
from mlgate.evidence import (
    Cause,
    Evidence,
    Finding,
    Outcome,
    SuiteResult,
    canonical_digest,
    worst,
)
from mlgate.gate import Today, admit
from mlgate.model_version import ModelVersion
from mlgate.registry.interface import StoredEvidence
from mlgate.typed_json import MAX_INTEGER, jsonable
from mlgate.verdict import assess
from tests.unit.builders import BYTES, NOW, POLICY, admissible, anything, findings, result, suites, text, with_check

BASE = admissible(POLICY)
TODAY = Today(
    version=ModelVersion(
        uri="models:/churn/3", name="churn", version="3", model_id=None, source_run_id=None, location=""
    ),
    artifact_digest=BYTES,
    champion_version=None,
    champion_digest=None,
    now=NOW,
)


@given(suites, text, st.dictionaries(text, text, max_size=2))
def test_evidence_round_trips_through_canonical_json(found, policy_text, ci):
    """Whatever a model or a fuzzer put into the findings: the gate reads the bytes that the run wrote."""
    evidence = replace(BASE, suites=found, policy=replace(BASE.policy, text=policy_text), ci=ci)
    raw = evidence.canonical()
    again = Evidence.from_bytes(raw)
    assert again.canonical() == raw
    assert again.digest == evidence.digest
    assert sorted(check.outcome for check in again.checks()) == sorted(check.outcome for check in evidence.checks())


@given(findings)
def test_a_finding_comes_back_equal(finding):
    """Numbers as numbers, advice as advice: not only the bytes are the same."""
    evidence = with_check(BASE, "load", replace(result("own.check"), finding=finding))
    again = Evidence.from_bytes(evidence.canonical()).check("own.check").finding
    assume("advice" not in finding.details)
    for name in ("outcome", "reason", "cause", "measured", "limit", "n", "interval", "confidence", "advice"):
        assert getattr(again, name) == getattr(finding, name), name


@pytest.mark.parametrize("measured", [1e16, 1e17, 1e20, 9007199254740993.0, -1e18, 1.0, 2**60])
def test_a_large_measurement_is_still_a_number_afterwards(measured):
    """RFC 8785 prints 1e17 without an exponent: read as an integer, it would not be the number that was written."""
    evidence = with_check(BASE, "load", result("own.check", measured=measured))
    again = Evidence.from_bytes(evidence.canonical())
    assert again.canonical() == evidence.canonical()
    assert again.check("own.check").finding.measured == measured


@pytest.mark.parametrize("advice", ["", 0, None, {"a": 1}, "x"])
def test_a_detail_called_advice_does_not_change_the_bytes(advice):
    """The format keeps our advice among the details; a user's check may have its own word for it."""
    evidence = with_check(BASE, "load", result("own.check", details={"advice": advice}))
    assert Evidence.from_bytes(evidence.canonical()).canonical() == evidence.canonical()


@pytest.mark.parametrize("number", [float("nan"), float("inf"), -float("inf"), 10**400, np.float32("nan")])
def test_what_is_no_number_is_not_measured(number):
    """`None`, never NaN: and an interval without an end is none."""
    finding = Finding(outcome=Outcome.FAILED, reason="r", measured=number, limit=number, interval=(0.0, number))
    assert (finding.measured, finding.limit, finding.interval) == (None, None, None)


@given(anything)
def test_anything_becomes_canonical_json(value):
    """Also NaN, lone surrogates, integers beyond 2^53, bytes and sets; and doing it twice changes nothing."""
    plain = jsonable(value)
    assert jsonable(plain) == plain
    assert json.loads(rfc8785.dumps(plain), parse_constant=pytest.fail) is not ...


@pytest.mark.parametrize(
    ("value", "plain"),
    [
        (float("nan"), "nan"),
        (float("inf"), "inf"),
        (2**53, str(2**53)),
        (MAX_INTEGER, MAX_INTEGER),
        ("\ud800", "\\ud800"),
        (b"\x01\xff", "01ff"),
        ({1: (2, None)}, {"1": [2, None]}),
        (np.float64(0.5), 0.5),
        (np.array([[1, 2]]), [[1, 2]]),
        (np.bool_(True), True),
        (Outcome.PASSED, "passed"),
        ({"b", "a"}, ["a", "b"]),
    ],
)
def test_what_json_lacks_becomes_the_nearest_it_has(value, plain):
    """One line of each kind."""
    assert jsonable(value) == plain
    assert type(jsonable(value)) is type(plain)


def test_the_digest_does_not_depend_on_the_process():
    """Neither the order of keys nor Python's hash seed is in it."""
    code = (
        "from mlgate.evidence import canonical_digest;"
        "print(canonical_digest({'b': {'x', 'y', 'z', 'longer'}, 'a': [1.0, 1e17, '\\ud800']}))"
    )
    digests = {
        subprocess.run(
            [sys.executable, "-c", code], env={"PYTHONHASHSEED": seed}, capture_output=True, check=True
        ).stdout
        for seed in ("1", "2", "3")
    }
    assert len(digests) == 1
    here = canonical_digest({"a": [1.0, 1e17, "\ud800"], "b": {"x", "y", "z", "longer"}})
    assert digests == {f"{here}\n".encode()}


def test_the_digest_is_over_the_canonical_bytes():
    """Independent of our own code: sha256 of RFC 8785."""
    import hashlib

    document = json.loads(BASE.canonical())
    assert BASE.digest == f"sha256:{hashlib.sha256(rfc8785.dumps(document)).hexdigest()}"


def test_the_document_has_the_pinned_keys():
    """Other tools read it: design §5.4."""
    document = BASE.to_json()
    assert document.keys() == {
        "format", "subject", "image", "sandbox", "champion", "data", "policy", "seed", "complete", "started_at",
        "finished_at", "suites", "verdict", "tool", "ci",
    }  # fmt: skip
    assert document["format"] == "mlgate-evidence/1"
    assert document["suites"]["load"]["checks"][0].keys() == {
        "id", "params", "outcome", "cause", "measured", "limit", "unit", "n", "interval", "confidence", "reason", "details",
    }  # fmt: skip


def paths(document, prefix=()):
    """Every place in a JSON document, objects and lists themselves too."""
    inner = (
        document.items() if isinstance(document, dict) else enumerate(document) if isinstance(document, list) else ()
    )
    for key, value in inner:
        yield (*prefix, key)
        yield from paths(value, (*prefix, key))


DOCUMENT = json.loads(BASE.canonical())
PLACES = sorted(paths(DOCUMENT), key=str)


def holder_of(document, place):
    """The object or list that *place* is in."""
    for key in place[:-1]:
        document = document[key]
    return document


@pytest.mark.parametrize("place", [place for place in PLACES if isinstance(place[-1], str)], ids=str)
def test_a_missing_key_is_refused_as_evidence_error(place):
    """Never a KeyError, whichever key; only maps (suites, params, packages, ci) may lack any."""
    document = copy.deepcopy(DOCUMENT)
    del holder_of(document, place)[place[-1]]
    if place[:-1] in {("suites",), ("tool", "packages"), ("ci",)} or "params" in place[:-1]:
        assert Evidence.from_json(document).suites.keys() <= BASE.suites.keys()
    else:
        with pytest.raises(EvidenceError, match=r"malformed|format"):
            Evidence.from_json(document)


@pytest.mark.parametrize(
    "place", [(), ("subject",), ("image",), ("suites", "load"), ("suites", "load", "checks", 0)], ids=str
)
def test_an_unknown_key_is_refused(place):
    """A key that nobody reads could hide what it says."""
    document = copy.deepcopy(DOCUMENT)
    holder_of(document, (*place, "extra"))["extra"] = 1
    with pytest.raises(EvidenceError, match="extra"):
        Evidence.from_json(document)


json_values = st.recursive(
    st.none()
    | st.booleans()
    | st.integers(-5, 5)
    | st.just(1e300)
    | st.sampled_from(["", "x", "passed", "0001-01-01T00:00:00+23:59"]),
    lambda inner: st.lists(inner, max_size=2) | st.dictionaries(st.sampled_from(["a", "outcome"]), inner, max_size=2),
    max_leaves=4,
)


@given(st.sampled_from(PLACES), json_values)
@example(("suites", "load", "checks", 0, "interval"), [])
@example(("finished_at",), 5)
@example(("image", "pins"), [1, "a"])
@example(("complete",), "false")
@example(("suites", "load", "checks", 0, "params"), {"a": 1})
@example(("suites", "load", "duration_s"), "x")
@example(("finished_at",), "0001-01-01T00:00:00+23:59")
def test_a_value_of_another_kind_is_refused_and_never_crashes_the_gate(place, value):
    """Either it is no evidence, or policy and gate can judge it."""
    document = copy.deepcopy(DOCUMENT)
    holder_of(document, place)[place[-1]] = value
    try:
        evidence = Evidence.from_json(document)
    except EvidenceError:
        return
    assess(POLICY, evidence, NOW)
    admit(POLICY, TODAY, [StoredEvidence(run_id="r", raw=evidence.canonical())])


@given(st.binary(max_size=60))
@example(b"[" * 100_000)
@example(b"\xff\xfe")
@example(b"")
@example(b"null")
@example(b'{"format": "mlgate-evidence/1"}')
def test_bytes_that_are_no_evidence_are_an_evidence_error(raw):
    """Also nesting beyond what a parser follows."""
    with pytest.raises(EvidenceError):
        Evidence.from_bytes(raw)


@pytest.mark.parametrize("token", ["NaN", "Infinity", "1e999", "9" * 400])
def test_a_number_that_is_none_is_refused(token):
    """Python's parser takes them all; JSON and doubles do not."""
    raw = BASE.canonical().replace(b'"seed":7', f'"seed":{token}'.encode())
    with pytest.raises(EvidenceError, match="finite"):
        Evidence.from_bytes(raw)


@pytest.mark.parametrize("other", ["mlgate-evidence/2", "", None, 1])
def test_another_format_is_refused_by_name(other):
    """An older mlgate must not guess at newer evidence."""
    with pytest.raises(EvidenceError, match="reads mlgate-evidence/1"):
        Evidence.from_json({**DOCUMENT, "format": other})


@pytest.mark.parametrize("checks_say", [outcome for outcome in Outcome if outcome is not Outcome.PASSED])
def test_a_suite_outcome_that_contradicts_its_checks_is_refused(checks_say):
    """An edited summary line must not cover a failed check."""
    document = copy.deepcopy(DOCUMENT)
    document["suites"]["load"]["checks"][0]["outcome"] = str(checks_say)
    with pytest.raises(EvidenceError, match=f"'passed' contradicts its checks \\({checks_say}\\)"):
        Evidence.from_json(document)


@given(st.lists(st.sampled_from(Outcome)))
def test_the_worst_of_outcomes_is_one_of_them_and_none_is_worse(outcomes):
    """Nothing at all is skipped, never passed."""
    found = worst(outcomes)
    assert found is (Outcome.SKIPPED if not outcomes else found)
    assert all(outcome.badness <= found.badness for outcome in outcomes)
    assert (found is Outcome.PASSED) == (bool(outcomes) and set(outcomes) == {Outcome.PASSED})


def test_a_check_is_found_by_its_text_id():
    """And one that is not there is `None`."""
    assert BASE.check("schema.rejects[case=word]").params == {"case": "word"}
    assert BASE.check("schema.rejects") is None


def test_a_suite_without_checks_is_skipped():
    """Nothing was judged."""
    assert SuiteResult(duration_s=0.0, checks=()).outcome is Outcome.SKIPPED


def test_a_reason_is_one_line():
    """Tables and tags show it in one."""
    assert Finding(outcome=Outcome.FAILED, reason="a\n  b\tc", cause=Cause.MODEL).reason == "a b c"

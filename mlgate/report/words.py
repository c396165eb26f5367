"""The report's plain words: what a check means, who acts, what to do next. Pure."""

from collections.abc import Sequence

from mlgate.evidence import Cause, CheckResult, Evidence, Outcome
from mlgate.report.accuracy_words import SUITE as ACCURACY
from mlgate.report.accuracy_words import conclusions
from mlgate.report.text import one_line
from mlgate.verdict import VerdictOutcome
from mlgate.waivers import Waived

# What "passed" says, so that the sentence also reads right above a failure.
MEANINGS = {
    "environment.install": "The version's own requirements install.",
    "environment.load": "The model loads in its own environment and the server becomes ready.",
    "environment.pins": "What is installed is what the version's requirements ask for.",
    "schema.signature": "The version declares its inputs and outputs.",
    "schema.example": "The version's example input is answered, with one answer for each row.",
    "schema.output": "Every answer has the names, types and shapes that the version declares.",
    "schema.encodings": "The same rows get the same answer in every format a client may send.",
    "schema.rejects": "A malformed request is turned down with a clear error, and the server lives on.",
    "schema.compatible": "Clients of the current champion can keep sending what they send today.",
    "schema.params": "Parameters of a request are taken as declared, and what is none is refused.",
    "schema.limits": "Requests without rows, and ones that are too large, get a clear answer.",
    "schema.alive": "After wrong requests of every kind, a valid one is answered as before.",
    "schema.leak": "Errors tell no more than a caller needs to know.",
    "properties.total": "Every valid input gets a valid answer in time: no crash, no NaN, no hang.",
    "properties.deterministic": "The same rows get the same answer again, also after a restart.",
    "properties.batch": "A row's answer does not depend on the rows sent along with it.",
    "properties.output_range": "Answers stay in the declared range or set of labels.",
    "properties.invariant": "The answer does not change with a column that must not matter.",
    "properties.monotonic": "The answer moves only in the declared direction when this column grows.",
    "properties.symmetric": "The answer stays when two columns that mean the same are swapped.",
    "properties.scale": "The same thing in other units gets the same answer.",
    "properties.null_handling": "Columns that may be left out are left out without harm.",
    "properties.unseen_category": "A word that nobody has seen is answered, or refused cleanly.",
    "properties.concurrent": "Requests do not get in each other's way.",
    "accuracy.floor": "The model is good enough on its own, beyond chance.",
    "accuracy.regression": "The model is not worse than the champion by more than the margin, on the same rows.",
    "accuracy.slice": "The model is not worse than the champion by more than the margin on this part of the data.",
    "accuracy.slices": "Every part of the data that the policy names was found, and judged.",
    "accuracy.gap": "No part of the data is served much worse than another.",
    "cold_start.ready": "A fresh server is ready to take requests in time.",
    "cold_start.first_prediction": "A fresh server gives its first prediction in time.",
    "cold_start.peak_memory": "Starting up stays within the memory that production grants.",
    "cold_start.regression": "Starting up takes not much longer than the champion does on the same machine.",
    "load.p95_latency": "Under load, 95 of 100 requests are answered within the limit.",
    "load.p99_latency": "Under load, 99 of 100 requests are answered within the limit.",
    "load.error_rate": "Under load, hardly any request goes wrong.",
    "load.rate": "The server keeps up with the requests that production will send.",
    "load.memory": "Memory does not keep growing under load.",
    "load.drift": "The server is as quick at the end of the run as at its start.",
    "load.regression": "Under load it is not much slower than the champion on the same machine.",
    "load.capacity": "The highest rate that stays within the limits is above the one that production will send.",
}

SYMBOLS = {
    Outcome.PASSED: "✓",
    Outcome.FAILED: "✕",
    Outcome.ERRORED: "!",
    Outcome.INCONCLUSIVE: "?",
    Outcome.SKIPPED: "\u2013",  # a dash: nothing happened
}
# Readers look for what went wrong; a pass is last.
ORDER = (Outcome.FAILED, Outcome.ERRORED, Outcome.INCONCLUSIVE, Outcome.SKIPPED, Outcome.PASSED)
GROUP_NOTES = {
    Outcome.FAILED: "Tested, and not met.",
    Outcome.ERRORED: "Could not be tested.",
    Outcome.INCONCLUSIVE: "Tested, but there is too little to say either way.",
    Outcome.SKIPPED: "Did not run.",
    Outcome.PASSED: "Tested, and met.",
}
SUITES = ("environment", "schema", "properties", "accuracy", "cold_start", "load")
ADVISORY_NOTE = "Did not pass. It decides nothing, but is worth knowing."

ACTORS = {
    Cause.MODEL: "the model's authors",
    Cause.SERVER: "whoever maintains the model server",
    Cause.ENVIRONMENT: "whoever maintains the version's requirements and the machine it ran on",
    Cause.HARNESS: "whoever runs mlgate",
}

# On the first screen; all of them stand with the comparisons.
MAX_CONCLUSIONS = 2

NOT_ISOLATED = (
    "NOT ISOLATED: the model ran as a plain process on the host, not in a container. "
    "Such a run counts only where the policy's “sandbox” lists “process”."
)
PARTIAL = "PARTIAL: not every required suite was run. A partial run admits nothing."
UNSIGNED = (
    "Unsigned: nothing on this page proves who ran the tests. It is a display; "
    "the gate reads evidence.json and judges it again before anything is promoted."
)
_SIGNED = (
    "the signature is over the evidence, and this page is only a display; "
    "the gate verifies it, reads evidence.json and judges it again before anything is promoted."
)


def provenance(signature: str | None) -> str:
    """Return the report's last sentences: who vouches for the evidence, and what that is worth.

    Args:
        signature: `signed by ci.pub`, or another phrase that begins so; `None` for unsigned evidence.
    """
    if signature is None:
        return UNSIGNED
    return f"{signature[0].upper()}{signature[1:]}: {_SIGNED}"


def waived_notices(waived: Sequence[Waived], *, most: int, text: int) -> list[str]:
    """Return one notice for each check that somebody answers for: an exception that nobody sees becomes the rule.

    Args:
        waived: What is waived.
        most: More than these are counted only.
        text: Longest notice, in characters.
    """
    count = len(waived)
    shown = [
        one_line(f"WAIVED {place} of {count}: {found.reason} ({found.promise})", text)
        for place, found in enumerate(waived[:most], 1)
    ]
    return [*shown, f"… and {count - most} more that are waived"] if count > most else shown


def verdict_outcome(evidence: Evidence) -> VerdictOutcome:
    """Return the verdict on record; an unknown word reads as inconclusive, never as passed."""
    known = set(VerdictOutcome)
    return (
        VerdictOutcome(evidence.verdict.outcome) if evidence.verdict.outcome in known else VerdictOutcome.INCONCLUSIVE
    )


def all_waived(evidence: Evidence, waived: Sequence[Waived]) -> bool:
    """Whether somebody answers for everything that stands against the version."""
    against = evidence.verdict.reasons
    return bool(against) and set(against) <= {str(found.reason) for found in waived}


def verdict_sentence(evidence: Evidence, waived: Sequence[Waived] = ()) -> str:
    """Return what the verdict means for promotion, in a few words."""
    if all_waived(evidence, waived):
        return "may be promoted only because what is in its way is waived"
    match verdict_outcome(evidence):
        case VerdictOutcome.FAILED:
            return "must not be promoted"
        case VerdictOutcome.PASSED if not evidence.complete or evidence.subject.version is None:
            return "what was tested is fine, but this run promotes nothing"
        case VerdictOutcome.PASSED if not_isolated(evidence):
            return "may be promoted only where the policy accepts runs without isolation"
        case VerdictOutcome.PASSED:
            return "may be promoted"
        case _:
            return "not enough is known to promote it"


def not_isolated(evidence: Evidence) -> bool:
    """Tell whether the model ran as a plain process."""
    return evidence.sandbox is not None and evidence.sandbox.kind == "process"


def why(evidence: Evidence) -> str:
    """Return one sentence: the first reason against, or that there is none."""
    reasons = evidence.verdict.reasons
    if reasons:
        return reasons[0]
    if verdict_outcome(evidence) is VerdictOutcome.PASSED:
        return "every required check passed"
    return "the evidence names no reason"


def is_advisory(check: CheckResult, evidence: Evidence) -> bool:
    """Tell whether *check* is for information: it says so, and the verdict does not rest on it."""
    return bool(check.finding.details.get("advisory")) and check.key not in named_checks(evidence)


def named_checks(evidence: Evidence) -> set[str]:
    """Return the text ids that the verdict's reasons begin with; a reason about no check gives a word that is none."""
    # A text id holds no space: its values are percent-encoded.
    return {reason.partition(": ")[0] for reason in evidence.verdict.reasons}


def blocking(evidence: Evidence) -> list[CheckResult]:
    """Return the checks that stand in the way: those the reasons name, else all that did not pass; worst first."""
    open_ = [check for check in evidence.checks() if check.outcome is not Outcome.PASSED]
    names = named_checks(evidence)
    chosen = [check for check in open_ if check.key in names] or [
        check for check in open_ if not is_advisory(check, evidence)
    ]
    return sorted(chosen, key=lambda check: ORDER.index(check.outcome))


def next_steps(evidence: Evidence, waived: Sequence[Waived] = ()) -> list[str]:
    """Return what to do next, one sentence each, for a reader without a terminal."""
    uri = evidence.subject.uri
    if all_waived(evidence, waived):
        return [
            "Read what was waived, by whom and until when, before you promote this version.",
            f"Have it repaired before the first waiver ends, {min(found.waiver.until for found in waived)}: then the gate refuses it.",
            f"On a command line the decision is: mlgate gate {uri}",
        ]
    if verdict_outcome(evidence) is not VerdictOutcome.PASSED:
        return _steps_against(evidence, blocking(evidence))
    if not evidence.complete:
        return ["Do not promote on this run: it covers a part only.", f"Have the whole gate run: mlgate test {uri}"]
    if evidence.subject.version is None:
        return [
            "Nothing can be promoted from here: this is not a version in the registry.",
            "Register the model, and have that version tested.",
        ]
    return [
        "Start the promotion in your pipeline. The gate checks this evidence once more before anything changes.",
        f"On a command line that is: mlgate promote {uri}",
    ]


def _steps_against(evidence: Evidence, against: Sequence[CheckResult]) -> list[str]:
    failed = verdict_outcome(evidence) is VerdictOutcome.FAILED
    steps = ["Do not promote this version." if failed else "Do not promote this version yet."]
    causes = dict.fromkeys(check.finding.cause for check in against if check.finding.cause is not None)
    if causes:
        steps.append(f"Hand this report to {' and to '.join(ACTORS[cause] for cause in causes)}.")
    advice = next((check.finding.advice for check in against if check.finding.advice), "")
    if advice:
        steps.append(f"First: {advice}")
    suite = evidence.suites.get(ACCURACY)
    if suite and any(check in suite.checks for check in against):
        steps += [f"Accuracy: {' '.join(told)}"] if (told := conclusions(evidence)[:MAX_CONCLUSIONS]) else []
    if failed:
        steps.append("A fixed model is a new version: have that one tested.")
    else:
        steps.append(f"Then have it tested again: mlgate test {evidence.subject.uri}")
    return steps

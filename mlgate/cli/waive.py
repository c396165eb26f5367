"""`mlgate waive`: a named key answers for one check of one version, until a day."""

import difflib
import os
import tempfile
from contextlib import nullcontext
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from mlgate.cli.admission import Decision, decide, show
from mlgate.cli.console import (
    DryRunOption,
    Output,
    OutputOption,
    PolicyOption,
    coloured,
    emit_json,
    result,
    say,
    whole_file,
)
from mlgate.errors import ConfigError

if TYPE_CHECKING:
    from mlgate.attest.keys import SigningKey
    from mlgate.attest.waiver import Waiver
    from mlgate.verdict import Reason

NAME = "waive"
HELP = (
    "Answer for a check that a version does not pass, signed and until a day. "
    'Example: mlgate waive load.p99_latency --uri models:/churn/3 --reason "JIRA-12" --expires 14d'
)


def command(
    check: Annotated[str, typer.Argument(metavar="CHECK", help="As the gate prints it, load.p99_latency")],
    uri: Annotated[str, typer.Option("--uri", metavar="URI", help="The version, models:/name/3")],
    reason: Annotated[str, typer.Option("--reason", metavar="TEXT", help="Why it may be promoted all the same")],
    expires: Annotated[
        str, typer.Option("--expires", metavar="14d", help="How long it holds, or the day it ends (UTC)")
    ],
    save: Annotated[
        Path | None, typer.Option("--save", metavar="FILE", help="Write the envelope there too, for mlgate verify")
    ] = None,
    policy: PolicyOption = None,
    dry_run: DryRunOption = False,
    output: OutputOption = Output.TEXT,
) -> int:
    """Sign and record a waiver: exit 0 recorded, 1 nothing that can be waived."""
    from mlgate.attest.dsse import sign
    from mlgate.attest.waiver import new_waiver
    from mlgate.surroundings import asker

    now = datetime.now(UTC)
    life, why = _life(expires, now), _one_line(reason)
    key = _key(policy, now)
    decision = decide(uri, policy)
    found = _found(decision, check)
    if found is None:
        show(decision, output)
        return 1
    subject, evidence = decision.today.version, decision.admission
    waiver = new_waiver(
        life=life,
        now=now,
        check=found.check or "",
        name=subject.name or "",
        version=subject.version or "",
        artifact_digest=decision.today.artifact_digest,
        policy_digest=decision.policy.digest,
        evidence=evidence.evidence_digest or "",
        found=f"{found.code}: {found.message}",
        reason=why,
        by=asker(),
    )
    envelope = sign(waiver.canonical(), [key])
    after = _after(decision, envelope)
    run_id = None
    if not dry_run:
        # A pod believes the file, so there is none of a waiver that nobody finds in the registry.
        with whole_file(save, envelope) if save is not None else nullcontext():
            run_id = _record(decision, waiver, envelope, after)
    _print(after, waiver, run_id, output)
    return 0


def _one_line(reason: str) -> str:
    from mlgate.attest.waiver import MAX_REASON

    text = " ".join(reason.split())
    if not 0 < len(text) <= MAX_REASON or not text.isprintable():
        raise ConfigError(
            f"--reason has {len(text)} characters, and takes 1 to {MAX_REASON} that can be printed",
            hint="name the ticket that has the rest",
        )
    return text


def _life(text: str, now: datetime) -> timedelta:
    from mlgate.attest.waiver import MAX_LIFE
    from mlgate.quantities import parse_duration

    try:
        life = datetime.fromisoformat(f"{text}T00:00:00+00:00") - now if "-" in text else None
        life = timedelta(seconds=parse_duration(text)) if life is None else life
    except (ValueError, OverflowError):
        raise ConfigError(f"--expires: '{text}' is neither a duration nor a day", hint="14d, or 2026-12-07") from None
    if not timedelta(0) < life <= MAX_LIFE:
        raise ConfigError(
            f"--expires: {text} is not within {MAX_LIFE.days} days from now",
            hint="what holds for longer belongs in the policy",
        )
    return life


def _key(policy_file: str | None, now: datetime) -> "SigningKey":
    """Return the key to sign with, which the policy must take: a waiver that no gate believes is none."""
    from mlgate.attest.key_files import KEY_VARIABLE, load_signing_key
    from mlgate.cli.admission import waiver_signers
    from mlgate.policy_file import load_policy

    signers = waiver_signers(load_policy(Path(policy_file) if policy_file else None))
    if not signers:
        raise ConfigError(
            "the policy lets nobody waive a check", hint="list who may, for example evidence.waivers: [release.pub]"
        )
    key = load_signing_key(os.environ)
    if key is None:
        raise ConfigError(f"{KEY_VARIABLE} is not set, and a waiver is signed", hint="mlgate keys new release")
    mine = [signer for signer in signers if signer.keyid == key.public.keyid]
    if not mine:
        names = ", ".join(signer.name for signer in signers)
        raise ConfigError(
            f"the key of {KEY_VARIABLE} is none of {names}, who may waive by the policy",
            hint="sign with one of theirs, or list its public half under evidence.waivers",
        )
    if any(signer.revoked is not None or signer.expired(now) for signer in mine):
        raise ConfigError(
            f"{mine[0].name} is expired or revoked: no gate would believe the waiver", hint="mlgate keys new release"
        )
    return key


def _found(decision: Decision, check: str) -> "Reason | None":
    """Return what stands against the version because of *check*; `None`, and said why, where nothing can be waived."""
    from mlgate.check_id import readable_check_id
    from mlgate.waivers import never

    admission, evidence = decision.admission, decision.admission.evidence
    uri = decision.today.version.uri
    if evidence is None:
        say(f"mlgate: there is no evidence for {uri} that counts, so nothing to waive")
        return None
    standing = [*admission.reasons, *(waived.reason for waived in admission.waived)]
    found = next(
        (reason for reason in standing if reason.check and check in (reason.check, readable_check_id(reason.check))),
        None,
    )
    if found is not None:
        why = never(found, evidence)
        if why is None:
            return found
        say(f"mlgate: {check} can not be waived: {why}")
        return None
    names = [result.key for result in evidence.checks()]
    if check in names:
        say(f"mlgate: {check} is not in the way of {uri}: there is nothing to waive")
        return None
    close = difflib.get_close_matches(check, [reason.check for reason in standing if reason.check], n=3, cutoff=0.3)
    say(f"mlgate: {uri} has no check '{check}'. Hint: it has {', '.join(close or names[:5])}")
    return None


def _after(decision: Decision, envelope: bytes) -> Decision:
    """Return the decision as it is with this waiver."""
    from dataclasses import replace

    from mlgate.gate import admit
    from mlgate.registry.interface import StoredWaiver

    own = StoredWaiver(run_id="new", envelope=envelope)
    today = replace(decision.today, waivers=(own, *decision.today.waivers))
    return replace(decision, today=today, admission=admit(decision.policy, today, decision.stored))


def _record(decision: Decision, waiver: "Waiver", envelope: bytes, after: Decision) -> str:
    """Store the waiver with the report as it reads from now on; then the tag, which is for display."""
    from mlgate.registry import tags
    from mlgate.registry.interface import WAIVER_FILE, WAIVERS, Capability, GateRun
    from mlgate.report.html import render_html

    admission, version = after.admission, decision.today.version
    with tempfile.TemporaryDirectory(prefix="mlgate-") as name:
        folder = Path(name)
        (folder / WAIVER_FILE).write_bytes(envelope)
        if admission.evidence is not None:
            page = render_html(admission.evidence, signature=_signature(after), waived=admission.waived)
            (folder / "report.html").write_text(page, "utf-8")
        facts = {
            **tags.RUN_TYPE,
            tags.SUBJECT: waiver.uri,
            tags.WAIVED: waiver.check,
            tags.NOTE: f"{waiver.check} of {waiver.uri} is waived until {waiver.until}: {waiver.reason}",
        }
        run = GateRun(
            version=version,
            name=f"{version.label} waives {waiver.check}",
            tags={key: tags.cut(value) for key, value in facts.items()},
            metrics={},
            folder=folder,
            shelf=WAIVERS,
        )
        run_id = decision.registry.publish(run)
    listed = ", ".join(sorted({f"{waived.reason.check} until {waived.waiver.until}" for waived in admission.waived}))
    if not decision.registry.lacks(Capability.TAGS):
        decision.registry.set_tags(version, {tags.WAIVED: tags.cut(listed)})
    return run_id


def _signature(decision: Decision) -> str | None:
    return decision.admission.provenance if decision.admission.signed else None


def _print(after: Decision, waiver: "Waiver", run_id: str | None, output: Output) -> None:
    if output is Output.JSON:
        emit_json({"uri": waiver.uri, "check": waiver.check, "recorded": run_id is not None, "waiver_run_id": run_id,
                   "expires_at": waiver.expires_at, **after.admission.to_json()})  # fmt: skip
        return
    did = "would be waived" if run_id is None else coloured("waived")
    result(f"{waiver.uri}: {waiver.check} {did} until {waiver.until}" + (f" (run {run_id})" if run_id else ""))
    show(after, output)

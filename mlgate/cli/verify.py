"""`mlgate verify`: are the files in this directory the ones that were tested, passed and signed? Offline."""

import sys
from datetime import UTC, datetime
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from mlgate.cli.console import Output, OutputOption, coloured, emit_json, result
from mlgate.errors import one_line

if TYPE_CHECKING:
    from mlgate.verification import Verification

NAME = "verify"
HELP = "Check a model directory against its signed evidence, offline. Example: mlgate verify model --signer ci.pub"

_COPY_AGAIN = "copy the directory again; if it is refused again, do not serve it"
_TEST_AGAIN = "test the version again and deliver its new envelope: mlgate test URI"
# What to do, by the code of the first reason; `_OTHERWISE` for every other.
_HINTS = {
    "signature_no_signers": "name the public key that CI signs with: --signer ci.pub",
    "signature_absent": "put the envelope of the gate run there, or name it: --envelope FILE",
    "signature_unreadable": "let the user of this process read it",
    "signature_wrong_key": "if you trust the key that signed, list it too: --signer FILE",
    "signature_other_identity": "if you trust that pipeline, list it in evidence.signers",
    "signature_no_trust_root": "get the trusted root of your Sigstore instance again",
    "signature_expired_key": _TEST_AGAIN,
    "signature_revoked_key": _TEST_AGAIN,
    "stale": _TEST_AGAIN,
    "other_policy": _TEST_AGAIN,
    "other_version": "deliver the directory and the envelope of one version, the one that is asked for",
    "future": "set the clock of this machine, or of the one that tested",
    "missing_file": _COPY_AGAIN,
    "extra_file": "remove it; the envelope and every other file lie beside the directory, not in it",
    "changed_file": _COPY_AGAIN,
    "other_bytes": _COPY_AGAIN,
    "unsafe_files": "copy the version from the registry again, as plain files",
}
_ENVELOPE = "copy the envelope again from the gate run; if it is refused again, do not serve the model"
_OTHERWISE = "do not serve it; mlgate gate URI says which version may be"


def command(
    directory: Annotated[str, typer.Argument(metavar="DIR", help="The model directory, as it is going to be served")],
    signer: Annotated[
        list[str] | None,
        typer.Option("--signer", metavar="FILE", help="A public key that may have signed (repeatable)"),
    ] = None,
    envelope: Annotated[
        str | None,
        typer.Option(
            "--envelope",
            metavar="FILE",
            help="Or a folder with it; default: evidence.dsse.json or evidence.sigstore.json beside DIR, then DIR.dsse.json or DIR.sigstore.json",
        ),
    ] = None,
    uri: Annotated[
        str | None, typer.Option("--uri", metavar="URI", help="Only this version, models:/name/3; default: any")
    ] = None,
    max_age: Annotated[
        str | None, typer.Option("--max-age", metavar="7d", help="Oldest evidence; default: the policy's, else any age")
    ] = None,
    policy: Annotated[
        str | None, typer.Option("--policy", metavar="FILE", help="Judge by it again; default: the signed result")
    ] = None,
    waiver: Annotated[
        list[str] | None,
        typer.Option(
            "--waiver", metavar="FILE", help="An envelope of mlgate waive; counts with --policy only (repeatable)"
        ),
    ] = None,
    output: OutputOption = Output.TEXT,
) -> int:
    """Verify: exit 0 verified, 1 refused."""
    from mlgate.artifacts.digest_bar import digest_bar
    from mlgate.attest.directory import Expected
    from mlgate.attest.key_files import read_envelope_file, read_signers
    from mlgate.verification import verify_directory

    max_age_s = _seconds(max_age)
    judge = None
    if policy is not None:
        # Only here: it costs numpy and scipy, which a pod's start does without.
        from mlgate.policy_file import load_policy

        judge = load_policy(Path(policy))
    signers = read_signers(signer or (), Path())
    if not signers and judge is not None:
        signers = read_signers(judge.values.evidence.signers, judge.folder, offline=True)
    if waiver and judge is None:
        raise typer.BadParameter("--waiver: the policy says who may waive; add --policy FILE")
    expected = Expected(
        signers=signers,
        now=datetime.now(UTC),
        uri=_version(uri),
        max_age_s=max_age_s,
        policy=judge,
        waivers=[read_envelope_file(Path(file)) for file in waiver or ()],
        waiver_signers=() if judge is None else read_signers(judge.values.evidence.waivers, judge.folder),
    )
    with digest_bar(shown=sys.stderr.isatty()) as watch:
        found = verify_directory(
            Path(directory), expected, envelope=None if envelope is None else Path(envelope), watch=watch
        )
    _print(found, output)
    return 0 if found.verified else 1


def _seconds(max_age: str | None) -> float | None:
    from mlgate.quantities import parse_duration

    if max_age is None:
        return None
    try:
        return parse_duration(max_age)
    except ValueError as error:
        raise typer.BadParameter(f"--max-age: {error}") from error


def _version(uri: str | None) -> str | None:
    """Return the canonical URI of a registered version: an alias would have to be looked up."""
    from mlgate.model_version import ModelUri

    if uri is None:
        return None
    parsed = ModelUri.parse(uri)
    if parsed.version is None:
        raise typer.BadParameter(f"--uri: '{uri}' is not a version that can be told offline; write models:/name/3")
    return f"models:/{parsed.name}/{parsed.version}"


def _print(found: "Verification", output: Output) -> None:
    word = "verified" if found.verified else "refused"
    hint = None if found.verified else _hint(found.reasons[0].code)
    if output is Output.JSON:
        emit_json({**found.to_json(), "hint": hint})
        return
    mark = "**" if output is Output.MARKDOWN else ""
    head = f"{one_line(str(found.directory))}: {mark}{coloured(word)}{mark}"
    if found.statement is not None and found.signer is not None and found.verified:
        subject, files = found.statement.evidence.subject, len(found.statement.evidence.subject.files)
        result(
            f"{head}: {one_line(subject.uri)}, {files} file{'s' * (files != 1)}, signed by {one_line(found.signer.name)}"
        )
        _print_waived(found, mark)
        return
    result(f"{head}: {one_line(str(found.reasons[0]))}. Hint: {hint}")
    for reason in found.reasons[1:]:
        result(f"- {one_line(str(reason))}")
    _print_waived(found, mark)


def _print_waived(found: "Verification", mark: str) -> None:
    for waived in found.waived:
        result(f"- {mark}{coloured('waived')}{mark}: {one_line(str(waived))}")


def _hint(code: str) -> str:
    broken = code.startswith(("signature_", "attestation_", "statement_"))
    return _HINTS.get(code, _ENVELOPE if broken else _OTHERWISE)

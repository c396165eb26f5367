"""Keyless: what a pipeline signed through a Sigstore of our own is believed by the real library, and nothing else is."""

import base64
import copy
import json
import socket
import sys
import threading
from dataclasses import replace
from pathlib import Path

import pytest

from mlgate.attest import keyless
from mlgate.attest.acceptance import vouching
from mlgate.attest.bundle import is_bundle
from mlgate.attest.directory import Expected, vouched
from mlgate.attest.dsse import sign
from mlgate.attest.key_files import read_signers
from mlgate.attest.keyless import TokenSigner
from mlgate.attest.refusal import Refusal, Refused
from mlgate.attest.statement import statement_of
from mlgate.attest.verification import Accepted, verify
from mlgate.errors import ConfigError, MlgateError
from mlgate.policy_file import parse_policy
from tests.unit.attest.local_sigstore import ISSUER, LocalSigstore, b64, id_token, new_key
from tests.unit.builders import NOW

STATEMENT = json.dumps(
    {
        "_type": "https://in-toto.io/Statement/v1",
        "subject": [{"name": "model", "digest": {"sha256": "0" * 64}}],
        "predicateType": "https://example.org/p",
        "predicate": {},
    }
).encode()
PINNED = {"gitlab": ISSUER, "project_path": "group/churn", "ref": "main", "sha": "1" * 40}


@pytest.fixture
def local(tmp_path):
    """An instance whose trust root lies beside the policy."""
    instance = LocalSigstore()
    instance.write(tmp_path)
    return instance


def listed(folder, **claims):
    """The pipeline as a policy lists it, whose trust root is a file."""
    entry = {"trust_root": "trusted_root.json", **PINNED, **claims}
    text = json.dumps({"evidence": {"signers": [{k: v for k, v in entry.items() if v is not None}]}})
    (signer,) = read_signers(parse_policy(text).values.evidence.signers, folder, offline=True)
    return signer


def raw(bundle) -> bytes:
    return json.dumps(bundle).encode()


def refused(bundle, *signers):
    """Code and message."""
    found = verify(bundle if isinstance(bundle, bytes) else raw(bundle), signers, NOW)
    assert isinstance(found, Refused)
    assert "\n" not in found.message
    return found.code, found.message


def test_what_the_pinned_pipeline_signed_is_accepted_and_only_that_is_handed_out(local, tmp_path):
    """Every claim pinned, or only those that have to be."""
    for signer in (listed(tmp_path), listed(tmp_path, sha=None)):
        assert verify(raw(local.bundle(STATEMENT)), [signer], NOW) == Accepted(signer=signer, payload=STATEMENT)
    assert signer.name == "group/churn@main on gitlab.example.com"


@pytest.mark.parametrize(
    ("claim", "said"),
    [
        ("issuer", {"iss": "https://gitlab.example.org"}),
        ("issuer", {"iss": f"{ISSUER}/"}),
        ("project_path", {"project_path": "group/churn2"}),
        ("project_path", {"project_path": "other/group/churn"}),
        ("project_path", {"project_path": "Group/churn"}),
        ("ref", {"ref": "dev"}),
        ("ref", {"ref": "main2"}),
        ("ref", {"ref_type": "tag"}),
        ("sha", {"sha": "2" * 40}),
    ],
)
def test_a_certificate_of_another_pipeline_is_refused_and_the_claim_is_named(local, tmp_path, claim, said):
    """One claim at a time; the rest is right."""
    code, message = refused(local.bundle(STATEMENT, **said), listed(tmp_path))
    assert code is Refusal.OTHER_IDENTITY
    assert f"not signed by group/churn@main on gitlab.example.com: the certificate's {claim} is another" in message


@pytest.mark.parametrize("claim", ["issuer", "project_path", "ref", "sha"])
def test_a_certificate_that_does_not_say_is_refused(local, tmp_path, claim):
    """Absent is not fine."""
    local.without = {claim}
    code, message = refused(local.bundle(STATEMENT), listed(tmp_path))
    assert code is Refusal.OTHER_IDENTITY
    assert f"the certificate's {claim} is another" in message


def test_a_claim_that_is_not_pinned_may_be_anything(local, tmp_path):
    """A commit may, a ref may not: no certificate says whether it is protected."""
    signer = listed(tmp_path, sha=None)
    assert isinstance(verify(raw(local.bundle(STATEMENT, sha="2" * 40)), [signer], NOW), Accepted)
    with pytest.raises(MlgateError, match="ref"):
        listed(tmp_path, ref=None)


def test_a_tag_is_a_ref_too(local, tmp_path):
    """By its full name, so that a branch of the same name is another."""
    signer = listed(tmp_path, ref="refs/tags/v1")
    assert isinstance(verify(raw(local.bundle(STATEMENT, ref="v1", ref_type="tag")), [signer], NOW), Accepted)
    assert refused(local.bundle(STATEMENT, ref="v1"), signer)[0] is Refusal.OTHER_IDENTITY


def test_the_url_that_fulcio_was_configured_with_is_taken_only_with_the_pinned_issuer(local, tmp_path):
    """Its template says https://gitlab.com whoever issued the token."""
    local.default_url = "https://gitlab.com"
    assert isinstance(verify(raw(local.bundle(STATEMENT)), [listed(tmp_path)], NOW), Accepted)
    assert refused(local.bundle(STATEMENT, iss="https://gitlab.com"), listed(tmp_path))[0] is Refusal.OTHER_IDENTITY
    local.default_url = "https://gitlab.example.net"
    assert refused(local.bundle(STATEMENT), listed(tmp_path))[0] is Refusal.OTHER_IDENTITY


def test_one_of_several_pipelines_is_enough(local, tmp_path):
    """The first that signed is named."""
    dev, main = listed(tmp_path, ref="dev"), listed(tmp_path)
    assert verify(raw(local.bundle(STATEMENT)), [dev, main], NOW).signer is main
    assert refused(local.bundle(STATEMENT, ref="x"), dev, main)[0] is Refusal.OTHER_IDENTITY


@pytest.mark.parametrize("part", ["ca_key", "ct_key"])
def test_a_certificate_of_another_sigstore_is_refused(local, tmp_path, part):
    """Its authority, or the log that certificates have to be in."""
    setattr(local, part, new_key())
    code, message = refused(local.bundle(STATEMENT), listed(tmp_path))
    assert code is Refusal.UNTRUSTED_CERTIFICATE
    assert "the certificate is not believed" in message


@pytest.mark.parametrize("seconds", [3600, -3600])
def test_a_certificate_that_was_not_valid_when_it_signed_is_refused(local, tmp_path, seconds):
    """It lives for ten minutes; the log's time decides, and not today's."""
    local.logged_after_s = seconds
    assert refused(local.bundle(STATEMENT), listed(tmp_path))[0] is Refusal.UNTRUSTED_CERTIFICATE


def test_an_entry_of_another_log_is_refused(local, tmp_path):
    """Its promise and its checkpoint are signed with a key that nobody vouches for."""
    local.log_key = new_key()
    assert refused(local.bundle(STATEMENT), listed(tmp_path))[0] is Refusal.NOT_LOGGED


def test_a_payload_that_was_changed_is_refused(local, tmp_path):
    """The signature is over what it was."""
    bundle = local.bundle(STATEMENT)
    bundle["dsseEnvelope"]["payload"] = b64(STATEMENT.replace(b"model", b"medel"))
    assert refused(bundle, listed(tmp_path))[0] is Refusal.OTHER_BYTES


def test_another_signature_of_the_same_pipeline_is_not_the_logged_one(local, tmp_path):
    """Envelope and log entry are of each other, or neither counts."""
    one, two = local.bundle(STATEMENT), local.bundle(STATEMENT)
    one["verificationMaterial"]["tlogEntries"] = two["verificationMaterial"]["tlogEntries"]
    assert refused(one, listed(tmp_path))[0] is Refusal.NOT_LOGGED


def test_another_payload_type_is_refused(local, tmp_path):
    """Signed and logged, as something else."""
    assert refused(local.bundle(STATEMENT, kind="text/plain"), listed(tmp_path))[0] is Refusal.WRONG_TYPE


def leaves(value, path=()):
    """Every text in a JSON document, by its path."""
    if isinstance(value, dict | list):
        for key, inner in value.items() if isinstance(value, dict) else enumerate(value):
            yield from leaves(inner, (*path, key))
    else:
        yield path


def flipped(text: str) -> str:
    """Another text of the same kind: one bit of what is base64, another number, another letter else."""
    if text.isdigit():
        return str(int(text) + 1)
    try:
        content = bytearray(base64.b64decode(text, validate=True))
        content[len(content) // 2] ^= 1
        return b64(bytes(content))
    except ValueError:
        return f"{text[: len(text) // 2]}X{text[len(text) // 2 + 1 :]}"


def test_no_field_of_a_bundle_can_be_changed(local, tmp_path):
    """One at a time, each refused."""
    bundle, signer = local.bundle(STATEMENT), listed(tmp_path)
    paths = list(leaves(bundle))
    assert len(paths) > 12
    for path in paths:
        changed = copy.deepcopy(bundle)
        holder = changed
        for key in path[:-1]:
            holder = holder[key]
        holder[path[-1]] = flipped(holder[path[-1]])
        assert changed != bundle, path
        assert isinstance(verify(raw(changed), [signer], NOW), Refused), path


@pytest.mark.parametrize("part", ["verificationMaterial", "dsseEnvelope"])
def test_a_bundle_without_a_part_is_refused(local, tmp_path, part):
    """Whatever the library makes of it."""
    bundle = local.bundle(STATEMENT)
    del bundle[part]
    assert isinstance(verify(raw(bundle), [listed(tmp_path)], NOW), Refused)


@pytest.mark.parametrize("document", [{"mediaType": "x"}, {"mediaType": 1}, {"mediaType": None, "dsseEnvelope": []}])
def test_what_only_says_that_it_is_a_bundle_is_refused(local, tmp_path, document):
    """Unparsable."""
    assert refused(document, listed(tmp_path))[0] is Refusal.UNPARSABLE


def test_a_bundle_counts_for_pipelines_and_an_envelope_for_keys(local, tmp_path, key, signer):
    """Neither is tried with the other, and both may be listed."""
    pipeline, bundle, envelope = listed(tmp_path), raw(local.bundle(STATEMENT)), sign(STATEMENT, [key])
    assert (is_bundle(bundle), is_bundle(envelope), is_bundle(b"{")) == (True, False, False)
    both = [pipeline, signer]
    assert verify(bundle, both, NOW) == Accepted(signer=pipeline, payload=STATEMENT)
    assert verify(envelope, both, NOW) == Accepted(signer=signer, payload=STATEMENT)
    assert refused(bundle, signer)[0] is Refusal.WRONG_KEY
    assert refused(envelope, pipeline)[0] is Refusal.WRONG_KEY


@pytest.mark.parametrize(("said", "admits"), [("true", True), ("false", False), (None, False)])
def test_the_evidence_must_say_that_the_ref_is_protected(local, tmp_path, evidence, said, admits):
    """No certificate does. `ref_protected: false` does not ask."""
    ci = {**evidence.ci, **({} if said is None else {"CI_COMMIT_REF_PROTECTED": said})}
    whole = replace(evidence, ci=ci)
    bundle = raw(local.bundle(statement_of(whole)))
    asks, does_not = listed(tmp_path), listed(tmp_path, ref_protected=False)
    found = vouching(bundle, whole, [asks], NOW)
    assert (found is asks) is admits
    assert admits or (found.code, f"CI_COMMIT_REF_PROTECTED={said or 'nothing'}" in found.message) == (
        "ref_not_protected",
        True,
    )
    assert vouching(bundle, whole, [does_not], NOW) is does_not


def test_a_directorys_statement_must_say_that_the_ref_is_protected(local, tmp_path, evidence):
    """At pod start too, where no policy judges again."""
    bundle = raw(local.bundle(statement_of(evidence)))
    for signer, says in ((listed(tmp_path), "ref_not_protected"), (listed(tmp_path, ref_protected=False), None)):
        found = vouched(bundle, Expected(signers=[signer], now=NOW), place="here")
        assert getattr(found, "code", None) == says


def test_a_statement_about_other_evidence_is_refused(local, tmp_path, evidence):
    """The payload goes the same way as that of a key."""
    other = replace(evidence, seed=evidence.seed + 1)
    signer = listed(tmp_path, ref_protected=False)
    assert vouching(raw(local.bundle(statement_of(other))), evidence, [signer], NOW).code == "statement_other_evidence"


def test_a_trust_root_that_is_none_believes_nothing(local, tmp_path):
    """And says which file."""
    (tmp_path / "trusted_root.json").write_text("{}")
    code, message = refused(local.bundle(STATEMENT), listed(tmp_path))
    assert code is Refusal.NO_TRUST_ROOT
    assert "trusted_root.json is no trust root" in message


def test_a_trust_root_that_can_not_be_fetched_believes_nothing(local, tmp_path, monkeypatch):
    """The public instance's, where there is no way to it."""
    for name in ("HTTPS_PROXY", "https_proxy"):
        monkeypatch.setenv(name, f"http://127.0.0.1:{closed_port()}")
    for name in ("XDG_DATA_HOME", "XDG_CACHE_HOME"):
        monkeypatch.setenv(name, str(tmp_path))
    entry = parse_policy(json.dumps({"evidence": {"signers": [PINNED]}})).values.evidence.signers
    code, message = refused(local.bundle(STATEMENT), *read_signers(entry, tmp_path))
    assert code is Refusal.NO_TRUST_ROOT
    assert "can not be fetched" in message
    with pytest.raises(ConfigError, match="group/churn has no trust_root"):
        read_signers(entry, tmp_path, offline=True)


def test_a_trust_root_that_is_not_there_is_one_line(tmp_path):
    """Before anything is asked."""
    with pytest.raises(ConfigError, match=r"trust_root .*trusted_root.json is not a file"):
        listed(tmp_path)


def test_without_the_extra_a_pipeline_is_refused_in_one_line(local, tmp_path, monkeypatch):
    """It names what to install, and keys need nothing."""
    monkeypatch.setitem(sys.modules, "sigstore", None)
    with pytest.raises(ConfigError, match=r"needs Sigstore's library.*mlgate\[sigstore\]"):
        listed(tmp_path)
    with pytest.raises(ConfigError, match=r"MLGATE_SIGSTORE_ID_TOKEN needs .*mlgate\[sigstore\]"):
        TokenSigner.of(id_token(), None)


# Signing.


@pytest.fixture
def serving(tmp_path):
    """An instance that answers, and its client's configuration."""
    with LocalSigstore() as instance:
        _, config = instance.write(tmp_path)
        yield instance, str(config)


def closed_port() -> int:
    with socket.socket() as held:
        held.bind(("127.0.0.1", 0))
        return held.getsockname()[1]


def test_what_a_token_signs_is_accepted(serving, tmp_path, evidence):
    """From the token to the gate's reader, through the library and over HTTP."""
    instance, config = serving
    signer = TokenSigner.of(id_token(), config)
    assert signer.identity == "project_path:group/churn:ref_type:branch:ref:main"
    statement = statement_of(evidence)
    bundle = signer.sign(statement)
    assert instance.asked == ["/api/v2/signingCert", "/api/v1/log/entries"]
    assert is_bundle(bundle)
    pipeline = listed(tmp_path, ref_protected=False)
    assert verify(bundle, [pipeline], NOW) == Accepted(signer=pipeline, payload=statement)
    assert vouching(bundle, evidence, [pipeline], NOW) is pipeline


@pytest.mark.parametrize("token", ["", "not a token", id_token(aud="vault"), id_token(valid_s=-60), id_token()[:-200]])
def test_a_token_that_is_none_for_sigstore_is_one_line_that_does_not_show_it(token):
    """Before anything starts."""
    with pytest.raises(ConfigError, match="is no ID token for Sigstore, or expired") as caught:
        TokenSigner.of(token, None)
    assert not token or token not in str(caught.value)


def test_a_configuration_that_can_not_be_read_is_one_line(tmp_path):
    """Missing, or no such document."""
    (tmp_path / "client.json").write_text("{}")
    for name in ("client.json", "gone.json"):
        with pytest.raises(ConfigError, match=f"MLGATE_SIGSTORE_CONFIG: .*{name} is no client trust config"):
            TokenSigner.of(id_token(), str(tmp_path / name))


@pytest.mark.parametrize(
    "trouble", ["nobody listens", "refused", "hangs", "a bundle that its trust root does not believe"]
)
def test_a_sigstore_that_does_not_sign_is_one_line(serving, monkeypatch, trouble):
    """Whatever the reason, without the token and within a limit."""
    instance, config = serving
    token = id_token()
    if trouble == "nobody listens":
        Path(config).write_text(
            json.dumps(instance.trust_config()).replace(instance.url, f"http://127.0.0.1:{closed_port()}")
        )
    if trouble == "refused":
        instance.status = 403
    if trouble == "hangs":
        instance.hang = threading.Event()
        monkeypatch.setattr(keyless, "SIGNING_LIMIT_S", 0.5)
    if trouble.startswith("a bundle"):
        instance.log_key = new_key()
    expected = {"nobody listens": "Connection refused", "refused": "403", "hangs": "within 0.5 s"}.get(
        trouble, "invalid log entry"
    )
    with pytest.raises(MlgateError, match=f"Sigstore did not sign.*{expected}") as caught:
        TokenSigner.of(token, config).sign(STATEMENT)
    assert caught.value.exit_code == 3
    assert "\n" not in str(caught.value)
    assert token not in str(caught.value)

"""Keys made once, and evidence whose files, image and pipeline are all there."""

from dataclasses import replace

import pytest

from mlgate.artifacts.digest import files_digest
from mlgate.attest.keys import KeyKind, generate
from mlgate.attest.signers import Signer
from mlgate.evidence import FileEntry
from mlgate.policy_file import parse_policy
from mlgate.verdict import VerdictOutcome
from tests.unit.builders import admissible, image


@pytest.fixture(scope="session", params=list(KeyKind))
def key(request):
    """A key of each kind."""
    return generate(request.param)


@pytest.fixture(scope="session")
def other_key():
    """A key that nobody lists."""
    return generate(KeyKind.ED25519)


@pytest.fixture(scope="session")
def signer(key):
    """The public half, as a policy lists it."""
    return Signer(keyid=key.public.keyid, name="ci.pub", public=key.public)


@pytest.fixture(scope="session")
def evidence():
    """A run that passed, of a version with three files, in an image that was pushed, in a pipeline."""
    whole = admissible(
        parse_policy("requires: [cold_start]\n"),
        ci={"CI_JOB_ID": "1", "CI_JOB_URL": "https://git.example.org/churn/-/jobs/1"},
    )
    files = tuple(
        FileEntry(path=path, size=10, sha256=digit * 64)
        for path, digit in (("MLmodel", "0"), ("a-b/model.pkl", "1"), ("a/model.pkl", "2"))
    )
    facts = image(image_digest="sha256:" + "5" * 64, registry_digest="sha256:" + "6" * 64)
    assert whole.verdict.outcome == VerdictOutcome.PASSED
    return replace(whole, subject=replace(whole.subject, files=files, artifact_digest=files_digest(files)), image=facts)

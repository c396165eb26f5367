"""Pipeline: a GitLab pipeline as a signer, known by what its ID token says of it. Pure.

Fulcio puts claims of the token into the certificate; `docs/oid-info.md` of sigstore/fulcio has the table, and its
`config/identity/config.yaml` the templates:

| claim | extension 1.3.6.1.4.1.57264.1.… | as |
| --- | --- | --- |
| `iss` | 8 | the URL of the GitLab |
| `project_path` | 12 | that URL, `/`, the path |
| `sha` | 13 | itself |
| `ref`, `ref_type` | 14 | `refs/heads/main`, `refs/tags/v1` |

`ref_protected` is in the token and in none of the extensions: no certificate shows it. So a pipeline is pinned to one
ref, whose protection is GitLab's to keep, and `ref_protected` is held against what the job itself recorded in the
signed evidence. That finds a branch that lost its protection, and not a job that lies.
"""

from collections.abc import Callable
from dataclasses import dataclass, field

from mlgate.attest.refusal import Refused
from mlgate.attest.signers import Signer
from mlgate.evidence import Evidence
from mlgate.verdict import Reason

# https://docs.gitlab.com/ci/variables/predefined_variables/: `true` if the job is running for a protected reference.
PROTECTED = "CI_COMMIT_REF_PROTECTED"
# Fulcio's template takes the URL of the GitLab from its own configuration, where this is the default, whoever the issuer is.
_DEFAULT_URL = "https://gitlab.com"


@dataclass(frozen=True, slots=True, kw_only=True)
class Pipeline:
    """The pipelines of one project on one ref.

    Attributes:
        gitlab: Issuer of their ID tokens: the URL of the GitLab, without a slash at its end.
        project_path: `group/project`.
        ref: `refs/heads/…` or `refs/tags/…`.
        ref_protected: Whether the evidence must say that the ref is protected.
        sha: The one commit that may sign; `None` for any on *ref*.
        check: Returns the payload of a Sigstore bundle that such a pipeline signed, or why it is not believed.
    """

    gitlab: str
    project_path: str
    ref: str
    ref_protected: bool = True
    sha: str | None = None
    check: Callable[["Pipeline", bytes], bytes | Refused] = field(repr=False, compare=False)

    @property
    def name(self) -> str:
        """What outputs call it, `group/project@main on gitlab.com`."""
        return f"{self.project_path}@{self.ref.removeprefix('refs/heads/')} on {self.gitlab.partition('://')[2]}"

    @property
    def keyid(self) -> None:
        """None: the key lived for one signature."""
        return

    @property
    def projects(self) -> tuple[str, ...]:
        """The URLs that Fulcio may have made of `project_path`: the issuer, which is pinned too, says whose path it is."""
        return tuple(f"{url}/{self.project_path}" for url in dict.fromkeys((self.gitlab, _DEFAULT_URL)))

    def disagrees(self, evidence: Evidence) -> Reason | None:
        """Return why *evidence* is not of a protected ref, where it has to be."""
        said = evidence.ci.get(PROTECTED, "nothing")
        if not self.ref_protected or said == "true":
            return None
        message = f"signed by {self.name}, whose ref must be protected; the evidence says {PROTECTED}={said}"
        return Reason(code="ref_not_protected", message=message)


# Whom a policy may list.
Listed = Signer | Pipeline


def disagrees(signer: Listed, evidence: Evidence) -> Reason | None:
    """Return what *signer* asks of the evidence beyond its signature, and does not find."""
    return signer.disagrees(evidence) if isinstance(signer, Pipeline) else None

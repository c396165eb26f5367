"""An entry of `evidence.signers`: a public key's file, or a GitLab pipeline that signs through Sigstore."""

import re
from typing import Annotated

from pydantic import Discriminator, Field, Tag, field_validator

from mlgate.policy_section import Section

SignerFile = Annotated[str, Field(min_length=1, max_length=1000, pattern=r"^[^\x00-\x1f\x7f]+$")]
_URL = re.compile(r"https://[^/?#\s]+(/[^/?#\s]+)*")


class PipelineSigner(Section):
    """The pipelines of one project on one ref."""

    gitlab: str = Field(
        max_length=1000, description="URL of the GitLab, the issuer of the ID token: https://gitlab.com"
    )
    project_path: str = Field(
        max_length=1000, pattern=r"^[^/\s]+(/[^/\s]+)+$", description="group/project, as in the project's URL"
    )
    ref: str = Field(
        min_length=1,
        max_length=1000,
        pattern=r"^\S+$",
        description="a branch, or refs/tags/v1; its protection is GitLab's",
    )
    ref_protected: bool = Field(
        default=True, description="whether the signed evidence must say that the ref is protected; no certificate does"
    )
    sha: str | None = Field(
        default=None, pattern=r"^([0-9a-f]{40}|[0-9a-f]{64})$", description="the one commit that may sign; default: any"
    )
    trust_root: SignerFile | None = Field(
        default=None,
        description="file with the trusted root of a Sigstore instance, beside this file; default: Sigstore's public one",
    )

    @property
    def identity(self) -> tuple[str, str, str, str | None]:
        """Who it is, without what is asked of it besides."""
        return self.gitlab, self.project_path, self.ref, self.trust_root

    @field_validator("gitlab")
    @classmethod
    def _issuer(cls, value: str) -> str:
        if not _URL.fullmatch(value):
            raise ValueError(
                f"'{value}' is no issuer: write the URL of the GitLab as https://gitlab.com, no slash at its end"
            )
        return value

    @field_validator("ref")
    @classmethod
    def _full(cls, value: str) -> str:
        if value.startswith("refs/") and not re.match(r"refs/(heads|tags)/.", value):
            raise ValueError(f"'{value}' is neither a branch nor refs/tags/…")
        return value if value.startswith("refs/") else f"refs/heads/{value}"


SignerEntry = Annotated[
    Annotated[SignerFile, Tag("file")] | Annotated[PipelineSigner, Tag("pipeline")],
    Discriminator(lambda value: "pipeline" if isinstance(value, dict | PipelineSigner) else "file"),
]


def signer_files(entries: tuple[str | PipelineSigner, ...]) -> tuple[str, ...]:
    """Return the files that the entries name, as they name them."""
    named = (entry if isinstance(entry, str) else entry.trust_root for entry in entries)
    return tuple(name for name in named if name is not None)

"""The section `schema` of `mlgate.yaml`."""

from typing import Literal

from pydantic import Field

from mlgate.check_id import format_check_id
from mlgate.policy_section import Section, Size

# Always gate: MLflow's server refuses them properly, so what does not is the model's or the image's doing.
REJECT_CASES = ("missing_column", "word", "envelope", "malformed_json", "empty_body", "content_type")
# Gate under `rejects: strict` only; else they are tried and shown: MLflow's own server lets several through.
STRICT_CASES = (
    "extra_column", "wrong_type", "lossy_number", "wrong_shape", "null_required", "nan_token", "huge_integer",
    "two_envelopes", "duplicate_keys", "truncated_json", "deep_nesting", "charset", "no_content_type",
    "gzip_bomb", "large_body", "slow_body",
)  # fmt: skip
# The test of it is one request a byte larger, held in memory at both ends.
LARGEST_MAX_BODY = 256 * 2**20


class SchemaSection(Section):
    """The schema suite."""

    compatible_with_champion: bool = Field(default=True, description="what was valid for the champion stays valid")
    rejects: Literal["basic", "strict"] = Field(
        default="basic", description="strict: the further cases gate as well; MLflow's own server fails several"
    )
    extra_column: Literal["ignore", "refuse"] = Field(
        default="ignore", description="what is done with a column that the signature does not have"
    )
    max_body: Size | None = Field(
        default=None, gt=0, le=LARGEST_MAX_BODY, description="a larger request is refused; default: not checked"
    )

    @property
    def gating_cases(self) -> tuple[str, ...]:
        """Cases of `schema.rejects` that decide."""
        return (*REJECT_CASES, *STRICT_CASES) if self.rejects == "strict" else REJECT_CASES

    def checks(self, *, champion: bool) -> tuple[str, ...]:
        """Return the ids that must be in the evidence.

        `schema.leak`, and under `rejects: basic` the further cases, are advisory and therefore not among them.

        Args:
            champion: Whether there is a champion to compare with.
        """
        rejects = (format_check_id("schema.rejects", {"case": case}) for case in self.gating_cases)
        compatible = ("schema.compatible",) if champion and self.compatible_with_champion else ()
        always = ("schema.signature", "schema.example", "schema.output", "schema.encodings", "schema.params")
        # Last, so that it sees what all the others left behind.
        return (*always, *compatible, *rejects, "schema.limits", "schema.alive")

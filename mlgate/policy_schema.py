"""The section `schema` of `mlgate.yaml`."""

from typing import Literal

from pydantic import Field

from mlgate.check_id import format_check_id
from mlgate.policy_section import Section, Size

REJECT_CASES = ("missing_column", "word", "envelope", "malformed_json", "empty_body", "content_type")


class SchemaSection(Section):
    """The schema suite."""

    compatible_with_champion: bool = Field(default=True, description="what was valid for the champion stays valid")
    rejects: Literal["basic", "strict"] = "basic"
    extra_column: Literal["ignore", "refuse"] = Field(
        default="ignore", description="what a strict model does with a column that it does not know"
    )
    max_body: Size | None = Field(default=None, description="a larger request is refused; default: not checked")

    def checks(self, *, champion: bool) -> tuple[str, ...]:
        """Return the ids that must be in the evidence.

        Args:
            champion: Whether there is a champion to compare with.
        """
        del champion  # schema.compatible is not built yet
        rejects = (format_check_id("schema.rejects", {"case": case}) for case in REJECT_CASES)
        return ("schema.signature", "schema.example", "schema.output", *rejects)

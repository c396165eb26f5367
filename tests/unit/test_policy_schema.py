"""The policy's section `schema`: what is expected of a run."""

import pytest
from pydantic import ValidationError

from mlgate.check_id import parse_check_id
from mlgate.errors import PolicyError
from mlgate.policy_file import parse_policy
from mlgate.policy_schema import REJECT_CASES, STRICT_CASES, SchemaSection
from mlgate.scoring.bad_requests import _CASES

ASKED = (
    "extra_column", "wrong_type", "null_required", "two_envelopes", "truncated_json", "deep_nesting", "duplicate_keys",
    "charset", "gzip_bomb", "nan_token", "huge_integer", "large_body", "slow_body",
)  # fmt: skip


def cases(section):
    found = [parse_check_id(key) for key in section.checks(champion=False)]
    return tuple(params["case"] for check, params in found if check == "schema.rejects")


def test_basic_cases_always_gate_and_strict_ones_when_asked_for():
    """What is only shown is not in the list: a run without it is complete."""
    assert cases(SchemaSection()) == REJECT_CASES
    assert cases(SchemaSection(rejects="strict")) == (*REJECT_CASES, *STRICT_CASES)
    assert set(ASKED) <= set(STRICT_CASES)
    assert "schema.leak" not in SchemaSection(rejects="strict").checks(champion=True)


def test_every_case_is_built():
    """No name in the policy without requests behind it."""
    assert {*REJECT_CASES, *STRICT_CASES} == {*_CASES, "slow_body"}
    assert not set(REJECT_CASES) & set(STRICT_CASES)


@pytest.mark.parametrize(("champion", "asked", "expected"), [(True, True, 1), (True, False, 0), (False, True, 0)])
def test_compatibility_is_expected_with_a_champion_unless_switched_off(champion, asked, expected):
    """Without one there is nothing to be compatible with."""
    section = SchemaSection(compatible_with_champion=asked)
    assert section.checks(champion=champion).count("schema.compatible") == expected


@pytest.mark.parametrize("text", ["0B", "1GiB", "5", "-1MiB"])
def test_a_body_size_without_unit_or_beyond_what_is_tried_is_an_error(text):
    """The body is held in memory at both ends."""
    with pytest.raises(PolicyError, match="max_body"):
        parse_policy(f"schema: {{max_body: {text}}}\n")


def test_the_values_are_the_pinned_ones():
    """Closed sets."""
    assert parse_policy("schema: {max_body: 8MiB, extra_column: refuse}\n").values.schema_.max_body == 8 * 2**20
    with pytest.raises(ValidationError):
        SchemaSection(rejects="some")

"""properties.tolerate: a share that no result could show to be kept is refused before anything runs."""

import pytest

from mlgate.errors import PolicyError
from mlgate.policy_file import parse_policy


def test_a_share_that_no_result_could_pass_is_refused_with_the_rows_needed():
    """As for load: 0.1 % at 95 % takes 2 995 rows without a failure."""
    with pytest.raises(PolicyError) as error:
        parse_policy("properties:\n  examples: 2994\n  tolerate: 0.1%\n")
    assert "mlgate.yaml:3: properties.tolerate can not be decided: 0.1 % at 95 % needs 2995 rows" in str(error.value)


@pytest.mark.parametrize("examples", [2995, 5000])
def test_a_share_that_a_clean_run_shows_is_taken(examples):
    """Exactly as many are enough."""
    assert parse_policy(f"properties: {{examples: {examples}, tolerate: 0.1%}}").values.properties.tolerate == 0.001


@pytest.mark.parametrize("share", ["0%", "100%", "0.1"])
def test_a_share_that_is_none_is_refused(share):
    """Nothing, everything, or a number without a unit."""
    with pytest.raises(PolicyError):
        parse_policy(f"properties: {{tolerate: {share}}}")

"""A holdout that is used up."""

import pytest

from mlgate.evaluation.holdout import repeat_use


@pytest.mark.parametrize(
    ("challengers", "limit", "warns"), [(0, 20, False), (20, 20, False), (21, 20, True), (1, 0, True)]
)
def test_a_holdout_judged_too_often_gets_a_warning_with_the_count(challengers, limit, warns):
    """From the first one beyond the limit on."""
    text = repeat_use(challengers, limit)
    assert bool(text) is warns
    assert not warns or f"{challengers} different challengers" in text


def test_negative_counts_are_refused():
    """They are no counts."""
    with pytest.raises(ValueError, match="no counts"):
        repeat_use(-1, 20)

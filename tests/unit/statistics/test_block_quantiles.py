import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from scipy import stats

from mlgate.statistics import block_quantiles
from mlgate.statistics.block_quantiles import BlockTable, block_weights, common_grid, expanded_level
from mlgate.statistics.proportions import design_effect, design_effect_of_blocks


@given(st.lists(st.lists(st.integers(0, 30), min_size=1, max_size=20), min_size=2, max_size=8), st.integers(0, 99))
def test_a_weighted_quantile_is_that_of_the_repeated_blocks(blocks, seed):
    """Against numpy on the blocks written out as often as they were drawn."""
    values = np.concatenate([np.array(block, float) for block in blocks])
    index = np.repeat(np.arange(len(blocks)), [len(block) for block in blocks])
    table = BlockTable.of(values, index, len(blocks), common_grid(values))
    weights = block_weights(len(blocks), 20, np.random.default_rng(seed))
    for q in (0.5, 0.95):
        for weight, found in zip(weights, table.quantiles(q, weights), strict=True):
            drawn = np.concatenate([np.repeat(block, int(times)) for block, times in zip(blocks, weight, strict=True)])
            assert found == np.quantile(drawn, q, method="inverted_cdf")


def test_a_long_list_of_values_is_rounded_by_less_than_its_spread(monkeypatch):
    """With a grid of fewer values than there are, in parts, the quantile moves by a rank in 4 096."""
    values = np.random.default_rng(0).lognormal(3, 1, 50_000)
    monkeypatch.setattr(block_quantiles, "AT_A_TIME", 10_000)
    table = BlockTable.of(values, np.arange(50_000) % 10, 10, common_grid(values))
    found = table.quantiles(0.95, np.ones((3, 10), np.float32))
    assert found == pytest.approx([np.quantile(values, 0.95)] * 3, rel=0.005)


def test_draws_hold_as_many_blocks_as_there_are():
    weights = block_weights(7, 50, np.random.default_rng(1))
    assert (weights.sum(axis=1) == 7).all()


@pytest.mark.parametrize("n", [5, 20, 1000])
def test_the_level_is_hesterbergs(n):
    """Percentile level times sqrt(n / (n - 1)) and Student's t, by scipy."""
    expected = stats.norm.cdf(np.sqrt(n / (n - 1)) * stats.t.ppf(0.95, n - 1))
    assert expanded_level(0.95, n) == pytest.approx(expected)


@given(st.lists(st.tuples(st.integers(0, 9), st.integers(0, 9)), min_size=1, max_size=30))
def test_the_design_effect_needs_only_what_each_block_holds(blocks):
    """As from the requests one by one; an empty block does not count."""
    counts, sizes = np.array([min(pair) for pair in blocks]), np.array([max(pair) for pair in blocks])
    violating = np.concatenate([np.arange(size) < count for count, size in zip(counts, sizes, strict=True)])
    one_by_one = design_effect(violating, np.repeat(np.arange(len(blocks)), sizes))
    assert design_effect_of_blocks(counts, sizes) == pytest.approx(one_by_one)


def test_a_block_with_more_violations_than_requests_is_refused():
    with pytest.raises(ValueError, match="more violations"):
        design_effect_of_blocks([3], [2])

"""--mlgate-seed and --mlgate-explore: the dice."""

import pytest


def test_the_seed_is_printed_recorded_and_used(gated):
    """The same number gives the same run again."""
    result = gated.run("--mlgate-seed", "9007199254740991")
    assert result.ret == 0
    result.stdout.fnmatch_lines(["*, seed 9007199254740991"])
    assert gated.evidence().seed == 9007199254740991


@pytest.mark.parametrize("seed", ["x", "", "-1", "1.5", "9007199254740992", "²", "9" * 5000, "1_0"])
def test_nonsense_is_refused_with_one_line(gated, seed):
    """Anything but a whole number below 2^53."""
    assert "--mlgate-seed" in gated.refusal(gated.run(f"--mlgate-seed={seed}"))


def test_exploring_takes_a_fresh_seed_each_time(gated):
    """For scheduled pipelines; the seed is recorded, so that a finding can be repeated."""
    seeds = set()
    for _ in range(2):
        assert gated.run("--mlgate-explore").ret == 0
        seeds.add(gated.evidence().seed)
    assert len(seeds) == 2
    assert all(0 <= seed < 2**53 for seed in seeds)


def test_a_seed_and_a_fresh_one_are_refused_together(gated):
    """One of the two would be ignored."""
    assert "--mlgate-explore" in gated.refusal(gated.run("--mlgate-seed=1", "--mlgate-explore"))


def test_exploring_prints_its_seed(gated):
    """So that a finding can be repeated with --mlgate-seed."""
    result = gated.run("--mlgate-explore")
    result.stdout.fnmatch_lines([f"*, seed {gated.evidence().seed}"])

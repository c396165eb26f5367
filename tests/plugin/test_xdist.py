"""pytest-xdist: a gate run stays in one process."""

import pytest

# A worker of this run, and not the folder of the one in which this test itself may be.
GW0 = r".*(?<!popen-)gw0"


@pytest.mark.parametrize(
    "options", [("-n", "2"), ("-n", "2", "--dist", "loadscope"), ("-d", "--tx", "2*popen"), ("-n0",)]
)
def test_the_run_stays_in_one_process_and_passes(gated, options):
    """Latency measured beside another worker is worthless, and a version is served once."""
    result = gated.run(*options)
    assert result.ret == 0
    result.stdout.no_fnmatch_line("*workers*")
    result.stdout.no_re_match_line(GW0)
    assert len(gated.outcomes()) == gated.expected()


def test_a_failing_model_fails_under_xdist(gated):
    """The recorder and the checks share a process."""
    gated.register("wrong_type")
    assert gated.run("-n", "2").ret == 1


def test_a_real_process_under_xdist_starts_no_worker(gated):
    """As a user types it, with the option in the ini file."""
    gated.ini("addopts = -n 2 --dist loadscope")
    result = gated.run_subprocess()
    assert result.ret == 0
    result.stdout.no_re_match_line(GW0)
    assert "tag models:/churn/1 mlgate.status = passed" in gated.told["writes"]


def test_without_mlgate_xdist_works_as_ever(pytester):
    """The plugin leaves other runs alone."""
    pytester.makepyfile("def test_it(): pass\ndef test_two(): pass")
    result = pytester.runpytest_subprocess("-n", "2", "-p", "no:locust")
    result.assert_outcomes(passed=2)
    result.stdout.fnmatch_lines(["*2 workers*"])

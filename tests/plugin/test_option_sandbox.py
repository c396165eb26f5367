"""--mlgate-sandbox: where the model runs."""


def test_a_process_sandbox_says_that_it_is_not_isolated_and_writes_no_tags(gated):
    """The policy promotes only from a container."""
    result = gated.run("--mlgate-sandbox", "process")
    assert result.ret == 0
    result.stdout.fnmatch_lines(["mlgate: NOT ISOLATED: *"])
    assert gated.last_line(result).startswith("models:/churn/1: passed (NOT ISOLATED, unsigned)")
    assert gated.evidence().sandbox.kind == "process"
    assert gated.world.registry.writes == []


def test_a_process_sandbox_that_the_policy_lists_writes_tags(gated):
    """Promotable where the policy's `sandbox` says so; NOT ISOLATED is printed all the same."""
    gated.policy(more="sandbox: [container, process]")
    result = gated.run("--mlgate-sandbox", "process")
    assert result.ret == 0
    result.stdout.fnmatch_lines(["mlgate: NOT ISOLATED: *"])
    assert gated.tags()["mlgate.status"] == "passed"


def test_a_container_that_the_policy_does_not_list_writes_no_tags(gated):
    """The list is the list."""
    gated.policy(more="sandbox: [process]")
    result = gated.run()
    assert result.ret == 0
    result.stdout.no_fnmatch_line("*NOT ISOLATED*")
    assert gated.world.registry.writes == []


def test_another_sandbox_is_refused(gated):
    """There are two."""
    result = gated.run("--mlgate-sandbox", "chroot")
    assert result.ret == 4
    assert gated.world.registry.writes == []

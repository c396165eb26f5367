"""--mlgate-no-publish: nothing is written to MLflow."""


def test_nothing_is_written_to_the_registry(gated):
    """The verdict, the exit status and the files are the same; the registry hears nothing."""
    assert gated.run("--mlgate-no-publish").ret == 0
    assert gated.world.registry.writes == []
    assert gated.evidence().verdict.outcome == "passed"
    assert gated.evidence().complete


def test_a_failing_model_fails_without_publishing_too(gated):
    """Not published is not forgiven."""
    gated.register("wrong_type")
    assert gated.run("--mlgate-no-publish").ret == 1
    assert gated.world.registry.writes == []


def test_collect_only_writes_nothing(gated):
    """Looking at what would run leaves no tag, no run, no file and no server."""
    result = gated.run("--collect-only")
    assert result.ret == 0
    result.stdout.fnmatch_lines(["*test_signature*"])
    assert gated.world.registry.writes == []
    assert not list((gated.pytester.path / ".mlgate").rglob("*.json"))

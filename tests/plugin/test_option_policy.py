"""--mlgate-policy: which file judges."""


def test_the_nearest_policy_upward_is_taken(gated, monkeypatch):
    """Run from a folder below, the project's policy counts."""
    below = gated.pytester.path / "below/deeper"
    below.mkdir(parents=True)
    monkeypatch.chdir(below)
    result = gated.run("--mlgate-output", "out")
    assert result.ret == 0
    result.stdout.fnmatch_lines([f"mlgate: policy {gated.pytester.path}/mlgate.yaml *"])


def test_the_named_policy_is_taken_and_recorded(gated):
    """The named file judges, and its text goes into the evidence."""
    path = gated.policy("properties", "# the other one", name="other.yaml")
    assert gated.run("--mlgate-policy", "other.yaml").ret == 0
    assert gated.evidence().policy.text == path.read_text()
    assert set(gated.evidence().suites) == {"environment", "properties"}


def test_a_policy_that_is_not_there_is_refused_with_one_line(gated):
    """No silent fall back to the built-in policy."""
    assert "nowhere.yaml: can not be read" in gated.refusal(gated.run("--mlgate-policy", "nowhere.yaml"))


def test_a_policy_that_requires_nothing_is_refused(gated):
    """An empty list of suites would admit everything."""
    gated.policy("")
    assert "requires is empty" in gated.refusal(gated.run())


def test_without_a_file_the_built_in_policy_judges(gated):
    """The header says so; the built-in policy requires more than one suite."""
    (gated.pytester.path / "mlgate.yaml").unlink()
    result = gated.run("--collect-only")
    result.stdout.fnmatch_lines(["mlgate: policy built in sha256:*"])
    for suite in ("schema", "properties", "cold_start", "load"):
        result.stdout.fnmatch_lines([f"*<Module *{suite}.py>"])
    result.stdout.no_fnmatch_line("*accuracy.py*")

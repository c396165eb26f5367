"""Ctrl-C: exit 2, nothing left running, nothing that reads like a verdict."""

import pytest


def assert_nothing_remains(gated):
    """No run is stored, no file is written, and no tag reads passed."""
    assert gated.world.registry.runs() == ()
    assert not (gated.pytester.path / ".mlgate/churn-1/evidence.json").exists()
    assert gated.tags().get("mlgate.status", "") in ("", "not finished")


@pytest.mark.parametrize("point", ["resolve", "fetch", "guard", "running", "build", "start", "publish"])
def test_ctrl_c_leaves_nothing_that_reads_like_a_verdict(gated, point):
    """While preparing, building, starting and publishing."""
    gated.world.at[point] = KeyboardInterrupt()
    result = gated.run(plugins=())
    assert result.ret == 2
    assert not [line for line in result.outlines if "INTERNALERROR" in line or ": passed" in line]
    assert_nothing_remains(gated)


def test_ctrl_c_during_a_check(gated):
    """A check that the user stops is no check that failed."""
    gated.policy("schema, rules", "own_checks: [acceptance/]")
    gated.acceptance("raise KeyboardInterrupt")
    assert gated.run().ret == 2
    assert_nothing_remains(gated)


def test_ctrl_c_during_load(gated):
    """The generator is stopped with the run."""
    gated.policy("load")
    gated.world.at["load"] = KeyboardInterrupt()
    assert gated.run().ret == 2
    assert_nothing_remains(gated)


def test_ctrl_c_between_evidence_and_tags_leaves_no_tag_that_reads_passed(gated):
    """The evidence is stored whole and the tags are not: the version does not read passed."""
    gated.world.at["tags"] = KeyboardInterrupt()
    assert gated.run().ret == 2
    assert len(gated.world.registry.runs()) == 1
    assert gated.tags()["mlgate.status"] == "not finished"


def test_an_interrupted_rerun_leaves_the_status_of_the_run_before(gated):
    """The evidence of the earlier run still counts, so its tags stay as they were."""
    assert gated.run().ret == 0
    before = gated.tags()
    gated.world.at["build"] = KeyboardInterrupt()
    assert gated.run().ret == 2
    assert gated.tags() == before


def test_a_signal_during_load_ends_everything(gated):
    """A real SIGINT while the generator runs: exit 2, no process of it and no server is left."""
    gated.policy("load")
    result = gated.run_subprocess(at={"load": "SIGINT"})
    assert result.ret == 2
    assert gated.told["running"] == 0
    assert gated.told["works"] == []
    assert not [line for line in gated.told["writes"] if line.startswith("run ") or "= passed" in line]
    result.stdout.no_fnmatch_line("*INTERNALERROR*")

"""`mlgate policy diff`: what it prints, its exit status, and where it reads from."""

import io
import json
import os
import subprocess
import sys
from pathlib import Path

import pytest
import yaml

from mlgate.cli import app

ROOT = Path(__file__).parents[3]
JOB = ROOT / "examples" / "ci" / "policy-diff.gitlab-ci.yml"
TIGHT, LOOSE = "load: {p95: 100ms}\n", "load: {p95: 250ms}\n"


@pytest.fixture
def here(tmp_path, monkeypatch):
    """An empty working directory; the user's own git configuration plays no part."""
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("GIT_CONFIG_GLOBAL", os.devnull)
    monkeypatch.setenv("GIT_CONFIG_NOSYSTEM", "1")
    for role in ("AUTHOR", "COMMITTER"):
        monkeypatch.setenv(f"GIT_{role}_NAME", "a")
        monkeypatch.setenv(f"GIT_{role}_EMAIL", "a@example.org")
    return tmp_path


def git(*words):
    """Run git in the working directory, which has to work."""
    return subprocess.run(["git", *words], check=True, capture_output=True, text=True).stdout.strip()


def commit(**files):
    """Commit files into the repository of the working directory, which is made where there is none."""
    if not Path(".git").exists():
        git("init", "--quiet", "--initial-branch=main")
    for name, text in files.items():
        path = Path(name.replace("__", "/").replace("_yaml", ".yaml").replace("_py", ".py"))
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(text)
    git("add", "--all")
    git("commit", "--quiet", "--message", "x")
    return git("rev-parse", "HEAD")


def diff(capsys, *words):
    """Exit status, standard output and standard error."""
    status = app.run(["policy", "diff", *words])
    return status, *capsys.readouterr()


def test_weaker_comes_first_in_words_and_ends_with_1(here, capsys):
    """As the issue asks: a pipeline stops, and says why."""
    Path("a.yaml").write_text(TIGHT + "cold_start: {ready: 9s}\n")
    Path("b.yaml").write_text(LOOSE + "cold_start: {ready: 8s}\n")
    status, out, err = diff(capsys, "a.yaml", "b.yaml")
    lines = out.splitlines()
    assert (status, err) == (1, "")
    assert lines[:4] == [
        "weaker:",
        "  load.p95: 100 ms → 250 ms: slower answers pass",
        "stricter:",
        "  cold_start.ready: 9 s → 8 s: slow starts fail earlier",
    ]
    assert lines[-1] == "1 weaker, 1 stricter. The gate became weaker, or may have."


def test_stricter_ends_with_0_and_both_digests_are_printed(here, capsys):
    """The digests are those of `policy show`."""
    Path("a.yaml").write_text(LOOSE)
    Path("b.yaml").write_text(TIGHT)
    status, out, _ = diff(capsys, "a.yaml", "b.yaml")
    app.run(["policy", "show", "--policy", "a.yaml"])
    digest = capsys.readouterr().out.splitlines()[-1].removeprefix("digest ")
    assert status == 0
    assert f"old a.yaml  {digest}" in out
    assert "new b.yaml  sha256:" in out


def test_equal_values_in_other_bytes_are_said_to_be_equal(here, capsys):
    """A comment, or a default written out."""
    Path("a.yaml").write_text("")
    Path("b.yaml").write_text("# as always\nload: {p95: 250ms}\n")
    status, out, _ = diff(capsys, "a.yaml", "b.yaml")
    assert status == 0
    assert out.endswith("the effective values are equal, although the bytes of the files differ.\n")
    assert "the same bytes" in diff(capsys, "a.yaml", "a.yaml")[1]


def test_json_has_each_change_with_its_effect(here, capsys):
    """For a bot."""
    Path("a.yaml").write_text(TIGHT)
    Path("b.yaml").write_text(LOOSE)
    status, out, _ = diff(capsys, "a.yaml", "b.yaml", "--output", "json")
    found = json.loads(out)
    assert status == 1
    assert found["weaker"] is True
    assert found["changes"] == [
        {"key": "load.p95", "effect": "weaker", "before": "100 ms", "after": "250 ms", "meaning": "slower answers pass"}
    ]
    assert found["old"]["digest"] != found["new"]["digest"]


def test_a_policy_can_not_write_markup_or_lines_of_its_own(here, capsys):
    """Who weakens a policy would like the comment to say something else."""
    Path("a.yaml").write_text("")
    Path("b.yaml").write_text('model: "x\\n\\n# All is well <img src=y> \\e[2J"\nruntime: {cpus: 2.0}\n')
    _, out, _ = diff(capsys, "a.yaml", "b.yaml", "--output", "markdown")
    assert "\n# All" not in out
    assert "<img" not in out
    assert "\x1b" not in out
    assert "- `runtime.cpus`: 1 CPUs → 2 CPUs" in out
    assert "\x1b" not in diff(capsys, "a.yaml", "b.yaml")[1]


def test_a_revision_is_read_with_the_files_that_it_names(here, capsys):
    """The text is the same; the checks are not."""
    policy = "own_checks: [acceptance/]\n"
    commit(mlgate_yaml=policy, acceptance__test_a_py="assert 1", acceptance__test_b_py="assert 2")
    commit(acceptance__test_a_py="assert True")
    Path("acceptance/test_b.py").unlink()
    status, out, _ = diff(capsys, "HEAD~1:mlgate.yaml", "mlgate.yaml")
    assert status == 1
    assert "  own_checks: acceptance/test_b.py: " in out.partition("different:")[0]
    assert "  own_checks: acceptance/test_a.py: " in out.partition("different:")[2]
    status, out, _ = diff(capsys, "HEAD~1:mlgate.yaml", "HEAD~1:./mlgate.yaml")
    assert (status, out.splitlines()[-1]) == (0, "Nothing changed: the same bytes.")


def test_a_revision_has_the_digest_of_the_same_files_in_a_folder(here, capsys):
    """Where they lie plays no part."""
    commit(sub__mlgate_yaml="own_checks: [../acceptance/]\n", acceptance__test_a_py="assert 1")
    status, out, _ = diff(capsys, "HEAD:sub/mlgate.yaml", "sub/mlgate.yaml", "--output", "json")
    found = json.loads(out)
    assert status == 0
    assert found["old"]["digest"] == found["new"]["digest"]


def test_standard_input_is_compared_but_its_files_are_not(here, capsys, monkeypatch):
    """It has no folder: what can not be read may be weaker."""
    Path("a.py").write_text("")
    Path("b.yaml").write_text("own_checks: [a.py]\n")
    monkeypatch.setattr(sys, "stdin", io.StringIO("own_checks: [a.py]\n"))
    status, out, _ = diff(capsys, "-", "b.yaml")
    assert status == 1
    assert "may be weaker:\n  own_checks: its files" in out


@pytest.mark.parametrize(
    ("words", "says"),
    [
        (["none.yaml", "good.yaml"], "old policy none.yaml: none.yaml: can not be read"),
        (["good.yaml", "bad.yaml"], "new policy bad.yaml: bad.yaml:1: load.p59 is not a key"),
        (["-", "-"], "standard input can be read once"),
        (["HEAD:none.yaml", "good.yaml"], "old policy HEAD:none.yaml: there is no file none.yaml in HEAD"),
        (["nowhere:good.yaml", "good.yaml"], "nowhere is no revision in this repository"),
        (["HEAD:../good.yaml", "good.yaml"], "outside of the repository"),
        (["HEAD:linked.yaml", "good.yaml"], "own_checks: link is a symbolic link in HEAD"),
        (["HEAD:outside.yaml", "good.yaml"], "own_checks: ../x.py is outside of the repository"),
        (["HEAD:absent.yaml", "good.yaml"], "own_checks: absent.py does not exist"),
        ([":good.yaml", "good.yaml"], "'' is no revision of git. Hint: write REV:PATH"),
        (["good.yaml"], "Missing argument 'NEW'"),
    ],
)
def test_what_can_not_be_compared_is_one_line_and_exit_status_2(here, capsys, words, says):
    """Which side, what, and what to do; nothing on standard output."""
    Path("link").symlink_to("/etc")
    commit(
        good_yaml=TIGHT,
        bad_yaml="load: {p59: 1s}\n",
        linked_yaml="own_checks: [link]\n",
        outside_yaml="own_checks: [../x.py]\n",
        absent_yaml="own_checks: [absent.py]\n",
    )
    status, out, err = diff(capsys, *words)
    assert (status, out) == (2, "")
    assert says in err
    assert err.count("\n") == 1


def test_without_git_or_a_repository_a_revision_is_one_line(here, capsys, monkeypatch):
    """Two files, or standard input, always work."""
    Path("a.yaml").write_text(TIGHT)
    monkeypatch.setenv("GIT_CEILING_DIRECTORIES", str(here.parent))
    status, _, err = diff(capsys, "main:a.yaml", "a.yaml")
    assert status == 2
    assert "not a git repository" in err
    monkeypatch.setenv("PATH", "")
    status, _, err = diff(capsys, "main:a.yaml", "a.yaml")
    assert (status, err.count("\n")) == (2, 1)
    assert "git is not installed" in err
    assert diff(capsys, "a.yaml", "a.yaml")[0] == 0


def test_a_comparison_leaves_the_repository_as_it_is(here, capsys):
    """It runs beside other jobs, in somebody's checkout."""
    commit(mlgate_yaml=TIGHT)
    Path("mlgate.yaml").write_text(LOOSE)
    before = git("status", "--porcelain"), git("rev-parse", "HEAD"), sorted(Path().glob("*"))
    assert diff(capsys, "HEAD:mlgate.yaml", "mlgate.yaml")[0] == 1
    assert (git("status", "--porcelain"), git("rev-parse", "HEAD"), sorted(Path().glob("*"))) == before


@pytest.mark.parametrize(
    ("base", "change", "status", "says"),
    [
        (TIGHT, LOOSE, 1, "load.p95: 100 ms → 250 ms: slower answers pass"),
        (LOOSE, TIGHT, 0, "The gate did not become weaker."),
        (None, TIGHT, 0, "mlgate.yaml: ok"),
        (TIGHT, None, 2, "new policy mlgate.yaml: mlgate.yaml: can not be read"),
    ],
)
def test_the_example_job_does_what_it_says(here, monkeypatch, base, change, status, says):
    """Its script lines run as GitLab runs them: a shallow clone of a merge request's branch, and a shell that stops."""
    Path("origin").mkdir()
    monkeypatch.chdir("origin")
    since = commit(readme="x", **({"mlgate_yaml": base} if base else {}))
    git("checkout", "--quiet", "-b", "change")
    if change is None:
        Path("mlgate.yaml").unlink()
        commit()
    else:
        commit(mlgate_yaml=change)
    git("clone", "--quiet", "--depth=1", "--branch=change", f"file://{Path.cwd()}", str(here / "clone"))
    monkeypatch.chdir(here / "clone")
    job = yaml.safe_load(JOB.read_text())["policy-diff"]
    environment = {
        **os.environ,
        **job["variables"],
        "CI_MERGE_REQUEST_DIFF_BASE_SHA": since,
        "PATH": f"{Path(sys.executable).parent}:{os.environ['PATH']}",
    }
    script = "\n".join(job["script"])
    done = subprocess.run(["sh", "-euc", script], env=environment, capture_output=True, text=True, check=False)
    assert done.returncode == status, done.stderr
    assert says in done.stdout + done.stderr

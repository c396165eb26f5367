"""`mlgate replay`: one line, and an exit status for each end."""

import json
from pathlib import Path

import pytest

from mlgate.cli import app, replay
from tests.unit.test_failure import failure


@pytest.fixture
def saved(tmp_path):
    """A saved failure of models:/churn/3."""
    path = tmp_path / "x.json"
    path.write_bytes(failure().to_bytes())
    return path


@pytest.fixture
def ran(monkeypatch):
    """Stand in for pytest: `ran(status, result)` says how it ends and what it leaves; returns the calls."""
    calls = []

    def ends(status, document=None):
        def run_pytest(uri, options, *, stdout=None):
            calls.append((uri, options, stdout))
            folder = next(option.partition("=")[2] for option in options if option.startswith("--mlgate-output="))
            if document is not None:
                (Path(folder) / "replay.json").write_text(json.dumps(document))
            return status

        monkeypatch.setattr(replay, "run_pytest", run_pytest)
        return calls

    return ends


def result(word, **more):
    return {"result": word, "check": "properties.total", "uri": "models:/churn/4", "reason": "raises: KeyError", **more}


@pytest.mark.parametrize(
    ("word", "status", "line"),
    [
        ("fixed", 0, "x.json: fixed on models:/churn/4 (properties.total)"),
        ("still failing", 1, "x.json: still failing on models:/churn/4 (properties.total): raises: KeyError"),
        ("not decided", 4, "x.json: not decided on models:/churn/4 (properties.total): raises: KeyError"),
    ],
)
def test_each_end_has_its_line_and_its_exit_status(saved, ran, capsys, word, status, line):
    """The result is on standard output; pytest's own words go to standard error."""
    calls = ran(status if word != "not decided" else 4, result(word))
    assert app.run(["replay", str(saved), "models:/churn/4"]) == status
    assert capsys.readouterr().out == f"{saved.parent}/{line}\n"
    assert calls[0][2] is not None


def test_without_a_uri_it_is_the_version_that_it_was_found_on(saved, ran):
    """The file says which."""
    calls = ran(1, result("still failing"))
    assert app.run(["replay", str(saved)]) == 1
    assert calls[0][0] == "models:/churn/3"


def test_the_options_are_handed_on(saved, ran):
    """Same sandbox, policy and image; own checks by path; nothing is published."""
    calls = ran(0, result("fixed"))
    words = [
        "--policy",
        "p.yaml",
        "--sandbox",
        "process",
        "--image",
        "i:1",
        "--own-check",
        "a.py",
        "--own-check",
        "b.py",
    ]
    assert app.run(["replay", str(saved), "m", *words]) == 0
    options = calls[0][1]
    assert {"--mlgate-policy=p.yaml", "--mlgate-sandbox=process", "--mlgate-image=i:1", "--mlgate-no-publish"} <= set(options)  # fmt: skip
    assert f"--mlgate-replay={saved}" in options
    assert options[-2:] == ["a.py", "b.py"]


@pytest.mark.parametrize("status", [2, 3, 130])
def test_a_run_that_never_came_to_the_check_keeps_its_status(saved, ran, status):
    """Usage, environment, interrupted; it has said why."""
    ran(status)
    assert app.run(["replay", str(saved)]) == status


def test_a_run_that_says_nothing_decides_nothing(saved, ran):
    """0 without a result is no `fixed`."""
    ran(0)
    assert app.run(["replay", str(saved)]) == 4


def test_a_run_that_failed_without_a_result_is_not_still_failing(saved, ran):
    """1 belongs to the problem of the file alone."""
    ran(1)
    assert app.run(["replay", str(saved)]) == 4


@pytest.mark.parametrize(
    ("text", "said"), [(None, "can not be read"), ("{", "not JSON"), ('{"format": "x"}', "no saved failure")]
)
def test_a_bad_file_is_one_line_and_exit_2(tmp_path, ran, capsys, text, said):
    """Nothing is started, also where a URI is given."""
    calls = ran(0, result("fixed"))
    path = tmp_path / "x.json"
    if text is not None:
        path.write_text(text)
    for words in ([], ["models:/churn/4"]):
        assert app.run(["replay", str(path), *words]) == 2
        captured = capsys.readouterr()
        assert captured.err.startswith(f"mlgate: {path}: ")
        assert said in captured.err
        assert captured.err.count("\n") == 1
        assert captured.out == ""
    assert calls == []


def test_json_is_for_machines(saved, ran, capsys):
    """All that is known, and the file."""
    ran(1, result("still failing", curl="curl -s"))
    assert app.run(["replay", str(saved), "--output", "json"]) == 1
    assert json.loads(capsys.readouterr().out) == {"file": str(saved), **result("still failing", curl="curl -s")}


def test_the_file_is_named_once(saved, ran, capsys):
    """The finding names it as well."""
    ran(1, result("still failing", reason=f"{saved}: still failing: raises: KeyError"))
    app.run(["replay", str(saved)])
    assert capsys.readouterr().out.count("still failing") == 1

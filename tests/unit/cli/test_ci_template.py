"""`examples/ci`: pipelines that GitLab takes, whose every mlgate command line is one that mlgate takes."""

import shlex
import subprocess
import sys
from pathlib import Path

import pytest
import typer
import yaml

from mlgate.cli import app

EXAMPLES = Path(__file__).parents[3] / "examples" / "ci"
FILES = sorted(EXAMPLES.glob("*.gitlab-ci.yml"))
VALUES = {
    "$MODEL": "models:/churn/3",
    "$URI": "models:/churn/3",  # what `ci from-webhook` prints
    "$POLICY": "mlgate.yaml",
    "$CI_MERGE_REQUEST_DIFF_BASE_SHA:$POLICY": "4a9b34c:mlgate.yaml",
}


def jobs(file):
    """Each job of a file by name."""
    document = yaml.safe_load(file.read_text())
    return {name: job for name, job in document.items() if isinstance(job, dict) and "script" in job}


def command_lines(job):
    """The words of each line of a job's script that calls mlgate, with a value for each variable."""
    for line in "\n".join(job["script"]).splitlines():
        words = shlex.split(line)
        if words[:1] == ["mlgate"]:
            yield [VALUES.get(word, word) for word in words[1:]]


def parsed(words):
    """Let the command read its options and arguments, and run nothing; an unknown one raises."""
    command, name = typer.main.get_command(app.app), "mlgate"
    while hasattr(command, "commands"):
        command, name, words = command.commands[words[0]], words[0], words[1:]
    with command.make_context(name, list(words)) as context:
        return context.params


@pytest.mark.parametrize("file", FILES, ids=lambda file: file.name)
def test_each_file_is_one_that_gitlab_takes(file):
    """Held against the schema that GitLab publishes, offline."""
    command = ["-m", "check_jsonschema", "--builtin-schema", "vendor.gitlab-ci", "--data-transform", "gitlab-ci"]
    done = subprocess.run([sys.executable, *command, str(file)], capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stdout + done.stderr


@pytest.mark.parametrize("file", FILES, ids=lambda file: file.name)
def test_each_script_is_a_shell_script_whose_mlgate_lines_mlgate_takes(file):
    """Options and arguments are read by the command itself; nothing is run."""
    for name, job in jobs(file).items():
        script = "\n".join(job["script"])
        done = subprocess.run(["sh", "-n"], input=script, capture_output=True, text=True, check=False)
        assert done.returncode == 0, done.stderr
        lines = list(command_lines(job))
        assert lines, name
        for words in lines:
            assert not any("$" in word for word in words), words
            parsed(words)
    with pytest.raises(app.ClickException):
        parsed(["gate", "models:/churn/3", "--polcy", "x"])


def test_the_template_goes_the_way_of_a_version_and_holds_the_policy_diff():
    """Test, gate, promote; and the job that sees a weakened policy, in the file that is included."""
    file = EXAMPLES / "mlgate.gitlab-ci.yml"
    document = yaml.safe_load(file.read_text())
    called = {name: [words[0] for words in command_lines(job)] for name, job in jobs(file).items()}
    assert called == {"mlgate-test": ["policy", "test"], "mlgate-gate": ["gate"], "mlgate-promote": ["promote"]}
    assert [document[name]["stage"] for name in called] == document["stages"] == ["test", "gate", "promote"]
    (included,) = (EXAMPLES / entry["local"].lstrip("/") for entry in document["include"])
    (diff,) = jobs(included).values()
    assert diff["stage"] in document["stages"]
    assert ["policy", "diff"] in [words[:2] for words in command_lines(diff)]


def test_only_protected_refs_sign_and_promote_and_one_at_a_time():
    """A branch that anybody may push to gets no key; MLflow's aliases know no compare-and-swap."""
    document = yaml.safe_load((EXAMPLES / "mlgate.gitlab-ci.yml").read_text())
    for name in ("mlgate-test", "mlgate-gate", "mlgate-promote"):
        rules = document[name].get("rules") or document[document[name]["extends"]]["rules"]
        assert rules
        assert all('$CI_COMMIT_REF_PROTECTED == "true"' in rule["if"] for rule in rules), name
    assert document["mlgate-promote"]["resource_group"]
    assert {name for name, job in document.items() if "mlgate-signing" in str(job)} == {"mlgate-test"}

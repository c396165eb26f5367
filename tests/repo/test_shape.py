"""The shape of the house: sizes, names, and documents that are true."""

import re
import subprocess
import sys
from pathlib import Path

import pytest
import yaml

ROOT = Path(__file__).parents[2]
SOURCES = [path for root in ("mlgate", "plugins", "suites") for path in sorted((ROOT / root).rglob("*.py"))]
# A module is one noun; none needs to pass 400 lines.
MAX_LINES = 400


def test_no_module_is_longer_than_a_head_can_hold():
    """Split by noun before it comes to that."""
    long = {str(path.relative_to(ROOT)): n for path in SOURCES if (n := len(path.read_text().splitlines())) > MAX_LINES}
    assert long == {}


def test_no_module_is_named_after_nothing():
    """utils, helpers, common and manager say nothing of what is in them."""
    assert [path.name for path in SOURCES if path.stem in {"utils", "helpers", "common", "manager"}] == []


def test_only_one_file_spells_the_registry_tags():
    """Tag keys are pinned: a second spelling would be a second truth."""
    keys = re.compile(
        r'"mlgate\.(status|suite|evidence|gate_run_id|artifact_digest|recipe|policy|champion|tested_at|report)\b'
    )
    loader = 'PackageLoader("mlgate.report",'  # a package of that name, not the tag
    found = {str(path.relative_to(ROOT)) for path in SOURCES if keys.search(path.read_text().replace(loader, ""))}
    assert found <= {"mlgate/registry/tags.py", "mlgate/__init__.py"}


def test_the_make_targets_are_the_ci_jobs():
    """One list of names: what CI runs can be run here."""
    targets = set(re.findall(r"^([a-z-]+):.*##", (ROOT / "Makefile").read_text(), re.MULTILINE))
    pipeline = yaml.safe_load((ROOT / ".gitlab-ci.yml").read_text())
    jobs = {name for name, job in pipeline.items() if isinstance(job, dict) and "script" in job}
    assert jobs <= targets
    assert {"lint", "typing", "unit", "plugin", "suites", "integration", "wheel"} <= jobs


def test_the_pipeline_is_valid_for_gitlab():
    """Checked against the schema that GitLab publishes, offline."""
    command = [
        sys.executable,
        "-m",
        "check_jsonschema",
        "--builtin-schema",
        "vendor.gitlab-ci",
        "--data-transform",
        "gitlab-ci",
    ]
    done = subprocess.run([*command, str(ROOT / ".gitlab-ci.yml")], capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stdout + done.stderr


@pytest.mark.parametrize("document", ["README.md", "ARCHITECTURE.md", "CHANGELOG.md"])
def test_the_documents_link_to_files_that_are_there(document):
    """A dead link is a small lie."""
    text = (ROOT / document).read_text()
    links = [link for link in re.findall(r"\]\(([^)#]+)\)", text) if "://" not in link]
    assert [link for link in links if not (ROOT / link).exists()] == []


def test_the_readme_names_every_command_and_exit_status():
    """What --help lists, the README explains."""
    from mlgate.cli.app import app

    readme = (ROOT / "README.md").read_text()
    names = {info.name for info in app.registered_commands} | {group.name for group in app.registered_groups}
    assert {name for name in names if f"mlgate {name}" not in readme} == set()


def test_the_readme_has_the_twenty_line_example_that_the_tests_run():
    """The example is a file, and the README shows that very file."""
    example = (ROOT / "examples" / "quickstart.py").read_text()
    assert example in (ROOT / "README.md").read_text()

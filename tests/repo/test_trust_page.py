"""docs/trust.md claims nothing that no test shows."""

import ast
import re
from functools import cache
from pathlib import Path

ROOT = Path(__file__).parents[2]
PAGE = (ROOT / "docs" / "trust.md").read_text()
ROWS = [line for line in PAGE.splitlines() if line.startswith("|") and not line.startswith(("| attempt", "| ---"))]
NAMED = re.compile(r"`(tests/[\w/]+\.py)::(\w+)`")


@cache
def defined_in(path):
    """The tests that a file defines, in classes too."""
    tree = ast.parse((ROOT / path).read_text())
    return {node.name for node in ast.walk(tree) if isinstance(node, ast.FunctionDef) and node.name.startswith("test_")}


def test_each_line_of_the_trust_model_names_a_test_that_is_there():
    """A test that was renamed or removed takes its claim with it."""
    assert len(ROWS) > 30
    for row in ROWS:
        *_, shown, end = row.split("|")
        named = NAMED.findall(shown)
        assert named, row
        assert end == ""
        assert NAMED.sub("", shown).strip(" ,") == "", f"something in the last column is no test: {row}"
        for path, name in named:
            assert (ROOT / path).is_file(), path
            assert name in defined_in(path), f"{path}::{name}"


def test_what_an_attacker_can_do_is_printed_bold():
    """A reader who skims sees what is not prevented."""
    assert sum("**" in row for row in ROWS) >= 9

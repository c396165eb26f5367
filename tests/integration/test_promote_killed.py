"""`promote` and `rollback` killed after each call and run again: as if nothing had happened."""

import json
import os
import subprocess
import sys
import uuid
from pathlib import Path

import pytest

UNDISTURBED = {
    "promote": {"aliases": {"champion": "1"}, "moves": [[None, "1"]], "events": ["closed"], "unexplained": []},
    "rollback": {
        "aliases": {"champion": "1"},
        "moves": [[None, "1"], ["1", "2"], ["2", "1"]],
        "events": ["closed"] * 3,
        "unexplained": [],
    },
}


UNDISTURBED["rollback --to 1"] = UNDISTURBED["rollback"]


@pytest.mark.parametrize("command", UNDISTURBED)
def test_a_move_that_was_killed_after_any_call_ends_as_an_undisturbed_one(command, mlflow_server, tmp_path):
    """Each answer of the server is numbered: one alias, one entry, closed, and nothing that is unexplained."""
    script = ["-m", "tests.integration.promote_killed", mlflow_server.uri, str(tmp_path), uuid.uuid4().hex[:6], command]
    done = subprocess.run(
        [sys.executable, *script],
        cwd=Path(__file__).parents[2],
        env={**os.environ, "MLFLOW_TRACKING_URI": mlflow_server.uri},
        capture_output=True,
        text=True,
        timeout=580,
        check=False,
    )
    assert done.returncode == 0, done.stderr
    told = json.loads((tmp_path / "told.json").read_text())
    assert told["calm"] == [0, 0], done.stderr
    assert len(told["killed"]) > 10
    assert set(told["killed"]) == {-9}
    assert set(told["again"]) == {0}, told["again"]
    assert told["states"][0] == UNDISTURBED[command]
    assert [state for state in told["states"] if state != UNDISTURBED[command]] == []

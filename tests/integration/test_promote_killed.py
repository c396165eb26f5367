"""`mlgate promote` killed after each call and run again: as if nothing had happened."""

import json
import os
import subprocess
import sys
import uuid
from pathlib import Path


def test_a_promotion_that_was_killed_after_any_call_ends_as_an_undisturbed_one(mlflow_server, tmp_path):
    """Each answer of the server is numbered: one alias, one entry, closed, and nothing that is unexplained."""
    done = subprocess.run(
        [sys.executable, "-m", "tests.integration.promote_killed", mlflow_server.uri, str(tmp_path), f"killed-{uuid.uuid4().hex[:6]}"],
        cwd=Path(__file__).parents[2],
        env={**os.environ, "MLFLOW_TRACKING_URI": mlflow_server.uri},
        capture_output=True,
        text=True,
        timeout=300,
        check=False,
    )  # fmt: skip
    assert done.returncode == 0, done.stderr
    told = json.loads((tmp_path / "told.json").read_text())
    killed, last = told["killed"][:-1], told["killed"][-1]
    assert len(killed) > 10
    assert set(killed) == {-9}
    assert last == 0, "the last was undisturbed"
    assert set(told["again"]) == {0}, told["again"]
    undisturbed = told["states"][-1]
    assert undisturbed == {
        "aliases": {"champion": "1"},
        "moves": [[None, "1"]],
        "events": ["closed"],
        "unexplained": [],
    }
    assert [state for state in told["states"] if state != undisturbed] == []

"""Progress of a run, on the real terminal and in a job's log, while pytest captures what checks print."""

import json
import os
import pty
import re
import subprocess
import sys

import pytest

from tests.plugin.seam import VARIABLE

pytestmark = pytest.mark.alone
LINE = re.compile(r"load \d+ s of 3 s · [\d.]+/s · p95 .* \(limit 2 s\) · errors 0 of \d+ · ")


@pytest.fixture
def start(gated):
    """Start a run of the load suite with its output on a file descriptor; the process is returned."""
    gated.policy("load")
    orders = {"versions": [str(gated.models("good"))], "champion": None, "at": {}}
    told = {**orders, "told": str(gated.pytester.path / "told.json")}
    command = [sys.executable, "-m", "pytest", *gated.options, "-p", "tests.plugin.seam", "--mlgate=models:/churn/1"]

    def run(output):
        environ = {**os.environ, VARIABLE: json.dumps(told), "TERM": "xterm", "COLUMNS": "200"}
        return subprocess.Popen(command, env=environ, cwd=gated.pytester.path, stdout=output, stderr=output)

    return run


def test_a_terminal_gets_one_line_that_is_rewritten_and_gone_at_the_end(start):
    """Rate, p95, errors and what is left, at one place of the screen."""
    ours, theirs = pty.openpty()
    process = start(theirs)
    os.close(theirs)
    said = b""
    while True:
        try:
            chunk = os.read(ours, 65536)
        except OSError:  # Linux says so where the last writer is gone
            break
        if not chunk:
            break
        said += chunk
    os.close(ours)
    text = said.decode()
    process.wait(60)
    shown = [part for line in text.split("\n") for part in line.split("\r") if LINE.match(part)]
    assert len(shown) >= 3, text
    assert not [line for line in map(on_screen, text.split("\n")) if LINE.search(line)], "the line stayed on the screen"


def on_screen(line):
    """Return what a terminal shows of *line*: after a carriage return, text goes over what was there."""
    seen = ""
    for part in line.split("\r"):
        seen = part + seen[len(part) :]
    return seen


def test_a_jobs_log_is_not_flooded(start, tmp_path):
    """A run of three seconds is too short for a line; nothing is rewritten in a file."""
    log = tmp_path / "log"
    with log.open("wb") as file:
        start(file.fileno()).wait(120)
    assert "load.rate" in log.read_text()
    assert "\r" not in log.read_text()
    assert not LINE.search(log.read_text())

import ast
import json
import sys
from pathlib import Path

from mlgate.serving.boot import Boot, process_started_at

FOLDER = Path(__file__).parents[3] / "mlgate" / "serving"
ALLOWED = {"mlflow", "uvicorn", "prometheus_client", "a2wsgi"}


def test_the_serving_code_imports_nothing_of_mlgate_outside_its_folder():
    """It runs where there is no mlgate."""
    for path in FOLDER.glob("*.py"):
        for node in ast.walk(ast.parse(path.read_text())):
            if isinstance(node, ast.Import):
                names = [name.name for name in node.names]
            elif isinstance(node, ast.ImportFrom) and not node.level:
                names = [node.module]
            else:
                continue
            roots = {name.partition(".")[0] for name in names}
            assert roots <= ALLOWED | set(sys.stdlib_module_names), path


def test_phases_are_seconds_from_the_start_of_the_process(capsys):
    """In order, on one line of JSON."""
    boot = Boot()
    for phase in ("imports", "load", "ready"):
        boot.done(phase)
    boot.emit()
    lines = capsys.readouterr().out.splitlines()
    said = json.loads(lines[0])
    assert len(lines) == 1
    assert list(said["phases"]) == ["imports", "load", "ready"]
    assert 0 < said["phases"]["imports"] <= said["phases"]["load"] <= said["phases"]["ready"]


def test_the_process_started_before_now_and_stays_so():
    """The clock resolves 10 ms."""
    import time

    first = process_started_at()
    assert first <= time.time()
    assert abs(process_started_at() - first) < 0.5

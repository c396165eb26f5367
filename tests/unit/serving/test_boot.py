import ast
import json
import sys
from pathlib import Path

from mlgate.serving.boot import Boot, process_started_at

FOLDER = Path(__file__).parents[3] / "mlgate" / "serving"
ALLOWED = {"mlflow", "mlserver", "mlserver_mlflow", "uvicorn", "prometheus_client", "a2wsgi"}


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
    """In order, on one line of JSON; each is said as soon as it is over, too."""
    boot = Boot()
    for phase in ("imports", "load", "ready"):
        boot.done(phase)
    boot.emit()
    *progress, last = capsys.readouterr().out.splitlines()
    assert [json.loads(line) for line in progress] == [{"mlgate_phase": name} for name in ("imports", "load", "ready")]
    said = json.loads(last)
    assert list(said["phases"]) == ["imports", "load", "ready"]
    assert 0 < said["phases"]["imports"] <= said["phases"]["load"] <= said["phases"]["ready"]


def test_a_boot_that_was_begun_tells_imports_and_bytes_by_phase_and_leaves_no_trace(tmp_path, monkeypatch):
    """Python's own import code and thresholds are what they were, once it is over."""
    import gc
    import importlib
    import sys

    (tmp_path / "mlgate_probe_outer.py").write_text("import time\ntime.sleep(0.02)\nimport mlgate_probe_inner\n")
    (tmp_path / "mlgate_probe_inner.py").write_text("import time\ntime.sleep(0.03)\n")
    monkeypatch.syspath_prepend(str(tmp_path))
    bootstrap = sys.modules["_frozen_importlib"]
    load, thresholds = bootstrap._load_unlocked, gc.get_threshold()
    boot = Boot()
    boot.begin()
    try:
        assert bootstrap._load_unlocked is not load
        importlib.import_module("mlgate_probe_outer")
        boot.done("imports")
        boot.done("load")
    finally:
        boot.end()
        gc.unfreeze()
    boot.end()
    assert bootstrap._load_unlocked is load
    assert gc.get_threshold() == thresholds
    said = boot.to_json()
    assert list(said["imports"]) == ["imports"]
    parts = said["imports"]["imports"]["mlgate_probe_outer"]
    assert parts["mlgate_probe_outer"] >= 0.02
    assert parts["mlgate_probe_inner"] >= 0.03
    assert said["read"]["imports"]["asked"] > 0
    assert set(said["read"]) == {"imports", "load"}


def test_a_boot_that_was_not_begun_counts_nothing_and_can_be_ended():
    """Other servers use it without."""
    boot = Boot()
    boot.done("load")
    boot.end()
    assert (boot.to_json()["imports"], boot.to_json()["read"]) == ({}, {})


def test_the_process_started_before_now_and_stays_so():
    """The clock resolves 10 ms."""
    import time

    first = process_started_at()
    assert first <= time.time()
    assert abs(process_started_at() - first) < 0.5

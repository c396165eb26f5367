"""The host never loads a model: proved by the interpreter's own audit events, in a process of its own."""

import json
import pickle
import subprocess
import sys
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[3]

WATCHED = """
import json, os, sys
model, cache, canary = sys.argv[1:]
events = []
def watch(event, args):
    if event == "pickle.find_class" or event.startswith(("subprocess", "os.system", "os.exec", "os.posix_spawn")):
        events.append([event, repr(args)])
    if event in ("import", "compile", "exec"):
        told = repr(args) if event != "exec" else getattr(args[0], "co_filename", "")
        if model in told or cache in told or "evil" in told:
            events.append([event, told[:200]])
sys.addaudithook(watch)
from pathlib import Path
from mlgate.artifacts.cache import fetch
from mlgate.artifacts.directory import read_directory
from mlgate.model_version import ModelUri
from mlgate.registry.memory import MemoryRegistry
os.chdir(model)
found = read_directory(Path(model))
found.signature
registry = MemoryRegistry()
fetch(registry, registry.resolve(ModelUri.parse(model)), Path(cache))
#THEN
late = [name for name in sys.modules if name.split(".")[0] in ("mlflow", "cloudpickle", "joblib", "skops", "evil_loader")]
inside = [m.__name__ for m in sys.modules.values() if str(getattr(m, "__file__", "")).startswith((model, cache))]
print(json.dumps({"events": events, "late": late, "inside": inside, "canary": Path(canary).exists(), "files": len(found.files)}))
"""


class Bomb:
    """Unpickling it leaves a canary."""

    def __init__(self, canary):
        self.canary = canary

    def __reduce__(self):
        return (Path.touch, (Path(self.canary),))


@pytest.fixture
def hostile(tmp_path):
    """A model directory in which every file is a trap that leaves a canary."""
    canary, model = tmp_path / "canary", tmp_path / "bad"
    evil = f"import pathlib; pathlib.Path({str(canary)!r}).touch()\n"
    (model / "code").mkdir(parents=True)
    (model / "MLmodel").write_text(
        "flavors:\n  python_function:\n    loader_module: evil_loader\n    code: code\n    data: model.pkl\n"
        '    python_version: 3.11.4\nsignature:\n  inputs: \'[{"type": "double", "name": "x"}]\'\n'
    )
    for name in ("model.pkl", "python_model.pkl", "model.joblib", "signature.pkl"):
        (model / name).write_bytes(pickle.dumps(Bomb(str(canary))))
    for name in ("evil_loader.py", "code/evil_loader.py", "sitecustomize.py", "yaml.py", "conftest.py", "setup.py"):
        (model / name).write_text(evil)
    (model / "evil.pth").write_text(evil)
    (model / "requirements.txt").write_text(f"-e {model}\n./evil\n")
    return model


def watched(model, *, then=""):
    folder = model.parent
    done = subprocess.run(
        [
            sys.executable,
            "-c",
            WATCHED.replace("#THEN", then),
            str(model),
            str(folder / "cache"),
            str(folder / "canary"),
        ],
        env={"PYTHONPATH": str(ROOT), "PATH": "/usr/bin:/bin"},
        cwd=folder,
        capture_output=True,
        text=True,
        timeout=120,
        check=False,
    )
    assert done.returncode == 0, done.stderr
    return json.loads(done.stdout)


def test_reading_and_caching_a_hostile_model_runs_nothing_of_it(hostile):
    """Pickles, a loader module with code, a requirements trick, site hooks: all are bytes to the host."""
    assert watched(hostile) == {"events": [], "late": [], "inside": [], "canary": False, "files": 13}


@pytest.mark.parametrize(
    ("then", "event"),
    [
        ("import pickle; pickle.loads(Path('model.pkl').read_bytes())", "pickle.find_class"),
        ("sys.path.insert(0, model + '/code'); import evil_loader", "import"),
        ("exec(compile(Path('setup.py').read_text(), model + '/setup.py', 'exec'))", "exec"),
    ],
)
def test_the_watch_notices_when_something_of_it_runs(hostile, then, event):
    """Without this the other test could not fail."""
    found = watched(hostile, then=then)
    assert found["canary"]
    assert event in [name for name, _ in found["events"]]

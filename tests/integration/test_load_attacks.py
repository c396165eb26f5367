"""Model directories that attack whoever loads or reads them: none touches the host, and each gets one clear line or a verdict."""

import base64
import gzip
import io
import json
import os
import pickle
import shutil
import socket
import subprocess
import sys
import zipfile
from pathlib import Path

import pytest
import yaml

from tests.integration.conftest import PINS
from tests.integration.test_hostile import Canary

pytestmark = pytest.mark.engine

HOST = Path(__file__).parent / "hostile" / "host.py"
NUMBER = {"type": "double", "required": True}
SIGNATURE = {"inputs": json.dumps([{**NUMBER, "name": "x"}]), "outputs": json.dumps([NUMBER])}
EXAMPLE = {"dataframe_split": {"columns": ["x"], "data": [[1.0]]}}


class Payload:
    """Unpickled, it does *act* and becomes the value of *value*."""

    def __init__(self, act, value):
        self.text = f"(exec({act!r}), {value})[1]"

    def __reduce__(self):
        return (eval, (self.text,))


class Workshop:
    """Makes hostile directories; the canaries are a file and a port of this host."""

    def __init__(self, folder, port):
        self.folder = folder
        self.file = folder / "canary"
        # Whoever runs it touches the canaries; in the sandbox both attempts end in an error, which it hides.
        self.act = (
            "import os, socket\n"
            f"try: open({str(self.file)!r}, 'w').write('x')\n"
            "except OSError: pass\n"
            f"for host in ('127.0.0.1', '172.17.0.1', {socket.gethostname()!r}):\n"
            f"    try: socket.create_connection((host, {port}), 1).close()\n"
            "    except OSError: pass\n"
        )

    def make(self, name, flavor=None, files=None, **keys):
        """Write a directory: an MLmodel with a python_function *flavor*, and *files*."""
        path = self.folder / name / "model"
        path.mkdir(parents=True)
        flavor = flavor or {"loader_module": "mlgate_attack", "code": "code"}
        document = {"flavors": {"python_function": flavor}, "signature": SIGNATURE, **keys}
        (path / "MLmodel").write_text(yaml.safe_dump(document))
        (path / "requirements.txt").write_text("\n".join(PINS))
        (path / "serving_input_example.json").write_text(json.dumps(EXAMPLE))
        for place, content in (files or {}).items():
            (path / place).parent.mkdir(parents=True, exist_ok=True)
            (path / place).write_bytes(content if isinstance(content, bytes) else content.encode())
        return path


@pytest.fixture(scope="module")
def port():
    """A port of this host that remembers who came."""
    made = Canary()
    yield made
    made.close()


@pytest.fixture(scope="module")
def shop(tmp_path_factory, port):
    """Where hostile directories are made."""
    return Workshop(tmp_path_factory.mktemp("attacks"), port.port)


def watched(shop, folders):
    """Test directories by the gate in a host process under an audit hook; return what it told."""
    work = shop.folder / "work"
    work.mkdir(exist_ok=True)
    (work / "mlgate.yaml").write_text("requires: [schema]\n")
    done = subprocess.run(
        [sys.executable, str(HOST), str(shop.folder), str(shop.file)],
        input=json.dumps({name: [str(path), list(words)] for name, (path, words) in folders.items()}),
        cwd=work, env={**os.environ, "MLGATE_CACHE": str(shop.folder / "cache"), "PYTEST_ADDOPTS": ""},
        capture_output=True, text=True, timeout=500, check=False,
    )  # fmt: skip
    assert done.returncode == 0, done.stderr
    return json.loads(done.stdout.splitlines()[-1])


# --- programs: allowed to be programs, in the sandbox


def programs(shop):
    """Return directories whose loading runs code of a stranger's, each in another format."""
    plain = "type('M', (), {'predict': lambda self, rows, **_: [0.5] * len(rows)})()"
    wrapped = (
        "type('M', (__import__('mlflow').pyfunc.PythonModel,), "
        "{'predict': lambda self, context, rows, params=None: [0.5] * len(rows)})()"
    )
    pickled = pickle.dumps(Payload(shop.act, plain))
    torch = io.BytesIO()
    with zipfile.ZipFile(torch, "w") as packed:  # what torch.save writes: a pickle in a zip
        packed.writestr("archive/data.pkl", pickled)
        packed.writestr("archive/version", "3\n")
    loader = f"""
{shop.act}
import gzip, io, joblib, pathlib, pickle, zipfile
def _load_pyfunc(path):
    here = pathlib.Path(path)
    gzip_model = pickle.loads(gzip.decompress((here / "model.pkl.gz").read_bytes()))
    joblib_model = joblib.load(here / "model.joblib")
    torch_model = pickle.loads(zipfile.ZipFile(here / "model.pt").read("archive/data.pkl"))
    return {plain}
"""
    sklearn = {"sklearn": {"pickled_model": "model.pkl", "serialization_format": "pickle", "sklearn_version": "1.5.0"}}
    made = {
        "pickle": shop.make(
            "pickle", {"loader_module": "mlflow.sklearn", "model_path": "model.pkl"}, {"model.pkl": pickled}
        ),
        "cloudpickle": shop.make(
            "cloudpickle",
            {
                "loader_module": "mlflow.pyfunc.model",
                "python_model": "python_model.pkl",
                "cloudpickle_version": "3.0.0",
            },
            {"python_model.pkl": pickle.dumps(Payload(shop.act, wrapped))},
        ),
        "loader_module, gzip'd pickle, joblib and torch": shop.make(
            "loader",
            {"loader_module": "mlgate_attack", "code": "code"},
            {
                "code/mlgate_attack.py": loader,
                "model.pkl.gz": gzip.compress(pickled),
                "model.joblib": pickled,
                "model.pt": torch.getvalue(),
                # What Python would run by itself, were the directory on its path.
                **dict.fromkeys(("sitecustomize.py", "conftest.py", "code/usercustomize.py", "evil.pth"), shop.act),
            },
        ),
    }
    document = yaml.safe_load((made["pickle"] / "MLmodel").read_text())
    document["flavors"] |= sklearn
    (made["pickle"] / "MLmodel").write_text(yaml.safe_dump(document))
    return made


def keras_lambda(shop):
    """Return a .keras file whose Lambda layer carries code, as keras writes it: JSON in a zip."""
    code = base64.b64encode(compile(shop.act, "lambda", "exec").co_code).decode()
    layer = {
        "class_name": "Lambda",
        "config": {
            "function": {"class_name": "__lambda__", "config": {"code": code, "defaults": None, "closure": None}}
        },
    }
    packed = io.BytesIO()
    with zipfile.ZipFile(packed, "w") as archive:
        archive.writestr("config.json", json.dumps({"class_name": "Sequential", "config": {"layers": [layer]}}))
        archive.writestr("metadata.json", json.dumps({"keras_version": "3.4.0"}))
    return shop.make(
        "keras",
        {"loader_module": "mlflow.keras.load", "data": "data"},
        {"data/model.keras": packed.getvalue()},
    )


@pytest.fixture(scope="module")
def told(shop, image):
    """One watched host process that tests every program by the whole gate."""
    words = ("--mlgate-suite", "schema", "--mlgate-output")
    folders = {name: (path, (*words, f"out-{n}")) for n, (name, path) in enumerate(programs(shop).items())}
    folders["keras lambda"] = (keras_lambda(shop), (*words, "out-keras"))
    conda = shop.make("conda")
    (conda / "requirements.txt").unlink()
    (conda / "conda.yaml").write_text(f"name: x\ndependencies: [{{pip: ['-e {shop.folder}', 'git+file:///etc']}}]\n")
    folders["conda.yaml"] = (conda, (*words, "out-conda"))
    unpinned = shop.make("setup", files={"setup.py": shop.act, "code/mlgate_attack.py": shop.act})
    (unpinned / "requirements.txt").write_text(f"mlflow\n-e {unpinned}\n./code\n")
    folders["requirements that run setup.py"] = (unpinned, (*words, "out-setup"))
    return watched(shop, folders)


def test_a_program_runs_in_the_sandbox_and_nowhere_else(told, shop, port):
    """The model object is the payload's own value: what answers has run it. On the host nothing was unpickled."""
    for name in ("pickle", "cloudpickle", "loader_module, gzip'd pickle, joblib and torch"):
        run = told["runs"][name]
        assert run["code"] == 0, f"{name}: {run['said']}"
        assert "schema.example" in run["said"]
    assert told["events"] == []
    assert told["late"] == []
    assert not shop.file.exists()
    assert port.visitors() == 0


def test_a_program_that_can_not_run_there_fails_by_name(told):
    """A Lambda layer needs keras, which the version does not ask for: named, and never looked into."""
    run = told["runs"]["keras lambda"]
    assert run["code"] == 1, run["said"]
    assert "keras" in run["said"]
    assert "environment.load" in run["said"]


@pytest.mark.parametrize(
    ("name", "words"),
    [("conda.yaml", "conda.yaml and no requirements.txt"), ("requirements that run setup.py", "-e ")],
)
def test_requirements_that_would_run_something_are_not_installed(told, name, words):
    """The version fails, with the line."""
    run = told["runs"][name]
    assert run["code"] == 1, run["said"]
    assert words in run["said"]


def test_the_payloads_are_live(shop, port):
    """Without this, the tests above could not fail: loaded on the host, each touches both canaries."""
    source = f"import pickle; pickle.loads({pickle.dumps(Payload(shop.act, '1'))!r})"
    subprocess.run([sys.executable, "-c", source], check=True)
    assert shop.file.exists()
    assert port.visitors() > 0
    shop.file.unlink()


def test_the_watch_sees_what_it_looks_for(shop):
    """An unpickling and a start of a program, in a process with the same hook."""
    script = shop.folder / "honest.py"
    source = HOST.read_text().replace(
        "    runs = {",
        "    import pickle, subprocess\n    pickle.loads(pickle.dumps(Exception))\n    subprocess.run(['true'])\n    runs = {",
    )
    script.write_text(source)
    done = subprocess.run(
        [sys.executable, str(script), str(shop.folder), str(shop.file)],
        input="{}",
        capture_output=True,
        text=True,
        check=True,
    )
    assert {"pickle.find_class", "subprocess.Popen"} <= {event for event, _ in json.loads(done.stdout)["events"]}


# --- directories that are none


def _fifo(path):
    os.mkfifo(path / "pipe")


def _device(path):
    os.mknod(path / "zeros", 0o20644, os.makedev(1, 5))


def _socket(path):
    with socket.socket(socket.AF_UNIX) as made:
        here = Path.cwd()
        os.chdir(path)  # a socket's path is short
        made.bind("sock")
        os.chdir(here)


def _many(path):
    (path / "f").touch()
    (path / "many").mkdir()
    for number in range(100_001):
        if number % 50_000 == 0:
            (path / "many" / f"source{number}").touch()
            source = path / "many" / f"source{number}"
        os.link(source, path / "many" / str(number))


def _deep(path):
    here = path
    for _ in range(70):
        here = here / "d"
        here.mkdir()


def _mlmodel(text):
    def write(path):
        (path / "MLmodel").write_text(text)

    return write


def _sparse(name, size):
    def write(path):
        with (path / name).open("wb") as file:
            file.truncate(size)

    return write


def _link(name, target):
    def write(path):
        (path / name).unlink(missing_ok=True)
        (path / name).symlink_to(target)

    return write


def _flavor(**keys):
    return _mlmodel(yaml.safe_dump({"flavors": {"python_function": {"loader_module": "x", **keys}}}))


LAUGHS = "a0: &a0 [x]\n" + "".join(f"a{n}: &a{n} [{', '.join([f'*a{n - 1}'] * 10)}]\n" for n in range(1, 12))
MALFORMED = {
    "pickled_model leaves the directory": (_flavor(pickled_model="../outside.pkl"), "not a path below"),
    "model_path is absolute": (_flavor(model_path="/etc/passwd"), "not a path below"),
    "code is the directory above": (_flavor(code=".."), "not a path below"),
    "the environment file is the host's": (_flavor(env={"conda": "/etc/shadow"}), "not a path below"),
    "a file is a link out": (_link("model.pkl", "/etc/passwd"), "symbolic link"),
    "a folder is a link out": (_link("code", "/root"), "symbolic link"),
    "requirements.txt is a link": (_link("requirements.txt", "/etc/hostname"), "symbolic link"),
    "MLmodel is a link": (_link("MLmodel", "/etc/hostname"), "symbolic link"),
    "a link under the name that MLflow uses": (_link("registered_model_meta", "/etc/passwd"), "symbolic link"),
    "a fifo": (_fifo, "neither a file nor a folder"),
    "a device": (_device, "neither a file nor a folder"),
    "a socket": (_socket, "neither a file nor a folder"),
    "a hundred thousand files": (_many, "more than 100000 files"),
    "seventy folders deep": (_deep, "deeper than 64"),
    "a name with a newline": (lambda path: (path / "a\nb").touch(), "printable"),
    "a name that colours the terminal": (lambda path: (path / "\x1b[31mred").touch(), "printable"),
    "a name that is no text": (lambda path: Path(os.fsdecode(os.fsencode(path) + b"/\xff")).touch(), "printable"),
    "a name with a backslash": (lambda path: (path / "..\\..\\x").touch(), "printable"),
    "an MLmodel of 100 MB": (_sparse("MLmodel", 100 << 20), "larger than"),
    "anchors that explode": (_mlmodel(LAUGHS), "anchor"),
    "YAML ten thousand deep": (_mlmodel("a: " + "[" * 10_000 + "]" * 10_000), "deeper than"),
    "a YAML tag that calls": (_mlmodel("a: !!python/object/apply:os.system ['touch /tmp/x']"), "tag"),
    "an MLmodel that is no text": (lambda path: (path / "MLmodel").write_bytes(os.urandom(4096)), "not plain YAML"),
    "requirements.txt of 50 MB": (_sparse("requirements.txt", 50 << 20), "larger than"),
    "an example of 100 MB": (_sparse("serving_input_example.json", 100 << 20), "larger than"),
    "a Python version that is a command": (
        lambda path: (path / "python_env.yaml").write_text("python: '3.11; touch /tmp/x'\n"),
        "not a Python version",
    ),
    "a signature ten thousand deep": (
        _mlmodel(
            yaml.safe_dump(
                {"flavors": {"python_function": {"loader_module": "x"}}, "signature": {"inputs": "[" * 10_000}}
            )
        ),
        "signature",
    ),
}


@pytest.fixture(scope="module")
def refusals(shop):
    """One watched host process that is given every malformed directory."""
    folders = {}
    for number, (name, (spoil, _)) in enumerate(MALFORMED.items()):
        path = shop.make(f"bad{number}")
        spoil(path)
        folders[name] = (path, ())
    told = watched(shop, folders)
    for number in range(len(MALFORMED)):
        shutil.rmtree(shop.folder / f"bad{number}")
    return told


@pytest.mark.parametrize("name", MALFORMED)
def test_a_directory_that_is_none_gets_one_line(refusals, name):
    """Exit status 4 for what is wrong with the input; no traceback, no escape sequence, and no container."""
    run = refusals["runs"][name]
    lines = [line for line in run["said"].splitlines() if line.strip()]
    assert run["code"] == 4, run["said"]
    assert len(lines) == 1, lines
    assert MALFORMED[name][1] in lines[0]
    assert "\x1b[31mred" not in run["said"]
    assert len(lines[0]) < 1000


def test_reading_malformed_directories_ran_nothing(refusals, shop, port):
    """And left nothing in the cache."""
    assert refusals["events"] == []
    assert refusals["late"] == []
    assert not shop.file.exists()
    assert port.visitors() == 0
    assert list((shop.folder / "cache" / "models").glob(".fetch-*")) == []


# --- directories that are odd, and read


def test_a_hard_link_is_copied_and_the_hosts_file_is_not_the_models(shop):
    """What is mounted is a copy: nothing that happens to it reaches the file it shares its bytes with."""
    from mlgate.artifacts.cache import fetch
    from mlgate.model_version import ModelUri
    from mlgate.registry.memory import MemoryRegistry

    secret = shop.folder / "secret"
    secret.write_text("swordfish")
    path = shop.make("hardlink", files={"code/mlgate_attack.py": "x = 1"})
    os.link(secret, path / "linked")
    registry = MemoryRegistry()
    found = fetch(registry, registry.resolve(ModelUri.parse(str(path))), shop.folder / "cache")
    assert (found.path / "linked").stat().st_nlink == 1
    assert (found.path / "linked").stat().st_ino != secret.stat().st_ino
    assert secret.stat().st_mode & 0o777 != 0


def test_a_folder_under_the_name_of_mlflows_note_is_the_models(shop):
    """Only a file of that name is MLflow's."""
    from mlgate.artifacts.cache import fetch
    from mlgate.model_version import ModelUri
    from mlgate.registry.memory import MemoryRegistry

    registry = MemoryRegistry()
    path = shop.make("note", files={"registered_model_meta/x": "1"})
    found = fetch(registry, registry.resolve(ModelUri.parse(str(path))), shop.folder / "cache")
    assert (found.path / "registered_model_meta" / "x").exists()


@pytest.mark.parametrize(
    "example",
    [
        "[" * 100_000,
        '{"dataframe_split": ' + "[" * 50_000 + "]" * 50_000 + "}",
        '{"inputs": [1' + "0" * 5000 + "]}",
        '{"dataframe_split": {"columns": ["x"], "data": [[1e999], [NaN], ["\\ud800"]]}}',
        '{"dataframe_split": 7}',
        '{"inputs": {"x": null}}',
    ],
    ids=["open", "deep", "a number of 5 000 digits", "no numbers", "no table", "null"],
)
def test_an_example_that_is_a_bomb_is_no_example(shop, example):
    """It is read as far as it says something, and never breaks the run."""
    from mlgate.artifacts.directory import read_directory
    from mlgate.generation.input_space import example_batch

    path = shop.folder / "example" / "model"
    if not path.exists():
        shop.make("example")
    (path / "serving_input_example.json").write_text(example)
    found = read_directory(path)
    example_batch(found.serving_example)

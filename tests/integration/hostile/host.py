"""A host process that is watched: `python host.py ROOT DIR …` tests each directory by the gate, and tells what it did itself.

Prints one JSON object: exit status and output of each run, and every event of the interpreter that an honest host never causes.
"""

import contextlib
import io
import json
import sys

ROOT, CANARY = sys.argv[1:3]
EVENTS = []
# Ours may start these, and nothing else: the watchdog, the address of this machine for MLflow, the container engine's helpers.
HONEST = ("mlgate.sandbox.watchdog", "uname", "git")


def watch(event, arguments):
    told = ""
    if event == "pickle.find_class" or event in {"os.system", "os.exec", "os.posix_spawn", "os.fork"}:
        told = repr(arguments)
    elif event == "subprocess.Popen":
        command = " ".join(map(str, arguments[1]))
        told = "" if any(word in command for word in HONEST) else command
    elif event == "marshal.loads" and CANARY.encode() in bytes(arguments[0]):
        told = "the payload"
    elif event == "import" and (
        "mlgate_attack" in arguments[0] or ROOT in str(arguments[1]) or "/sha256/" in str(arguments[1])
    ):
        told = repr(arguments[:2])
    elif event == "exec":
        name = str(getattr(arguments[0], "co_filename", ""))
        told = name if ROOT in name or "/sha256/" in name else ""
    elif event == "compile" and (ROOT in str(arguments[1]) or "/sha256/" in str(arguments[1])):
        told = str(arguments[1])
    if told:
        EVENTS.append([event, told[:300]])


def run(folder, words):
    import pytest

    said = io.StringIO()
    with contextlib.redirect_stdout(said), contextlib.redirect_stderr(said):
        code = pytest.main(["-p", "no:locust", "-p", "no:cacheprovider", "--mlgate", folder, *words])
    return {"code": int(code), "said": said.getvalue()}


def main():
    folders = json.loads(sys.stdin.read())
    import mlflow  # before the watch: its own tools start a process or two
    import pytest

    del mlflow, pytest
    before = set(sys.modules)
    sys.addaudithook(watch)
    runs = {name: run(folder, words) for name, (folder, words) in folders.items()}
    late = {name.split(".")[0] for name in set(sys.modules) - before}
    watched = sorted(late & {"cloudpickle", "joblib", "torch", "keras", "sklearn", "skops"})
    print(json.dumps({"runs": runs, "events": EVENTS, "late": watched}))


if __name__ == "__main__":
    main()

"""The lock in a file beside a store without a server: several processes, and what is left of them."""

import json
import os
import signal
import subprocess
import sys
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from types import SimpleNamespace

import pytest

from mlgate.errors import LockedError, RegistryError
from mlgate.locking.file_lock import StoreFileLock
from mlgate.locking.lock import keeper, lock_for, this_process
from mlgate.locking.registry_lock import RegistryLock
from mlgate.registry.memory import MemoryRegistry
from mlgate.registry.mlflow import MlflowRegistry
from mlgate.registry.urls import store_file

ROOT = Path(__file__).parents[3]
HOLD = """
import sys
from pathlib import Path
from mlgate.locking.file_lock import StoreFileLock
held = StoreFileLock(Path(sys.argv[1])).acquire("churn", holder="the other", expiry_s=60)
print("held", flush=True)
sys.stdin.readline()
"""
# Each round of each thread tries once; the winner stays until all have tried, so that nobody comes too late to be refused.
CONTEND = """
import sys, threading
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from mlgate.errors import LockedError
from mlgate.locking.file_lock import StoreFileLock
lock = StoreFileLock(Path(sys.argv[1]))
def one(_):
    try:
        held = lock.acquire("churn", holder="one of many")
    except LockedError:
        return None
    held.check()
    return held
for line in sys.stdin:
    with ThreadPoolExecutor(10) as pool:
        got = [held for held in pool.map(one, range(10)) if held]
    print(len(got), flush=True)
    sys.stdin.readline()
    for held in got:
        held.check()
        held.release()
    print("released", flush=True)
"""


@pytest.fixture
def store(tmp_path):
    file = tmp_path / "mlflow.db"
    file.touch()
    return file


@pytest.fixture
def start(store):
    """Start a program in a process of its own."""
    started = []

    def go(program):
        process = subprocess.Popen(
            [sys.executable, "-c", program, store], cwd=ROOT, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True
        )
        started.append(process)
        return process

    yield go
    for process in started:
        process.kill()
        process.communicate(timeout=30)


def test_another_process_has_it(store, start):
    """Who, since when, until when, and in which file."""
    assert start(HOLD).stdout.readline() == "held\n"
    with pytest.raises(
        LockedError, match=r"churn: locked by the other since 20\d\d-.*Z, until 20.*mlflow.db.mlgate-lock-churn"
    ):
        StoreFileLock(store).acquire("churn", holder="me")
    StoreFileLock(store).acquire("other", holder="me").check()


def test_a_killed_process_blocks_nobody(store, start):
    """The kernel gives it back."""
    process = start(HOLD)
    assert process.stdout.readline() == "held\n"
    process.send_signal(signal.SIGKILL)
    process.wait(30)
    held = StoreFileLock(store).acquire("churn", holder="me")
    held.check()
    held.release()
    StoreFileLock(store).acquire("churn", holder="me again").check()


def test_of_fifty_in_five_processes_one_gets_it_each_round(store, start):
    """Twenty rounds."""
    processes = [start(CONTEND) for _ in range(5)]
    for _ in range(20):
        for step, expected in (("try", None), ("release", ["released\n"] * 5)):
            for process in processes:
                process.stdin.write(f"{step}\n")
                process.stdin.flush()
            answers = [process.stdout.readline() for process in processes]
            assert expected in (None, answers)
            if expected is None:
                assert sorted(answers) == ["0\n"] * 4 + ["1\n"]


def test_threads_exclude_each_other_too(store):
    """Each taking has a file descriptor of its own."""
    lock = StoreFileLock(store)

    def one(number):
        try:
            return lock.acquire("churn", holder=str(number))
        except LockedError:
            return None

    with ThreadPoolExecutor(20) as pool:
        held = [held for held in pool.map(one, range(20)) if held]
    assert len(held) == 1
    held[0].check()


def test_a_holder_beyond_its_time_may_not_write_and_is_not_pushed_aside(store):
    """It lives, so that only a person can tell whether it will ever go on."""
    now = 0.0
    held = StoreFileLock(store, clock=lambda: now).acquire("churn", holder="slow", expiry_s=60)
    now = 59.0
    held.check()
    now = 60.0
    with pytest.raises(LockedError, match="longer than the lock lasts"):
        held.check()
    with pytest.raises(LockedError, match="slow"):
        StoreFileLock(store).acquire("churn", holder="next")


def test_a_lock_file_that_is_deleted_is_noticed(store):
    """Two have a lock then, and only one of them passes its check."""
    lock = StoreFileLock(store)
    first = lock.acquire("churn", holder="first")
    lock.path("churn").unlink()
    second = lock.acquire("churn", holder="second")
    second.check()
    with pytest.raises(LockedError, match=r"second.*deleted"):
        first.check()
    first.release()
    second.check()


@pytest.mark.parametrize(
    "said", ["", "[]", "{", '{"holder": 7, "since": "x"}', '{"holder": "a", "since": 1e30, "until": NaN}']
)
def test_what_a_holder_left_is_not_believed(store, said):
    """Half a file, another's, none."""
    lock = StoreFileLock(store)
    held = lock.acquire("churn", holder="me")
    (store.parent / "mlflow.db.mlgate-lock-churn~holder").write_text(said)
    with pytest.raises(LockedError, match="churn: locked by"):
        lock.acquire("churn", holder="you")
    with pytest.raises(LockedError):
        held.check()


def test_one_store_has_one_lock_by_whatever_path(store, tmp_path, monkeypatch):
    """A link, and a path from the working directory."""
    (tmp_path / "link.db").symlink_to(store)
    monkeypatch.chdir(tmp_path)
    held = StoreFileLock(Path("mlflow.db")).acquire("churn", holder="me")
    with pytest.raises(LockedError):
        StoreFileLock(tmp_path / "link.db").acquire("churn", holder="you")
    monkeypatch.chdir("/")
    held.check()
    held.release()
    assert (
        json.dumps(sorted(path.name for path in tmp_path.iterdir()))
        == '["link.db", "mlflow.db", "mlflow.db.mlgate-lock-churn"]'
    )


def test_whoever_may_write_the_store_may_lock_it(store):
    """A group that shares a database shares its locks."""
    store.chmod(0o660)
    lock = StoreFileLock(store)
    lock.acquire("churn", holder="me")
    assert lock.path("churn").stat().st_mode & 0o777 == 0o660


def test_a_store_that_is_not_there_can_not_be_locked(tmp_path):
    """One line, and nothing written."""
    with pytest.raises(RegistryError, match="can not be locked"):
        StoreFileLock(tmp_path / "none" / "mlflow.db").acquire("churn", holder="me")
    assert not list(tmp_path.iterdir())


@pytest.mark.parametrize(
    ("uri", "file"),
    [
        ("sqlite:////srv/mlflow.db", "/srv/mlflow.db"),
        ("sqlite:///mlflow.db?timeout=5", "mlflow.db"),
        ("sqlite+pysqlite:////srv/a b.db", "/srv/a b.db"),
        ("file:///srv/mlruns%20old", "/srv/mlruns old"),
        ("/srv/mlruns", "/srv/mlruns"),
        ("mlruns", "mlruns"),
        ("sqlite://", None),
        ("sqlite:///:memory:", None),
        ("https://registry/", None),
        ("postgresql+psycopg2://u:p@host/mlflow", None),
        ("databricks", None),
        ("", None),
    ],
)
def test_which_stores_are_files_of_this_machine(uri, file):
    """A database server and a tracking server are somewhere else."""
    assert store_file(uri) == (None if file is None else Path(file))


def test_a_file_for_a_file_and_markers_for_the_rest(tmp_path):
    """Whoever shares the store shares the lock."""
    assert isinstance(keeper(MlflowRegistry(f"sqlite:///{tmp_path}/mlflow.db")), StoreFileLock)
    for uri in ("http://registry", "postgresql://registry/mlflow"):
        assert isinstance(keeper(MlflowRegistry("http://tracking", uri)), RegistryLock)
    assert isinstance(keeper(MemoryRegistry()), RegistryLock)


def test_the_holder_is_the_job_or_the_process(store):
    """What a person needs to find it."""
    job = {"GITLAB_USER_LOGIN": "ann", "CI_JOB_URL": "https://gitlab/mlgate/-/jobs/7"}
    assert this_process(job) == "ann in https://gitlab/mlgate/-/jobs/7"
    assert this_process({}).endswith(f", process {os.getpid()}")
    registry = SimpleNamespace(store_file=store)
    with (
        lock_for(registry, "churn"),
        pytest.raises(LockedError, match=f"process {os.getpid()} since"),
        lock_for(registry, "churn"),
    ):
        pass

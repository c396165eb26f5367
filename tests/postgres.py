"""Debian's PostgreSQL for tests: a cluster in a temporary folder, reached by a socket that only this machine has."""

import os
import pwd
import shutil
import subprocess
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest

START_TIMEOUT_S = 60
# Nothing here outlives the tests, so nothing has to reach a disk.
_SETTINGS = (
    "-c listen_addresses='' -c fsync=off -c synchronous_commit=off -c full_page_writes=off -c max_connections=200"
)


@contextmanager
def running_postgres() -> Iterator[str]:
    """Run a PostgreSQL server of our own, and give the SQLAlchemy address of its empty database `mlflow`.

    Missing programs fail the test; they do not skip it.
    """
    programs = _programs()
    # Not pytest's own folder: that one belongs to root alone, and a socket's path may have 107 bytes.
    folder = Path(tempfile.mkdtemp(prefix="mlgate-pg-", dir="/tmp"))
    user = _unprivileged()
    try:
        if user is not None:
            shutil.chown(folder, user)
        data = folder / "data"
        _run(user, programs / "initdb", "-D", data, "-U", "mlflow", "-A", "trust", "-E", "UTF8", "--no-sync")
        start = ["-w", "-t", START_TIMEOUT_S, "-l", folder / "log.txt", "-o", f"{_SETTINGS} -k {folder}", "start"]
        _run(user, programs / "pg_ctl", "-D", data, *start)
        try:
            _run(user, programs / "createdb", "-h", folder, "-U", "mlflow", "mlflow")
            yield f"postgresql+psycopg2://mlflow@/mlflow?host={folder}"
        finally:
            _run(user, programs / "pg_ctl", "-D", data, "-w", "-m", "immediate", "stop")
    finally:
        shutil.rmtree(folder, ignore_errors=True)


def _programs() -> Path:
    # Debian keeps them off the path, one folder a version.
    found = sorted(Path("/usr/lib/postgresql").glob("*/bin/initdb"), key=lambda path: float(path.parts[4]))
    initdb = found[-1] if found else shutil.which("initdb")
    if initdb is None:
        pytest.fail("PostgreSQL is missing: run .ci/postgres")
    return Path(initdb).parent


def _unprivileged() -> str | None:
    """Return the user to run as: PostgreSQL refuses root. `None` for who we are."""
    if os.getuid() != 0:
        return None
    try:
        return pwd.getpwnam("postgres").pw_name  # Debian's package makes it
    except KeyError:
        return "nobody"


def _run(user: str | None, *words: object) -> None:
    # A file and no pipe: the server inherits the output of the pg_ctl that starts it, and keeps a pipe open.
    with tempfile.TemporaryFile() as output:
        done = subprocess.run(
            [str(word) for word in words],
            cwd="/", user=user, stdin=subprocess.DEVNULL, stdout=output, stderr=output, check=False, timeout=120,
        )  # fmt: skip
        output.seek(0)
        told = output.read().decode(errors="replace")
    if done.returncode:
        pytest.fail(f"{Path(str(words[0])).name} ended with {done.returncode}: {told[-1000:]}")

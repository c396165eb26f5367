"""The endpoint of `planted_bugs.py` as its peers are told of it: plain hypothesis, one row a request, and Schemathesis."""

import json
import subprocess
import sys
import time
from datetime import datetime, timedelta
from pathlib import Path

import requests
from hypothesis import HealthCheck, Phase, given, seed, settings
from hypothesis import strategies as st
from planted_bugs import COLUMNS, NAMES

from mlgate.artifacts.signature import DataType

SCHEMATHESIS = "schemathesis==4.32.5"
FIRST_DAY = datetime(2015, 1, 1)  # noqa: DTZ001  (the endpoint's dates have no zone)
DAYS = 16 * 365
INT32 = (-(2**31), 2**31 - 1)


def strategy(kind: DataType, rule) -> st.SearchStrategy:
    """Return hypothesis' own strategy of a column, with the same bounds as ours."""
    if rule is not None and rule.values is not None:
        return st.sampled_from(rule.values)
    match kind:
        case DataType.BOOLEAN:
            return st.booleans()
        case DataType.LONG | DataType.INTEGER:
            return st.integers(int(rule.min), int(rule.max))
        case DataType.DATETIME:
            return st.datetimes(FIRST_DAY, FIRST_DAY + timedelta(days=DAYS)).map(datetime.isoformat)
        case DataType.STRING:
            return st.text(min_size=rule.min_length or 0, max_size=rule.max_length)
        case _:
            return st.floats(rule.min, rule.max, width=32 if kind is DataType.FLOAT else 64)


def given_rows(url: str, rows: int, start: int) -> float:
    """Send *rows* rows, one a request, on one connection; return rows a second."""
    session = requests.Session()
    session.trust_env = False
    sent = 0

    @seed(start)
    @settings(
        max_examples=rows,
        database=None,
        deadline=None,
        phases=[Phase.generate],
        suppress_health_check=list(HealthCheck),
    )
    @given(st.fixed_dictionaries({name: strategy(kind, rule) for name, kind, rule in COLUMNS}))
    def ask(row: dict) -> None:
        nonlocal sent
        answer = session.post(f"{url}/invocations", json={"dataframe_records": [row]}, timeout=10)
        assert answer.status_code == 200
        sent += 1

    began = time.perf_counter()
    ask()
    return sent / (time.perf_counter() - began)


def json_schema(kind: DataType, rule) -> dict:
    """Return a column as OpenAPI says it."""
    if rule is not None and rule.values is not None:
        return {"type": "string", "enum": list(rule.values)}
    match kind:
        case DataType.BOOLEAN:
            return {"type": "boolean"}
        case DataType.LONG | DataType.INTEGER:
            return {"type": "integer", "minimum": int(rule.min), "maximum": int(rule.max)}
        case DataType.DATETIME:
            return {"type": "string", "format": "date-time"}
        case DataType.STRING:
            return {"type": "string", "minLength": rule.min_length or 0, "maxLength": rule.max_length}
        case _:
            return {"type": "number", "minimum": rule.min, "maximum": rule.max}


def openapi() -> dict:
    """Return the endpoint's description: one row or more in a request, up to as many as ours sends."""
    row = {
        "type": "object",
        "required": list(NAMES),
        "additionalProperties": False,
        "properties": {name: json_schema(kind, rule) for name, kind, rule in COLUMNS},
    }
    body = {
        "type": "object",
        "required": ["dataframe_records"],
        "additionalProperties": False,
        "properties": {"dataframe_records": {"type": "array", "minItems": 1, "maxItems": 500, "items": row}},
    }
    operation = {
        "requestBody": {"required": True, "content": {"application/json": {"schema": body}}},
        "responses": {"200": {"description": "predictions"}, "400": {"description": "refused, or the model raised"}},
    }
    return {
        "openapi": "3.0.3",
        "info": {"title": "a model", "version": "1"},
        "paths": {"/invocations": {"post": operation}},
    }


def install(folder: Path) -> Path:
    """Install Schemathesis into an environment below *folder*; return its command.

    Not into the project's: as a pytest plugin it would load with every test there.
    """
    uv = [sys.executable, "-m", "uv"]
    subprocess.run([*uv, "venv", "--quiet", "--python", sys.executable, folder / "peer"], check=True)
    python = folder / "peer/bin/python"
    subprocess.run([*uv, "pip", "install", "--quiet", "--python", python, SCHEMATHESIS], check=True)
    (folder / "openapi.json").write_text(json.dumps(openapi()))
    return folder / "peer/bin/schemathesis"


def schemathesis_rows(command: Path, url: str, cases: int, start: int) -> float:
    """Send so many generated valid requests; return rows a second between the server's first and last of them.

    Only that its answers are no 5xx is checked: nothing that takes time on top of sending.
    """
    run = [str(command), "run", "openapi.json", "--url", url, "--phases", "fuzzing", "--mode", "positive"]
    run += ["--max-examples", str(cases), "--seed", str(start), "--checks", "not_a_server_error"]
    traffic(url)
    done = subprocess.run(run, cwd=command.parents[2], check=False, capture_output=True, text=True)
    came = traffic(url)
    if done.returncode or not came["rows"]:
        sys.exit(f"Schemathesis did not pass on an endpoint that has no bug:\n{done.stdout[-3000:]}")
    return came["rows"] / came["seconds"]


def traffic(url: str) -> dict:
    """Return what came to *url* since it was last asked."""
    return dict(requests.get(f"{url}/rows", timeout=10).json())

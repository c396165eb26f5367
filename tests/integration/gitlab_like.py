"""A small server with the routes of GitLab's MLflow-compatible registry, and none of the others.

After GitLab's own API code (lib/api/ml/mlflow, lib/api/ml/mlflow_artifacts, lib/api/ml_model_packages.rb): versions have no tags that
can be set and no aliases, are not searched, and are runs themselves; runs are found by experiment and nothing else; a run's
files go into a package without folders; what is not there is answered without MLflow's error codes.
"""

import itertools
import json
import re
import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import Any
from urllib.parse import parse_qs, unquote, urlparse

PREFIX = "/api/v4/projects/7/ml/mlflow/api/2.0"
PACKAGES = "/api/v4/projects/7/packages/ml_models"
TOKEN = "glpat-swordfish"


class NotMlflows(Exception):
    """An answer of the API around it."""

    def __init__(self, status: int, words: str) -> None:
        super().__init__(words)
        self.status = status


class Mlflows(Exception):
    """An answer with one of MLflow's codes."""


class Project:
    """What the server knows."""

    def __init__(self) -> None:
        self.models: dict[str, dict[str, dict[str, Any]]] = {}
        self.experiments: dict[str, str] = {}
        self.runs: dict[str, dict[str, Any]] = {}
        self.files: dict[str, bytes] = {}
        self.asked: list[str] = []
        self._ids = itertools.count(11)

    def add(self, name: str, folder: Path) -> str:
        """Register the files directly in *folder* as a version of *name*; return its number."""
        number = str(next(self._ids))
        run = self.new_run("0", [], f"{name} {number}")
        version = {"name": name, "version": number, "run_id": run, "current_stage": "development", "description": ""}
        self.models.setdefault(name, {})[number] = {**version, "source": "", "status": "READY", "tags": []}
        for path in folder.iterdir():
            if path.is_file():
                self.files[f"version:{number}/{path.name}"] = path.read_bytes()
        return number

    def new_run(self, experiment_id: str, tags: list[dict[str, str]], name: str) -> str:
        """Make a run."""
        run_id = str(next(self._ids))
        self.runs[run_id] = {
            "info": {
                "run_id": run_id, "run_uuid": run_id, "experiment_id": experiment_id, "start_time": int(time.time() * 1000),
                "run_name": name, "status": "RUNNING", "lifecycle_stage": "active", "user_id": "1",
                "artifact_uri": f"{{host}}{PACKAGES}/experiment/candidate:{run_id}/",
            },
            "data": {"metrics": [], "params": [], "tags": list(tags)},
        }  # fmt: skip
        return run_id

    def experiment(self, experiment_id: str) -> dict[str, Any]:
        """Return an experiment as MLflow's client reads it."""
        if experiment_id not in self.experiments:
            raise Mlflows("RESOURCE_DOES_NOT_EXIST")
        name = self.experiments[experiment_id]
        return {"experiment_id": experiment_id, "name": name, "lifecycle_stage": "active", "artifact_location": "not_implemented"}  # fmt: skip

    def version(self, asked: dict[str, Any]) -> dict[str, Any]:
        """Return a version."""
        try:
            return self.models[asked["name"]][asked["version"]]
        except KeyError:
            raise Mlflows("RESOURCE_DOES_NOT_EXIST") from None

    def model(self, asked: dict[str, Any]) -> dict[str, Any]:
        """Return a registered model with its newest version."""
        if asked.get("name") not in self.models:
            raise Mlflows("RESOURCE_DOES_NOT_EXIST")
        found = list(self.models[asked["name"]].values())
        return {"name": asked["name"], "description": "", "latest_versions": found[-1:]}

    def run(self, asked: dict[str, Any]) -> dict[str, Any]:
        """Return a run."""
        if asked.get("run_id") not in self.runs:
            raise Mlflows("RESOURCE_DOES_NOT_EXIST")
        return self.runs[asked["run_id"]]

    def answer(self, method: str, route: str, asked: dict[str, Any]) -> Any:  # noqa: PLR0912 - one case a route
        """Answer one request of MLflow's client."""
        match f"{method} {route}":
            case "GET /mlflow/registered-models/get":
                return {"registered_model": self.model(asked)}
            case "GET /mlflow/registered-models/search":
                return {"registered_models": [self.model({"name": name}) for name in self.models]}
            case "GET /mlflow/registered-models/alias":  # an alias is the version's number to it
                return {"model_version": self.version({**asked, "version": asked.get("alias")})}
            case "GET /mlflow/model-versions/get":
                return {"model_version": self.version(asked)}
            case "GET /mlflow/model-versions/get-download-uri":
                return {"artifact_uri": f"mlflow-artifacts:{asked['version']}"}
            case "PATCH /mlflow/model-versions/update":
                self.version(asked)["description"] = asked["description"]
                return {"model_version": self.version(asked)}
            case "POST /mlflow/experiments/create":
                if asked["name"] in self.experiments.values():
                    raise Mlflows("RESOURCE_ALREADY_EXISTS")
                made = str(len(self.experiments) + 1)
                self.experiments[made] = asked["name"]
                return {"experiment_id": made}
            case "GET /mlflow/experiments/get":
                return {"experiment": self.experiment(asked["experiment_id"])}
            case "GET /mlflow/experiments/get-by-name":
                known = {name: found for found, name in self.experiments.items()}
                return {"experiment": self.experiment(known.get(asked.get("experiment_name"), ""))}
            case "POST /mlflow/experiments/search":
                return {"experiments": [self.experiment(found) for found in self.experiments]}
            case "POST /mlflow/runs/create":
                made = self.new_run(asked["experiment_id"], asked.get("tags", []), asked.get("run_name", ""))
                return {"run": self.runs[made]}
            case "GET /mlflow/runs/get":
                return {"run": self.run(asked)}
            case "POST /mlflow/runs/update":
                self.run(asked)["info"].update({key: asked[key] for key in ("status", "end_time") if key in asked})
                return {"run_info": self.run(asked)["info"]}
            case "POST /mlflow/runs/search":
                if isinstance(asked.get("order_by"), list):  # it takes one text, and MLflow's client sends a list
                    raise NotMlflows(400, "order_by is invalid")
                runs = [run for run in self.runs.values() if run["info"]["experiment_id"] == asked["experiment_ids"][0]]
                return {"runs": runs}
            case "POST /mlflow/runs/log-batch":
                for kind in ("metrics", "params", "tags"):
                    self.run(asked)["data"][kind] += asked.get(kind, [])
                return {}
            case "GET /mlflow-artifacts/artifacts":
                number, _, below = asked.get("path", "").partition("/")
                own = [] if below else [name for name in self.files if name.startswith(f"version:{number}/")]
                listed = ((name.partition("/")[2], self.files[name]) for name in own)
                return {"files": [{"path": name, "is_dir": False, "file_size": len(raw)} for name, raw in listed]}
        if route == "/mlflow/registered-models/alias":
            raise NotMlflows(405, "405 Not Allowed")
        raise NotMlflows(404, "404 Not Found")


class _Handler(BaseHTTPRequestHandler):
    protocol_version = "HTTP/1.1"

    def __getattr__(self, name: str) -> Any:
        """Serve every method: the library looks for `do_GET` and so on."""
        if name.startswith("do_"):
            return self._serve
        raise AttributeError(name)

    def log_message(self, *args: Any) -> None:
        """Say nothing."""

    def _serve(self) -> None:
        body = self.rfile.read(int(self.headers.get("Content-Length") or 0))
        url = urlparse(self.path)
        project: Project = self.server.project  # type: ignore[attr-defined]
        project.asked.append(f"{self.command} {url.path}")
        if self.headers.get("Authorization") != f"Bearer {TOKEN}":
            return self._send(401, json.dumps({"message": "401 Unauthorized"}).encode())
        path = unquote(url.path)
        if path.startswith(f"{PACKAGES}/"):
            return self._file(path.removeprefix(PACKAGES), body)
        if match := re.fullmatch(rf"{PREFIX}/mlflow-artifacts/artifacts/(\d+)/(.+)", path):
            raw = project.files.get(f"version:{match[1]}/{match[2]}")
            return self._send(404 if raw is None else 200, b'{"message":"404 Not found"}' if raw is None else raw)
        asked = json.loads(body) if body else {key: values[0] for key, values in parse_qs(url.query).items()}
        try:
            told = json.dumps(project.answer(self.command, path.removeprefix(PREFIX), asked))
        except Mlflows as error:
            return self._send(404, json.dumps({"error_code": str(error)}).encode())
        except NotMlflows as error:
            return self._send(error.status, json.dumps({"error": str(error)}).encode())
        host = f"http://{self.headers['Host']}"
        return self._send(200, told.replace("{host}", host).encode())

    def _file(self, name: str, body: bytes) -> None:
        files = self.server.project.files  # type: ignore[attr-defined]
        # /<package>/<version>/<file>, and nothing deeper.
        if len(re.sub("/+", "/", name).strip("/").split("/")) != 3:
            return self._send(400, b'{"error":"package_version is invalid"}')
        name = re.sub("/+", "/", name)
        if self.command == "PUT":
            files[name] = body
            return self._send(201, b'{"message":"201 Created"}')
        return self._send(200, files[name]) if name in files else self._send(404, b'{"message":"404 Not found"}')

    def _send(self, status: int, body: bytes) -> None:
        self.send_response(status)
        self.send_header("Content-Type", "application/json")
        self.send_header("Content-Length", str(len(body)))
        self.end_headers()
        self.wfile.write(body)


@contextmanager
def gitlab_like() -> Iterator[tuple[str, Project]]:
    """Serve an empty project; give its tracking URI and what it knows."""
    server = ThreadingHTTPServer(("127.0.0.1", 0), _Handler)
    server.daemon_threads = True
    server.project = project = Project()  # type: ignore[attr-defined]
    threading.Thread(target=server.serve_forever, daemon=True).start()
    try:
        yield f"http://127.0.0.1:{server.server_port}{PREFIX.removesuffix('/api/2.0')}", project
    finally:
        server.shutdown()
        server.server_close()

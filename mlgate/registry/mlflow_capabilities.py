"""What a server that speaks MLflow's language has a place for, asked without writing: some have half of it.

A write is asked for without saying what to write: a server that has it complains about that, one that has not says 404.
"""

import json
from collections.abc import Mapping
from types import MappingProxyType
from typing import Any
from urllib.parse import urlparse

from mlgate.registry import mlflow_http as http
from mlgate.registry.interface import Capability
from mlgate.registry.mlflow_lookup import ABSENT, error_code

YES = "yes"
_NO = "no: "
_UNKNOWN = "unknown: "
_TIMEOUT_S = 5
_API = "/api/2.0/mlflow"
_ROUTES: Mapping[Capability, tuple[str, str, dict[str, Any]]] = MappingProxyType({
    Capability.TAGS: ("POST", f"{_API}/model-versions/set-tag", {"json": {}}),
    Capability.ALIASES: ("POST", f"{_API}/registered-models/alias", {"json": {}}),
    Capability.WEBHOOKS: ("GET", f"{_API}/webhooks", {"params": {"max_results": 1}}),
    Capability.ARTIFACT_PROXY: ("GET", "/api/2.0/mlflow-artifacts/artifacts", {"params": {"path": "mlgate-probe"}}),
})  # fmt: skip
# Not Found, Method Not Allowed, Not Implemented.
_NO_ROUTE = frozenset({404, 405, 501})
_DISABLED = 503  # how MLflow says that it was started without --serve-artifacts


def probe(capability: Capability, tracking_uri: str, registry_uri: str) -> str:
    """Return `yes`, `no: …` or `unknown: …`; nothing is written, and nothing is raised."""
    uri = tracking_uri if capability is Capability.ARTIFACT_PROXY else registry_uri
    scheme = urlparse(uri).scheme
    if scheme not in ("http", "https"):
        return _without_server(capability, scheme)
    from mlflow.utils.credentials import get_default_host_creds  # noqa: PLC0415 - slow
    from mlflow.utils.rest_utils import http_request  # noqa: PLC0415 - slow

    method, route, asked = _ROUTES[capability]
    try:
        answer = http_request(
            get_default_host_creds(uri),
            route,
            method,
            max_retries=0,
            timeout=_TIMEOUT_S,
            raise_on_status=False,
            **asked,
        )
        return judge(capability, answer.status_code, answer.text[:10_000])
    except Exception as error:  # noqa: BLE001 - whatever the server did, it is no reason to stop
        return f"{_UNKNOWN}{http.in_short(error)}"


def judge(capability: Capability, status: int, body: str) -> str:
    """Return what an answer to a probe says of *capability*. Pure."""
    code = _error_code(body)
    if code in ("ENDPOINT_NOT_FOUND", "NOT_IMPLEMENTED") or (not code and status in _NO_ROUTE):
        return f"{_NO}HTTP {status}"
    if status == _DISABLED and capability is Capability.ARTIFACT_PROXY:
        return f"{_NO}mlflow server runs without --serve-artifacts"
    if status < 500 and status not in (401, 403, 429):  # a complaint about what was asked is an answer of the route
        return YES if body.lstrip().startswith("{") else f"{_UNKNOWN}HTTP {status} without JSON"
    return f"{_UNKNOWN}HTTP {status}"


def absent(answer: str) -> bool:
    """Return whether an answer of `probe` says that there is none: not knowing is not enough to refuse."""
    return answer.startswith(_NO)


def describe(client: Any, tracking_uri: str, known: Mapping[Capability, str]) -> Mapping[str, str]:
    """Return what the registry answers to, in a word or two each.

    Args:
        client: An `MlflowClient`.
        tracking_uri: As configured.
        known: The answers of `probe`.
    """
    import mlflow  # noqa: PLC0415 - slow

    served = tracking_uri.startswith(("http://", "https://"))
    version = http.server_version(tracking_uri) if served else None
    scheme = urlparse(tracking_uri).scheme or "directory"
    return {
        "server": f"MLflow {version or '(version not told)'}" if served else f"none: {scheme} store",
        "client": f"MLflow {mlflow.__version__}",
        "models": _answers(lambda: client.search_registered_models(max_results=1)),
        "logged models": _answers(lambda: client.search_logged_models(["0"], max_results=1)),
        "runs": _answers(lambda: client.search_experiments(max_results=1)),
        **{str(capability): answer for capability, answer in known.items()},
    }


def _without_server(capability: Capability, scheme: str) -> str:
    if scheme.startswith("databricks"):
        return f"{_UNKNOWN}{scheme} is not asked"
    if capability in (Capability.TAGS, Capability.ALIASES):
        return YES
    return f"{_NO}there is no server"


def _error_code(body: str) -> str:
    try:
        document = json.loads(body)
    except ValueError:
        return ""
    return str(document.get("error_code") or "") if isinstance(document, dict) else ""


def _answers(call: Any) -> str:
    """Return whether an endpoint is there: "yes", also where it answers that there is no such thing."""
    try:
        call()
    except Exception as error:  # noqa: BLE001 - whatever the server did, doctor prints it
        if error_code(error) in (ABSENT - {"ENDPOINT_NOT_FOUND"}) | {"INVALID_PARAMETER_VALUE"}:
            return YES
        return f"{_NO}{http.in_short(error)}"
    return YES

"""Check ids: `accuracy.slice[metric=f1,region=EU]`, and the form of them that MLflow takes. Pure."""

import hashlib
import re
from collections.abc import Mapping
from urllib.parse import quote, unquote

_SAFE = "-_."
_MLFLOW_REFUSES = re.compile(r"[^/\w.\- :]")
_FORM = re.compile(r"(?P<id>[a-z_]+\.[a-z0-9_]+)(?:\[(?P<params>[^\[\]]*)\])?")


def format_check_id(check: str, params: Mapping[str, str]) -> str:
    """Return the text form: keys sorted, values percent-encoded outside `[A-Za-z0-9_.-]`."""
    if not params:
        return check
    inside = ",".join(f"{quote(key, safe=_SAFE)}={_encode(params[key])}" for key in sorted(params))
    return f"{check}[{inside}]"


def parse_check_id(text: str) -> tuple[str, dict[str, str]]:
    """Return the check and its params from the text form.

    Raises:
        ValueError: Not a check id.
    """
    match = _FORM.fullmatch(text)
    if match is None:
        raise ValueError(f"'{text}' is not a check id such as load.p95_latency or accuracy.floor[metric=f1]")
    pairs = (pair.partition("=") for pair in (match["params"] or "").split(",") if pair)
    return match["id"], {unquote(key): unquote(value) for key, _, value in pairs}


def mlflow_name(text: str) -> str:
    """Return the form for MLflow's metric and tag names: `id/key:value/key:value`.

    A character that MLflow refuses becomes `_`, and six hex digits of the text form's digest are appended, so that
    two ids never share a name.
    """
    check, params = parse_check_id(text)
    name = "/".join([check, *(f"{key}:{params[key]}" for key in sorted(params))])
    cleaned = _MLFLOW_REFUSES.sub("_", name)
    # MLflow normalises names as paths: "a//b" and "a/../b" would become another name.
    cleaned = "/".join(part if part.strip(".") else "_" for part in cleaned.split("/"))
    if cleaned == name:
        return name
    return f"{cleaned}_{hashlib.sha256(text.encode()).hexdigest()[:6]}"


def _encode(value: str) -> str:
    # quote() leaves "~" alone; the pinned alphabet does not have it.
    return quote(value, safe=_SAFE, errors="surrogatepass").replace("~", "%7E")

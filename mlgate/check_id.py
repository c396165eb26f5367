"""Check ids: `accuracy.slice[metric=f1,region=EU]`, and the form of them that MLflow takes. Pure."""

import hashlib
import re
from collections.abc import Mapping
from urllib.parse import quote, unquote

_SAFE = "-_."
# "/" and ":" are MLflow's to accept, but here they stand between params: in a value they would read as another id.
_NOT_IN_A_NAME = re.compile(r"[^\w.\- ]")
# MLflow takes 250 characters; "champion." stands in front of some, and a file system takes 255 bytes.
_MAX_NAME_BYTES = 200
_FORM = re.compile(r"(?P<id>[a-z_]+\.[a-z0-9_]+)(?:\[(?P<params>[^\[\]]*)\])?")


def format_check_id(check: str, params: Mapping[str, str]) -> str:
    """Return the text form: keys sorted, values percent-encoded outside `[A-Za-z0-9_.-]`."""
    if not params:
        return check
    inside = ",".join(f"{_encode(key)}={_encode(params[key])}" for key in sorted(params))
    return f"{check}[{inside}]"


def parse_check_id(text: str) -> tuple[str, dict[str, str]]:
    """Return the check and its params from the text form.

    Raises:
        ValueError: Not a check id, or not as `format_check_id` writes it: one check has one id.
    """
    match = _FORM.fullmatch(text)
    pairs = [pair.partition("=") for pair in (match["params"] or "").split(",") if pair] if match else []
    params = {_decode(key): _decode(value) for key, _, value in pairs}
    if match is None or format_check_id(match["id"], params) != text:
        raise ValueError(f"'{text}' is not a check id such as load.p95_latency or accuracy.floor[metric=f1]")
    return match["id"], params


def readable_check_id(text: str) -> str:
    """Return a text form for people: `accuracy.slice[age=>=70,metric=f1]`. Not to be read back.

    What a terminal would act on stays encoded; what is no check id comes back as it is.
    """
    try:
        check, params = parse_check_id(text)
    except ValueError:
        return text
    shown = {
        key: "".join(c if c.isprintable() else _encode(c) for c in f"{key}={value}") for key, value in params.items()
    }
    return f"{check}[{','.join(shown[key] for key in sorted(shown))}]" if shown else check


def mlflow_name(text: str) -> str:
    """Return the form for MLflow's metric and tag names: `id/key:value/key:value`.

    A character that MLflow refuses becomes `_`, a long name is cut, and six hex digits of the text form's digest are
    then appended, so that two ids never share a name.

    Raises:
        ValueError: Not a check id.
    """
    check, params = parse_check_id(text)
    name = "/".join([check, *(f"{key}:{params[key]}" for key in sorted(params))])
    parts = (f"{_clean(key)}:{_clean(params[key])}" for key in sorted(params))
    cleaned = "/".join([check, *parts]).encode()[:_MAX_NAME_BYTES].decode(errors="ignore")
    if cleaned == name:
        return name
    return f"{cleaned.rstrip('/')}_{hashlib.sha256(text.encode()).hexdigest()[:6]}"


def _clean(text: str) -> str:
    return _NOT_IN_A_NAME.sub("_", text)


def _decode(text: str) -> str:
    try:
        return unquote(text, errors="surrogatepass")
    except UnicodeDecodeError:  # no text: format_check_id does not write it back, so it is no check id
        return ""


def _encode(value: str) -> str:
    # quote() leaves "~" alone; the pinned alphabet does not have it.
    return quote(value, safe=_SAFE, errors="surrogatepass").replace("~", "%7E")

"""Addresses: as they may be shown, without credentials, and whether they name a file of this machine. Pure."""

import re
from pathlib import Path
from urllib.parse import unquote, urlparse

# Up to the last "@" of the authority: people write passwords that hold an "@" without escaping it.
_USER_PART = re.compile(r"(?P<scheme>[a-zA-Z][a-zA-Z0-9+.-]*://)[^/?#\s'\"<>]*@")
# A presigned URL carries its signature in the query; a database URI may carry a password there.
_QUERY = re.compile(r"(?P<address>[a-zA-Z][a-zA-Z0-9+.-]*://[^?\s'\"<>]*)\?[^\s'\"<>]*")
_HEADER = re.compile(r"(?i)\b(basic|bearer)\s+[A-Za-z0-9+/=._~-]{8,}")


def without_credentials(text: str) -> str:
    """Return *text* with the user part and the query of every URL in it removed.

    Works on a bare URL and on a message of somebody else's that holds some.
    """
    stripped = _USER_PART.sub(r"\g<scheme>", text)
    return _HEADER.sub(r"\1 …", _QUERY.sub(r"\g<address>", stripped))


def store_file(uri: str) -> Path | None:
    """Return the SQLite file, or the folder, that a registry's address names; `None` where others keep the store."""
    if database := re.match(r"sqlite(?:\+\w+)?:///(?P<path>[^?]*)", uri):
        return None if database["path"] in ("", ":memory:") else Path(database["path"])
    parsed = urlparse(uri)
    if parsed.scheme == "file":
        return Path(unquote(parsed.path))
    # MLflow knows two words that are no paths.
    return Path(uri) if uri and not parsed.scheme and uri not in ("databricks", "databricks-uc") else None

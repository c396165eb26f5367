"""A least pace for what is read of a server: a time limit is for each piece, and a byte now and then never ends."""

import http.client
import io
import os
import time
from functools import partial
from typing import Any

from urllib3.connection import HTTPConnection, HTTPSConnection
from urllib3.connectionpool import HTTPConnectionPool, HTTPSConnectionPool

# Slower than any line that an artifact was ever sent over.
LEAST_BYTES_A_SECOND = 1024
_DEFAULT_TIMEOUT_S = 30.0


class _PacedReader(io.RawIOBase):
    """The bytes of one answer, as long as they come at the least pace.

    Only waiting counts, from the first byte on: how long a server thinks, and how long the reader takes, is not its matter.
    """

    def __init__(self, raw: io.RawIOBase) -> None:
        self._raw = raw
        self._waited = 0.0
        self._read = 0
        self._grace = _timeout()

    def readable(self) -> bool:
        return True

    def readinto(self, buffer: Any) -> int | None:
        begun = time.monotonic()
        count = self._raw.readinto(buffer)
        if self._read:
            self._waited += time.monotonic() - begun
        self._read += count or 0
        if count and self._waited > self._grace + self._read / LEAST_BYTES_A_SECOND:
            raise TimeoutError(f"timed out: {self._read} bytes in {self._waited:.0f} s")
        return int(count) if count is not None else None

    def close(self) -> None:
        self._raw.close()
        super().close()


class _PacedResponse(http.client.HTTPResponse):
    def __init__(self, *arguments: Any, **options: Any) -> None:
        super().__init__(*arguments, **options)
        self.fp = io.BufferedReader(_PacedReader(self.fp.detach()))


class _PacedHttp(HTTPConnection):
    response_class = _PacedResponse


class _PacedHttps(HTTPSConnection):
    response_class = _PacedResponse


class _HttpPool(HTTPConnectionPool):
    ConnectionCls = _PacedHttp


class _HttpsPool(HTTPSConnectionPool):
    ConnectionCls = _PacedHttps


def keep_pace() -> None:
    """Let every session that MLflow's client opens in this process from now on keep the pace.

    MLflow has no seam for it; where a version of it makes its sessions in another way, nothing is changed.
    """
    from mlflow.utils import request_utils  # noqa: PLC0415 - slow

    make = getattr(request_utils, "_get_request_session", None)
    if make is not None and not isinstance(make, partial):
        request_utils._get_request_session = partial(_paced, make)  # noqa: SLF001 - see above


def _paced(make: Any, *arguments: Any, **options: Any) -> Any:
    return paced(make(*arguments, **options))


def paced(session: Any) -> Any:
    """Let a session of requests keep the pace in all that it opens from now on; return it."""
    for adapter in session.adapters.values():
        pools = getattr(adapter, "poolmanager", None)
        if pools is not None:
            pools.pool_classes_by_scheme = {"http": _HttpPool, "https": _HttpsPool}
    return session


def _timeout() -> float:
    try:
        return float(os.environ.get("MLFLOW_HTTP_REQUEST_TIMEOUT", ""))
    except ValueError:
        return _DEFAULT_TIMEOUT_S

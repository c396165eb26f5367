"""The client that asks a model server for predictions, and brings it back after a crash or a hang."""

import time
from typing import TYPE_CHECKING

from mlgate.scoring.answers import Answer
from mlgate.scoring.payloads import Batch, Encoding

if TYPE_CHECKING:
    import requests

    from mlgate.sandbox.interface import ModelServer, ServerFailure
    from mlgate.scoring.deadline import Deadline
    from mlgate.scoring.protocols import ServingProtocol

# An answer beyond this is an attack or a bug: 500 rows of 1 000 doubles take 10 MB.
MAX_BODY = 64 * 2**20
_CHUNK = 2**16


class ScoringClient:
    """One connection to one server.

    After a deadline or a crash the next request finds a fresh server: one that hangs on one row must not fail the
    rows after it.

    Args:
        server: A started server.
        timeout_s: Longest time for one answer.

    Attributes:
        restarts: How often the server had to be brought back.
        trouble: What became of the server where the last request lost it.
    """

    def __init__(self, server: "ModelServer", *, timeout_s: float) -> None:
        self.server = server
        self.timeout_s = timeout_s
        self.restarts = 0
        self.trouble: ServerFailure | None = None
        self._lost = False
        self._session: requests.Session | None = None
        self._deadline: Deadline | None = None

    @property
    def protocol(self) -> "ServingProtocol":
        """How the server is spoken to."""
        return self.server.protocol

    def score(self, batch: Batch, encoding: Encoding | None = None) -> Answer:
        """Ask for the predictions of *batch*."""
        body, content_type = self.protocol.encode(batch, encoding)
        return self.post(body, content_type=content_type)

    def post(self, body: bytes, *, content_type: str | None, timeout_s: float | None = None) -> Answer:
        """Send raw bytes to where predictions are asked for; `content_type=None` sends no such header.

        Raises:
            ServerError: The server was lost before and does not come back.
        """
        self.recover()
        headers = {} if content_type is None else {"Content-Type": content_type}
        answer = self._request("POST", self.protocol.path, body, headers, timeout_s or self.timeout_s)
        if answer.status >= 500:
            self.close()  # uvicorn closes the connection after an exception, and does not say so
        # MLflow answers 504 and leaves the thread running: the next request would wait behind it.
        self._lost = answer.problem in {"timeout", "connection"} or answer.status == 504
        # Now: the next request replaces the server, and what it knew is gone with it.
        self.trouble = self._trouble(answer) if self._lost else None
        return answer

    def why(self, answer: Answer) -> "ServerFailure | None":
        """Return what is wrong with the server after *answer*, the last one; `None` where it is well."""
        return self.trouble if self._lost else self._trouble(answer)

    def _trouble(self, answer: Answer) -> "ServerFailure | None":
        from mlgate.scoring.trouble import trouble_of  # noqa: PLC0415  (loading the plugin must stay free)

        return trouble_of(self.server, answer)

    def get(self, path: str, *, timeout_s: float = 5.0) -> Answer:
        """Ask for a page of the server, such as `/ping` or `/metrics`."""
        return self._request("GET", path, b"", {}, timeout_s)

    def recover(self) -> None:
        """Start a fresh server if the last request lost it."""
        if not self._lost:
            return
        self.close()
        self.server.restart()
        self.restarts += 1
        self._lost = False

    def close(self) -> None:
        """Close the connection."""
        if self._session is not None:
            self._session.close()
            self._session = None

    def _request(self, method: str, path: str, body: bytes, headers: dict[str, str], timeout_s: float) -> Answer:
        # Here and not above: loading the plugin must not cost 90 ms for requests.
        import requests  # noqa: PLC0415
        import urllib3  # noqa: PLC0415

        if self._session is None or self._deadline is None:
            self._session, self._deadline = _session()
        self._deadline.within(timeout_s)
        began = time.perf_counter()
        try:
            # A redirect is not followed: the model must not choose what the host asks for.
            with self._session.request(
                method,
                self.server.url + path,
                data=body or None,
                # What is packed a thousand times over, and twice, must not unfold on the host.
                headers={"Accept-Encoding": "identity", **headers},
                timeout=timeout_s,
                stream=True,
                allow_redirects=False,
            ) as response:
                raw = self._read(response, began + timeout_s)
        except (requests.Timeout, urllib3.exceptions.TimeoutError):
            return _no_answer("timeout", began)
        except (requests.RequestException, urllib3.exceptions.HTTPError) as error:
            return _no_answer("timeout" if "timed out" in str(error) else "connection", began)
        if raw is None:
            return _no_answer("timeout", began)
        if len(raw) > MAX_BODY:
            return _no_answer("too_large", began)
        kind = response.headers.get("Content-Type", "").partition(";")[0].strip().lower()
        elapsed = time.perf_counter() - began
        return Answer(
            status=response.status_code,
            content_type=kind,
            body=raw,
            elapsed_s=elapsed,
            read=self.protocol.rows,
        )

    @staticmethod
    def _read(response: "requests.Response", deadline: float) -> bytes | None:
        """Read the body up to the cap; requests' own timeout starts again with every byte that trickles in."""
        parts: list[bytes] = []
        size = 0
        # read1 returns what is there; iter_content would wait for a whole chunk, and so for every byte of a trickle.
        while chunk := response.raw.read1(_CHUNK, decode_content=False):
            parts.append(chunk)
            size += len(chunk)
            if time.perf_counter() > deadline:
                return None
            if size > MAX_BODY:
                break
        return b"".join(parts)


def _session() -> "tuple[requests.Session, Deadline]":
    import requests  # noqa: PLC0415  (as in _request)

    from mlgate.scoring.deadline import Deadline, adapter  # noqa: PLC0415  (as above)

    made, deadline = requests.Session(), Deadline()
    made.trust_env = False  # a company's proxy has no way to a loopback port
    made.mount("http://", adapter(deadline))
    return made, deadline


def _no_answer(problem: str, began: float) -> Answer:
    return Answer(status=0, content_type="", body=b"", elapsed_s=time.perf_counter() - began, problem=problem)

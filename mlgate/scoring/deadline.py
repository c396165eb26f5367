"""A deadline on a whole HTTP answer. The timeout of requests starts again with every byte, also with those of the head."""

import socket
import time
from typing import Any

import urllib3
from requests.adapters import HTTPAdapter
from urllib3.connection import HTTPConnection


class Deadline:
    """When the answer that is being waited for has to be complete.

    Attributes:
        at: On the clock of `time.monotonic`.
    """

    def __init__(self) -> None:
        self.at = 0.0

    def within(self, seconds: float) -> None:
        """Set it *seconds* from now."""
        self.at = time.monotonic() + seconds


class _Socket(socket.socket):
    deadline: Deadline

    def recv_into(self, *arguments: Any) -> int:
        """Receive, and give up at the deadline."""
        self._hold()
        return super().recv_into(*arguments)

    def sendall(self, *arguments: Any) -> None:
        """Send, and give up at the deadline.

        Without this a body that fills the buffers would be cut off: the descriptor does not block, and this object,
        made from its number, does not know.
        """
        self._hold()
        super().sendall(*arguments)

    def _hold(self) -> None:
        remaining = self.deadline.at - time.monotonic()
        if remaining <= 0:
            raise TimeoutError("timed out: the answer is not complete at its deadline")
        self.settimeout(remaining)


def adapter(deadline: Deadline) -> HTTPAdapter:
    """Return an adapter for `http://` whose connections hold *deadline*."""

    class Connection(HTTPConnection):
        def _new_conn(self) -> socket.socket:
            made = _Socket(fileno=super()._new_conn().detach())
            made.deadline = deadline
            return made

    class Pool(urllib3.HTTPConnectionPool):
        ConnectionCls = Connection

    made = HTTPAdapter()
    made.poolmanager.pool_classes_by_scheme = {"http": Pool}
    return made

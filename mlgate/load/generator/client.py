"""Requests as the generator sends them: encoded beforehand, each with its own deadline, none sent twice."""

import resource
import socket
from typing import Any

import gevent
from geventhttpclient.client import HTTPClient
from geventhttpclient.connectionpool import ConnectionPool
from geventhttpclient.response import HTTPParseError
from locust.contrib.fasthttp import insecure_ssl_context_factory

from mlgate.load.plan import LoadPlan, Target
from mlgate.load.samples import ErrorKind

# Descriptors that the process needs besides its connections: logs, reports, the event loop, Python's own imports.
SPARE_DESCRIPTORS = 100


def in_flight_limit(needed: int) -> int:
    """Raise the limit of open files to *needed* connections; return how many requests may be under way at once.

    A request beyond it is dropped and counted: an "open files" error would be blamed on the server.
    """
    soft, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    wanted = needed + SPARE_DESCRIPTORS
    target = wanted if hard == resource.RLIM_INFINITY else min(wanted, hard)
    if soft != resource.RLIM_INFINITY and soft < target:
        resource.setrlimit(resource.RLIMIT_NOFILE, (target, hard))
    return max(1, target - SPARE_DESCRIPTORS)


def _no_delay(_pool: ConnectionPool, sock: Any) -> None:
    """Send a body's last partial segment at once: Nagle would hold it for the server's delayed ACK, 40 ms on Linux."""
    sock.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)


ConnectionPool.after_connect = _no_delay  # type: ignore[method-assign,assignment]  # a hook; the pool calls it bound


class Client:
    """A pool of kept-alive connections to each target: what locust's FastHttpUser sends over, without its cookies.

    Neither redirects are followed nor are requests sent again: a POST that failed is a sample.

    Args:
        plan: Whom to ask, what, and how long to wait.
        connections: Most of them at a time, to each target.
    """

    def __init__(self, plan: LoadPlan, connections: int) -> None:
        self._targets = plan.targets
        self._timeout_s = plan.timeout_s
        self._clients = [_client(target, plan.timeout_s, connections) for target in plan.targets]
        self._headers = [
            {"Content-Type": target.content_type, "Accept-Encoding": "identity", **target.headers}
            for target in plan.targets
        ]

    def ask(self, target: int, body: int) -> tuple[int, bytes, ErrorKind]:
        """Send one body; return status, content, and what kept the answer from being whole (`NONE`: nothing).

        The status is 0 where none came.
        """
        where, response = self._targets[target], None
        try:
            # A socket's timeout is per operation: a server that trickles would never meet it.
            with gevent.Timeout(self._timeout_s):
                response = self._clients[target].request(
                    "POST", where.path, body=where.bodies[body], headers=self._headers[target]
                )
                content = response.read()
        except (gevent.Timeout, TimeoutError):
            return _status(response), b"", ErrorKind.TIMEOUT
        except (OSError, HTTPParseError, RuntimeError):  # RuntimeError: the pool's for a name that does not resolve
            return _status(response), b"", ErrorKind.CONNECTION
        if not response.message_complete:
            return _status(response), content, ErrorKind.CONNECTION
        return response.status_code, content, ErrorKind.NONE


def _status(response: Any) -> int:
    return 0 if response is None else response.status_code


def _client(target: Target, timeout_s: float, connections: int) -> HTTPClient:
    return HTTPClient.from_url(
        target.url,
        concurrency=connections,  # the default of 1 would turn the open loop into a closed one
        connection_timeout=timeout_s,
        network_timeout=timeout_s,
        # As FastHttpUser: the address is the run's own, and a test server's certificate seldom a public one.
        insecure=True,
        ssl_context_factory=insecure_ssl_context_factory,
    )

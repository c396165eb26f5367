"""A worker of a load run that another host leads: it gets its share from there, and sends its requests from here.

Locust's channel between master and workers is neither encrypted nor authenticated. Whoever reaches the master's port can
take part of the run, read the requests with their headers, and report what it likes; whoever takes the master's address
can have a worker send anything anywhere. Bind the master to loopback or to a network that is private to the run.
"""

import json
import sys
import tempfile
from collections.abc import Sequence
from pathlib import Path

from mlgate.errors import LoadGeneratorError
from mlgate.load.process import GENERATOR, URLS_VARIABLE, ending, host_and_port, locust_process


def work_for(master: str, *, urls: Sequence[str] = ()) -> None:
    """Take one share of the run that *master* leads, and return when the run is over.

    Args:
        master: `HOST:PORT` where it listens; waited for where it does not yet.
        urls: Where this host reaches the run's targets, in their order; a target without one keeps its own address.

    Raises:
        ConfigError: *master* is no address.
        LoadGeneratorError: No master came, the run broke off, or the master fell silent.
    """
    host, port = host_and_port(master)
    options = ["--worker", "--master-host", host, "--master-port", str(port)]
    with tempfile.TemporaryDirectory(prefix="mlgate-load-worker-") as made:
        private = Path(made)
        with locust_process(
            GENERATOR,
            options,
            folder=private,
            private=private,
            log=sys.stderr.fileno(),
            variables={URLS_VARIABLE: json.dumps(list(urls))},
        ) as process:
            code = process.wait()
    if code != 0:
        raise LoadGeneratorError(f"the load worker for {master} {ending(code)}", hint="read the lines above")

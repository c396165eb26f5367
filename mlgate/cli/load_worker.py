"""`mlgate load-worker`: send a share of the load of a run on another host."""

from typing import Annotated

import typer

NAME = "load-worker"
HELP = """Send a share of the load of a run on another host. Example: mlgate load-worker 10.0.0.5:5557

The run is started with MLGATE_LOAD_MASTER=HOST:PORT and waits for as many workers as `load.workers` says. The channel
between them is neither encrypted nor authenticated: use loopback or a private network."""


def command(
    master: Annotated[str, typer.Argument(metavar="HOST:PORT", help="Where the run listens (its MLGATE_LOAD_MASTER)")],
    url: Annotated[
        list[str] | None,
        typer.Option(
            "--url", metavar="URL", help="Where this host reaches the model server (repeatable: challenger, champion)"
        ),
    ] = None,
) -> int:
    """Take one share and return when the run is over."""
    from mlgate.load.remote_worker import work_for

    work_for(master, urls=url or ())
    return 0

"""`mlgate demo`: the main job on a real model, from champion to four verdicts."""

from pathlib import Path
from typing import Annotated

import typer

NAME = "demo"
HELP = "Run the main job on real data: one good challenger is promoted, three bad ones are refused."


def command(
    folder: Annotated[Path, typer.Option("--folder", metavar="DIR", help="Where everything goes")] = Path(
        "demo-output"
    ),
) -> int:
    """Run it; exit 1 if any of the four goes otherwise than it should."""
    from mlgate.demo.run import run_demo

    return run_demo(folder)

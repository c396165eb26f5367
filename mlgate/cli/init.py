"""`mlgate init`: a commented policy to start from."""

from importlib.resources import files
from pathlib import Path
from typing import Annotated

import typer

from mlgate.cli.console import result, write_whole
from mlgate.errors import OutputError

NAME = "init"
HELP = "Write a commented mlgate.yaml to start from."


def command(
    file: Annotated[Path, typer.Argument(metavar="FILE", help="Where to write it")] = Path("mlgate.yaml"),
) -> int:
    """Write the file; one that is there already stays."""
    text = files("mlgate.cli").joinpath("mlgate.yaml").read_text(encoding="utf-8")
    try:
        write_whole(file, text.encode(), over=False)
    except FileExistsError:
        raise OutputError(f"{file} is there already; it stays as it is", hint="mlgate init OTHER.yaml") from None
    result(f"{file} written. Next: edit it, then mlgate policy check {file}")
    return 0

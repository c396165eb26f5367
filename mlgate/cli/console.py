"""What every command shares: options, and printing for people and for machines."""

import errno
import json
import os
import sys
import tempfile
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from enum import StrEnum
from pathlib import Path
from typing import Annotated, Any

import typer

from mlgate.errors import OutputError, printable


class Output(StrEnum):
    """How a command prints its result."""

    TEXT = "text"
    JSON = "json"
    MARKDOWN = "markdown"


OutputOption = Annotated[Output, typer.Option("--output", help="How the result is printed on standard output")]
PolicyOption = Annotated[
    str | None, typer.Option("--policy", metavar="FILE", help="Default: mlgate.yaml upward from here, else built in")
]
UriArgument = Annotated[str, typer.Argument(metavar="URI", help="models:/name/3 or models:/name@alias")]
DryRunOption = Annotated[bool, typer.Option("--dry-run", help="Do every read, print each write, write nothing")]
YesOption = Annotated[bool, typer.Option("--yes", help="Do not ask")]

_GREEN, _RED, _YELLOW, _BOLD = "32", "31", "33", "1"
_COLOURS = {
    "admitted": _GREEN,
    "promoted": _GREEN,
    "verified": _GREEN,
    "passed": _GREEN,
    "ok": _GREEN,
    "fixed": _GREEN,
    "refused": _RED,
    "failed": _RED,
    "still failing": _RED,
    "waived": _RED,
    "unexplained": _RED,
    "rolled back": _GREEN,
    "inconclusive": _YELLOW,
    "not decided": _YELLOW,
}


def say(line: str) -> None:
    """Print a line for a person: on standard error, so that standard output stays for the result."""
    sys.stderr.write(f"{line}\n")


def write_whole(path: Path, data: bytes, *, over: bool = True) -> None:
    """Write a file that somebody asked for: all of it, or what was there stays. As for `whole_file`."""
    with whole_file(path, data, over=over):
        pass


@contextmanager
def whole_file(path: Path, data: bytes, *, over: bool = True) -> Iterator[None]:
    """Give a file that somebody asked for its content after the block: all of it, and only where nothing was raised.

    Where there is no place for it, that is said before the block.

    Args:
        path: Where; a link is written through.
        data: The whole of it.
        over: Whether it may replace a file that is there.

    Raises:
        FileExistsError: There is one, and it may not.
        OutputError: The disk is full, or the place can not be written.
    """
    with _writing(path):
        place = path.resolve() if over else path
        if place.is_dir():
            raise IsADirectoryError(errno.EISDIR, os.strerror(errno.EISDIR))
        # A pipe, /dev/stdout: nothing that could be half a file.
        partial = None if over and place.exists() and not place.is_file() else _partial(place, data)
    try:
        yield
        with _writing(path):
            if partial is None:
                place.write_bytes(data)
            elif over:
                partial.replace(place)
            else:
                os.link(partial, place)
    finally:
        if partial is not None:
            partial.unlink(missing_ok=True)


@contextmanager
def _writing(path: Path) -> Iterator[None]:
    try:
        yield
    except FileExistsError:
        raise
    except OSError as error:
        raise OutputError(f"{path}: can not be written ({error.strerror})", hint="name another file") from error


def _partial(place: Path, data: bytes) -> Path:
    with tempfile.NamedTemporaryFile(dir=place.parent, prefix=f".{place.name}-", delete=False) as file:
        partial = Path(file.name)
        try:
            file.write(data)
            file.flush()
            partial.chmod(0o666 & ~_umask())
        except BaseException:
            partial.unlink(missing_ok=True)
            raise
    return partial


def _umask() -> int:
    mask = os.umask(0o077)
    os.umask(mask)
    return mask


def result(text: str) -> None:
    """Print the result.

    A reader that has enough (head, less) is no error: the exit status stays what the command decides.

    Raises:
        OutputError: Standard output can not be written.
    """
    try:
        sys.stdout.write(f"{text}\n")
        sys.stdout.flush()
    except OSError as error:
        # What is left in the buffer would fail again when python ends, and change the exit status.
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
        if not isinstance(error, BrokenPipeError):
            raise OutputError(
                f"standard output can not be written ({error.strerror}); what the command did, it did"
            ) from error


def emit_json(document: Any) -> None:
    """Print the machine form of the result."""
    # Where a character may have to be spelled out, in JSON's way of doing that.
    plain = (sys.stdout.encoding or "").lower() not in ("utf-8", "utf8")
    result(json.dumps(document, indent=2, ensure_ascii=plain, sort_keys=True))


def coloured(word: str) -> str:
    """Return *word* in its colour on a terminal that wants colour."""
    code = _COLOURS.get(word)
    plain = (
        code is None or not sys.stdout.isatty() or bool(os.environ.get("NO_COLOR")) or os.environ.get("TERM") == "dumb"
    )
    return word if plain else f"\033[{code}m{word}\033[0m"


def table(header: Sequence[str], rows: Sequence[Sequence[str]], *, markdown: bool = False) -> str:
    """Return an aligned table; a tag or a name that anybody wrote makes neither a line nor a command of the terminal's."""
    rows = [[cell if _in_our_colour(cell) else printable(cell) for cell in map(str, row)] for row in rows]
    widths = [max(len(str(cell)) for cell in column) for column in zip(header, *rows, strict=True)]
    if markdown:
        lines = [_line(header, widths, " | "), "|".join("-" * (width + 2) for width in widths)]
        return "\n".join(
            f"| {line} |" if index != 1 else f"|{line}|"
            for index, line in enumerate([*lines, *(_line(row, widths, " | ") for row in rows)])
        )
    return "\n".join(_line(row, widths, "  ").rstrip() for row in (header, *rows))


def _in_our_colour(cell: str) -> bool:
    """Return whether *cell* is a word as `coloured` gives it."""
    return cell in {f"\033[{code}m{word}\033[0m" for word, code in _COLOURS.items()}


def _line(cells: Sequence[str], widths: Sequence[int], gap: str) -> str:
    return gap.join(str(cell).ljust(width) for cell, width in zip(cells, widths, strict=True))

"""`python -m mlgate` and the `mlgate` command."""

import io
import os
import sys

INTERRUPTED = 130


def main() -> None:
    """Run the command line and exit with its status."""
    for number, name in ((1, "stdout"), (2, "stderr")):
        _make_writable(number, name)
    try:
        from mlgate.cli.app import run  # noqa: PLC0415 - here, a Ctrl-C while it is imported is a Ctrl-C
    except KeyboardInterrupt:
        sys.exit(INTERRUPTED)
    sys.exit(run(sys.argv[1:]))


def _make_writable(number: int, name: str) -> None:
    """Take a stream that the caller closed for one that nobody reads, and any character on one that is there."""
    if getattr(sys, name) is None:
        # At its own number: the next file that is opened would get it otherwise, and what is said into it.
        null = os.open(os.devnull, os.O_WRONLY)
        if null != number:
            os.dup2(null, number)
            os.close(null)
        setattr(sys, name, open(number, "w", encoding="utf-8", closefd=False))  # noqa: SIM115 - until the process ends
    stream = getattr(sys, name)
    if isinstance(stream, io.TextIOWrapper):
        # A terminal of another encoding has no arrow: it is spelled out, and the decision stands.
        stream.reconfigure(errors="backslashreplace")


if __name__ == "__main__":
    main()

"""The command line: subcommands, and what an error looks like. Importing it imports typer and nothing heavier."""

import os
import sys
import traceback
from collections.abc import Sequence
from itertools import pairwise

import typer

from mlgate.cli import (
    accuracy,
    ci,
    demo,
    doctor,
    gate,
    history,
    image,
    init,
    keys,
    load_worker,
    policy,
    promote,
    replay,
    report,
    rollback,
    status,
    test,
    verify,
    waive,
)
from mlgate.cli.console import emit_json
from mlgate.errors import MlgateError, one_line

INTERRUPTED = 130
USAGE = 2
UNDECIDED = 3
# typer brings a click of its own from 0.2x on, and uses the installed one before: its public BadParameter leads to the
# base class in both.
ClickException: type[Exception] = typer.BadParameter.__mro__[2]

EPILOG = """Exit status: 0 admitted or done · 1 refused · 2 usage, URI or configuration · 3 could not decide or act ·
4 inconclusive · 5 rolled back · 6 locked by another process · 130 interrupted"""

app = typer.Typer(
    name="mlgate",
    help="Acceptance tests for registered models, and the gate between the registry and traffic.",
    epilog=EPILOG,
    no_args_is_help=True,
    rich_markup_mode=None,
    pretty_exceptions_enable=False,
    context_settings={"help_option_names": ["-h", "--help"]},
)
for module in (
    test,
    gate,
    waive,
    promote,
    rollback,
    history,
    verify,
    status,
    report,
    replay,
    init,
    doctor,
    demo,
    load_worker,
):
    app.command(module.NAME, help=module.HELP)(module.command)
app.add_typer(policy.app, name="policy")
app.add_typer(image.app, name="image")
app.add_typer(accuracy.app, name="accuracy")
app.add_typer(keys.app, name="keys")
app.add_typer(ci.app, name="ci")


def run(arguments: Sequence[str]) -> int:
    """Run one command.

    Returns:
        The exit status. An error is one line on standard error; its traceback follows only with `--debug`.
    """
    debug = "--debug" in arguments
    words = [word for word in arguments if word not in {"--debug", "--no-color"}]
    if "--no-color" in arguments:
        os.environ["NO_COLOR"] = "1"
    try:
        result = typer.main.get_command(app).main(args=words, prog_name="mlgate", standalone_mode=False)
    except typer.Exit as error:
        return error.exit_code
    except (typer.Abort, KeyboardInterrupt):
        return _say("interrupted", INTERRUPTED)
    except ClickException as error:
        context = getattr(error, "ctx", None)
        # A group without a command: its message is the help text, with its lines.
        if type(error).__name__ == "NoArgsIsHelpError":
            sys.stderr.write(f"{context.get_help() if context else EPILOG}\n")
            return USAGE
        message = " ".join(error.format_message().split()).rstrip(".")  # type: ignore[attr-defined]  # ClickException's
        return _fail(f"{message}. Hint: {context.command_path if context else 'mlgate'} --help", USAGE, words)
    except MlgateError as error:
        if debug:
            traceback.print_exc()
        return _fail(str(error), error.exit_code, words)
    except Exception as error:  # noqa: BLE001  (Python's own answer is a traceback and 1, which says "refused")
        if debug:
            traceback.print_exc()
        line = f"{type(error).__name__}: {one_line(str(error)) or 'without a word'}, which mlgate did not expect"
        return _fail(f"{line}. Hint: run it again with --debug to see where, and report it", UNDECIDED, words)
    # typer turns Ctrl-C into this number by itself, and says nothing.
    return _say("interrupted", INTERRUPTED) if result == INTERRUPTED else result if isinstance(result, int) else 0


def _fail(line: str, code: int, words: Sequence[str]) -> int:
    """Say why there is no result; to a machine as JSON too, which would take nothing at all for no news."""
    if "--output=json" in words or ("--output", "json") in pairwise(words):
        emit_json({"error": line, "exit_status": code})
    return _say(line, code)


def _say(line: str, code: int) -> int:
    sys.stderr.write(f"mlgate: {line}\n")
    return code

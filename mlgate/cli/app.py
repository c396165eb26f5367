"""The command line: subcommands, and what an error looks like. Importing it imports typer and nothing heavier."""

import os
import sys
import traceback
from collections.abc import Sequence

import click
import typer

from mlgate.cli import demo, doctor, gate, init, policy, promote, report, status, test
from mlgate.errors import MlgateError

INTERRUPTED = 130
USAGE = 2

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
for module in (test, gate, promote, status, report, init, doctor, demo):
    app.command(module.NAME, help=module.HELP)(module.command)
app.add_typer(policy.app, name="policy")


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
    except click.exceptions.Exit as error:
        return error.exit_code
    except (click.Abort, KeyboardInterrupt):
        return _say("interrupted", INTERRUPTED)
    except click.ClickException as error:
        hint = getattr(error, "ctx", None)
        usage = f" Hint: {hint.command_path} --help" if hint else ""
        return _say(f"{' '.join(error.format_message().split())}{usage}", USAGE)
    except MlgateError as error:
        if debug:
            traceback.print_exc()
        return _say(str(error), error.exit_code)
    except BrokenPipeError:
        # The reader (head, less) has enough; a second error while flushing would only confuse.
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
        return 0
    return result if isinstance(result, int) else 0


def _say(line: str, code: int) -> int:
    sys.stderr.write(f"mlgate: {line}\n")
    return code

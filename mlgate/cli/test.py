"""`mlgate test`: pytest with its own configuration, so that nobody's addopts stand between a model and its checks."""

import os
import signal
import subprocess
import sys
from collections.abc import Mapping, Sequence
from importlib.resources import as_file, files
from typing import Annotated, TextIO

import typer

NAME = "test"
HELP = "Test a model version with pytest, without your pytest configuration. Example: mlgate test models:/churn/3"

# pytest's exit status to ours (design §5.2).
_EXITS = {20: 4, 4: 2, 2: 130, 5: 4}
# pytest's own for an interrupt.
INTERRUPTED = 2
# How long an interrupted pytest may take to end. A pipeline that cancels a job kills it some seconds later anyway.
GRACE_S = 20.0


def command(
    uri: Annotated[str, typer.Argument(metavar="URI", help="models:/name/3, models:/name@alias, runs:/…, a directory")],
    policy: Annotated[str | None, typer.Option("--policy", metavar="FILE")] = None,
    suite: Annotated[
        list[str] | None, typer.Option("--suite", metavar="NAME", help="Only this suite (repeatable)")
    ] = None,
    champion: Annotated[str | None, typer.Option("--champion", metavar="URI", help="or none")] = None,
    sandbox: Annotated[str | None, typer.Option("--sandbox", metavar="KIND", help="container or process")] = None,
    image: Annotated[str | None, typer.Option("--image", metavar="REF", help="Test this image, build none")] = None,
    output: Annotated[str | None, typer.Option("--folder", metavar="DIR", help="Where the files go")] = None,
    no_publish: Annotated[bool, typer.Option("--no-publish", help="Write nothing to MLflow")] = False,
    seed: Annotated[str | None, typer.Option("--seed", metavar="N")] = None,
    explore: Annotated[bool, typer.Option("--explore", help="A fresh seed")] = False,
) -> int:
    """Run the suites in a pytest of our own."""
    named = {"--mlgate-policy": policy, "--mlgate-champion": champion, "--mlgate-sandbox": sandbox, "--mlgate-image": image, "--mlgate-output": output, "--mlgate-seed": seed}  # fmt: skip
    options = [f"{flag}={value}" for flag, value in named.items() if value is not None]
    options += [f"--mlgate-suite={name}" for name in suite or ()]
    options += ["--mlgate-no-publish"] if no_publish else []
    options += ["--mlgate-explore"] if explore else []
    return run_pytest(uri, options)


def run_pytest(uri: str, options: Sequence[str], *, stdout: TextIO | None = None) -> int:
    """Run `pytest --mlgate` with our configuration and return our exit status for it.

    Args:
        uri: Of the model version.
        options: More of the command line.
        stdout: Where pytest prints; default: as this process.
    """
    # Autoloaded plugins and PYTEST_ADDOPTS are the user's configuration too.
    environment = {**os.environ, "PYTEST_DISABLE_PLUGIN_AUTOLOAD": "1", "PYTEST_ADDOPTS": ""}
    with as_file(files("mlgate.cli").joinpath("pytest.ini")) as ini:
        command_line = [sys.executable, "-m", "pytest", "-c", str(ini), "--rootdir", os.getcwd(), "-p", "pytest_mlgate.plugin", f"--mlgate={uri}", *options]  # fmt: skip  # noqa: PTH109  (text for pytest)
        status = run_to_its_end(command_line, environment, stdout=stdout)
    return _EXITS.get(status, status if 0 <= status <= 3 else 3)


def run_to_its_end(command_line: Sequence[str], environment: Mapping[str, str], *, stdout: TextIO | None = None) -> int:
    """Run a pytest and return its exit status, as subprocess does.

    One that is interrupted gets the time to put its tags and containers in order. SIGTERM, by which a pipeline cancels
    its job, reaches this process alone, and interrupts pytest: it would go on, and publish, without anybody waiting.
    """
    with subprocess.Popen(command_line, env=environment, stdout=stdout) as process:

        def hand_on(*_: object) -> None:
            process.send_signal(signal.SIGINT)
            raise KeyboardInterrupt

        before = signal.signal(signal.SIGTERM, hand_on)
        try:
            return process.wait()
        except KeyboardInterrupt:  # a terminal's Ctrl-C reaches both
            return _interrupted(process)
        finally:
            signal.signal(signal.SIGTERM, before)


def _interrupted(process: "subprocess.Popen[bytes]") -> int:
    try:
        return process.wait(GRACE_S)
    except (subprocess.TimeoutExpired, KeyboardInterrupt):
        process.kill()  # its watchdog puts the containers in order
        return INTERRUPTED

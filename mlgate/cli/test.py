"""`mlgate test`: pytest with its own configuration, so that nobody's addopts stand between a model and its checks."""

import os
import subprocess
import sys
from collections.abc import Sequence
from importlib.resources import as_file, files
from typing import Annotated, TextIO

import typer

NAME = "test"
HELP = "Test a model version with pytest, without your pytest configuration. Example: mlgate test models:/churn/3"

# pytest's exit status to ours (design §5.2).
_EXITS = {20: 4, 4: 2, 2: 130, 5: 4}


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
        status = subprocess.run(command_line, env=environment, check=False, stdout=stdout).returncode
    return _EXITS.get(status, status if 0 <= status <= 3 else 3)

"""The same environment as a folder on the host, for the process sandbox: no engine, and no isolation while it installs."""

import configparser
import os
import shutil
import subprocess
import time
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path

from filelock import FileLock, Timeout

from mlgate.errors import EngineError, MlgateError
from mlgate.images import uv
from mlgate.images.facts import BuiltImage, facts_text, from_facts_text
from mlgate.images.installation import ISOLATED, Installation, pins_of
from mlgate.images.recipe import Recipe, recipe_key, serving_source

INSTALL_TIMEOUT_S = 1800
_FACTS = "mlgate-facts.json"


def cache_folder(environ: Mapping[str, str]) -> Path:
    """Return where mlgate keeps what it can make again: `$MLGATE_CACHE`, else `~/.cache/mlgate`."""
    if environ.get("MLGATE_CACHE"):
        return Path(environ["MLGATE_CACHE"])
    return Path(environ.get("XDG_CACHE_HOME") or Path.home() / ".cache") / "mlgate"


def with_pip_config(environ: Mapping[str, str]) -> Mapping[str, str]:
    """Return *environ* with the settings of the file that `PIP_CONFIG_FILE` names, under the names of their variables.

    pip's other configuration files and uv's are not read.

    Raises:
        EngineError: The file can not be read.
    """
    name = environ.get("PIP_CONFIG_FILE")
    if not name:
        return environ
    parser = configparser.RawConfigParser(strict=False)
    try:
        parser.read_string(Path(name).read_text(encoding="utf-8"))
    except (OSError, ValueError, configparser.Error) as error:
        raise EngineError(f"PIP_CONFIG_FILE={name} can not be read ({type(error).__name__})") from error
    found = {}
    for section in ("global", "install"):
        for key, value in parser.items(section) if parser.has_section(section) else ():
            found[f"PIP_{key.upper().replace('-', '_')}"] = " ".join(value.split())
    return {**found, **environ}


def find_uv() -> Path:
    """Return the uv binary.

    Raises:
        EngineError: There is none.
    """
    import uv as package  # noqa: PLC0415  (the name is taken here by mlgate.images.uv)

    try:
        return Path(package.find_uv_bin())
    except FileNotFoundError as error:
        raise EngineError("the uv binary is missing", hint="install mlgate with its dependencies") from error


class EnvironmentBuilder:
    """Makes virtual environments on the host, and finds those that were made before.

    Args:
        environ: The host's environment; default: `os.environ`.
        timeout_s: Longest installation, in seconds.
    """

    def __init__(self, *, environ: Mapping[str, str] | None = None, timeout_s: float = INSTALL_TIMEOUT_S) -> None:
        self._environ = with_pip_config(os.environ if environ is None else environ)
        self._timeout_s = timeout_s
        self._env = uv.index_settings(self._environ)
        kept = ("PATH", "HOME", "UV_CACHE_DIR", "SSL_CERT_FILE", "SSL_CERT_DIR", "XDG_CACHE_HOME", "XDG_DATA_HOME")
        self._env |= {name: self._environ[name] for name in kept if self._environ.get(name)}
        ca = uv.ca_bundle(self._environ)
        if ca is not None:
            self._env["SSL_CERT_FILE"] = ca

    def build(self, recipe: Recipe, *, on_progress: Callable[[str], None] | None = None) -> BuiltImage:
        """Return the environment of *recipe*; `reference` is its folder, `apt` is not looked at.

        Args:
            recipe: What to install.
            on_progress: Gets the installer's output, line by line, once it is done.

        Raises:
            InstallError: The version's requirements can not be installed.
            EngineError: The package index, the disk or the host's Python is at fault.
        """
        started = time.monotonic()
        # A host may have several patches of one minor.
        key = recipe_key(recipe, recipe.python_asked)
        folder = cache_folder(self._environ) / "environments" / key.removeprefix("sha256:")[:32]
        folder.parent.mkdir(parents=True, exist_ok=True)
        try:
            with FileLock(f"{folder}.lock", timeout=self._timeout_s):
                hit = (folder / _FACTS).is_file()
                if not hit:
                    self._make(recipe, folder, on_progress or (lambda _: None))
                text = (folder / _FACTS).read_text(encoding="utf-8")
        except Timeout as error:
            raise EngineError(f"another process has been making {folder} for {self._timeout_s:.0f} s") from error
        seconds = {"total": time.monotonic() - started}
        return from_facts_text(text, recipe, reference=str(folder), hit=hit, seconds=seconds)

    def _make(self, recipe: Recipe, folder: Path, tell: Callable[[str], None]) -> None:
        # Left over from a run that died: only the facts, written last, say that a folder is whole.
        shutil.rmtree(folder, ignore_errors=True)

        def run(command: Sequence[str]) -> tuple[int, str]:
            code, output = self._run(command)
            for line in output.splitlines():
                tell(line)
            return code, output

        def write(name: str, text: str) -> None:
            (folder / name).write_text(text, encoding="utf-8")

        made = Installation(
            recipe=recipe,
            binary=str(find_uv()),
            venv=str(folder),
            folder=str(folder),
            builds=True,
            run=run,
            write=write,
        )
        missing = made.make_venv()
        if missing:
            raise EngineError(
                f"this host has no usable Python {recipe.python}: {missing}",
                hint=f"`uv python install {recipe.python}`, or use the container sandbox",
            )
        try:
            made.install()
        except MlgateError:
            shutil.rmtree(folder, ignore_errors=True)
            raise
        self._describe(made, folder)

    def _describe(self, made: Installation, folder: Path) -> None:
        base = made.base_python()
        told_code, version = self._run(
            [base, *ISOLATED, "-c", "import platform; print(platform.python_version())"], read=True
        )
        frozen_code, frozen = self._run(uv.freeze_command(made.binary, base, made.site_packages), read=True)
        if told_code or frozen_code:
            raise EngineError(f"the environment does not describe itself: {(version + frozen).strip()[-300:]}")
        version = version.strip()
        home = Path(made.site_packages) / "mlgate_serving"
        home.mkdir()
        for name, source in serving_source().items():
            (home / name).write_bytes(source)
        text = facts_text(base=f"host python {version}", base_digest="", python=version, pins=pins_of(frozen))
        (folder / _FACTS).write_text(text, encoding="utf-8")

    def _run(self, command: Sequence[str], *, read: bool = False) -> tuple[int, str]:
        """Return status and output; where it succeeded and is to be read, only what it printed on standard output."""
        try:
            done = subprocess.run(
                command,
                env=self._env,
                stdin=subprocess.DEVNULL,
                stdout=subprocess.PIPE,
                stderr=subprocess.PIPE if read else subprocess.STDOUT,
                timeout=self._timeout_s,
                check=False,
                text=True,
                errors="replace",
            )
        except subprocess.TimeoutExpired as error:
            raise EngineError(f"the environment was not installed within {self._timeout_s:.0f} s") from error
        except OSError as error:
            raise EngineError(f"{command[0]} can not be run ({error.strerror})") from error
        return done.returncode, done.stdout + (done.stderr if read and done.returncode else "")

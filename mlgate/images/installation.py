"""Installing a recipe with uv, wherever that runs: in a build container or in a folder on the host.

From wheels only, nothing of what is installed runs here: uv looks at the environment's interpreter before it fills it, and
bytecode and the list of packages are made by the interpreter that the environment was made of, which reads none of its
`.pth` files. So a package can not reach the cache that it came from, which other versions are installed from too.
"""

import re
from collections.abc import Callable, Sequence
from dataclasses import dataclass

from packaging.utils import canonicalize_name

from mlgate.errors import EngineError, InstallError
from mlgate.images import uv
from mlgate.images.recipe import Recipe, server_requirements
from mlgate.images.requirements import needs_git, requirement_of

Run = Callable[[Sequence[str]], tuple[int, str]]
Write = Callable[[str, str], None]
# No user's folder, no environment variables, and no site: `.pth` files are code.
ISOLATED = ("-I", "-S")
# What has no bytecode of its own, or an older file's: `compileall` takes seconds to find out that all the rest has. Packages'
# own tests are half of all source files, and nothing that serves imports them. The header is PEP 552's.
_COMPILE = """
import compileall, importlib.util, os, sys
from concurrent.futures import ProcessPoolExecutor
from functools import partial

def stale(source):
    try:
        with open(importlib.util.cache_from_source(source), "rb") as file:
            written = file.read(16)[8:]
        found = os.stat(source)
    except OSError:
        return True
    return written != int(found.st_mtime).to_bytes(4, "little") + (found.st_size & 0xFFFFFFFF).to_bytes(4, "little")

if __name__ == "__main__":
    sources = []
    for folder, folders, files in os.walk(sys.argv[1]):
        folders[:] = [name for name in folders if name not in ("test", "tests", "__pycache__")]
        sources += [os.path.join(folder, name) for name in files if name.endswith(".py")]
    sources = [source for source in sources if stale(source)]
    compile_one = partial(compileall.compile_file, quiet=1, force=True)
    if len(sources) > 100:
        with ProcessPoolExecutor() as pool:
            done = list(pool.map(compile_one, sources, chunksize=16))
    else:
        done = [compile_one(source) for source in sources]
    sys.exit(not all(done))
"""


class NeedsBuild(Exception):
    """Some requirement has no wheel: its own code would have to run."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Installation:
    """One virtual environment in the making.

    Attributes:
        recipe: What to install.
        binary: The uv binary, as seen by *run*.
        venv: Folder of the environment, as seen by *run*.
        folder: Where *write* puts files, as seen by *run*.
        builds: Whether source distributions may be built here.
        run: Runs a command and returns its status and output.
        write: Puts a text file, by name, into *folder*.
    """

    recipe: Recipe
    binary: str
    venv: str
    folder: str
    builds: bool
    run: Run
    write: Write

    @property
    def python(self) -> str:
        """The environment's interpreter."""
        return f"{self.venv}/bin/python"

    @property
    def site_packages(self) -> str:
        """Where packages are installed."""
        return f"{self.venv}/lib/python{self.recipe.python}/site-packages"

    def make_venv(self) -> str:
        """Make the environment, of the patch that the version names where that is there, else of its minor.

        Returns:
            Why there is no such Python; empty where it was made.
        """
        told = ""
        for version in dict.fromkeys((self.recipe.python_asked or self.recipe.python, self.recipe.python)):
            code, output = self.run(uv.venv_command(self.binary, version, self.venv))
            if code == 0:
                return ""
            told = output.strip().splitlines()[-1] if output.strip() else f"status {code}"
        return told

    def install(self) -> None:
        """Install the version's requirements and the server's.

        They are resolved together. Where that fails, and does not without the version's lines for what the server needs
        too, those lines give way: the environment is the one that would serve, and `environment.pins` fails with the
        difference.

        Raises:
            NeedsBuild: Something has to be built, and nothing may be.
            InstallError: The version's requirements can not be installed.
            EngineError: The package index, the disk or the base image is at fault.
        """
        recipe = self.recipe
        if needs_git(recipe.allowed) and not self._has_git():
            raise EngineError(
                "a requirement that the policy allows is fetched with git, and there is no git where it is installed",
                hint="add git to runtime.apt, or set runtime.base_image to an image with git",
            )
        code, output = self._install(recipe.requirements)
        kept = giving_way(recipe)
        if code and kept != recipe.requirements and isinstance(uv.complaint(output, code), InstallError):
            self.make_venv()  # nothing of the first attempt is there when uv asks its interpreter again
            code, output = self._install(kept)
        if code:
            raise uv.complaint(output, code)
        self._compile()

    def base_python(self) -> str:
        """Return the interpreter that the environment was made of."""
        code, output = self.run(["readlink", "-f", self.python])
        if code:
            raise EngineError(f"the environment has no interpreter: {output.strip()[-300:]}")
        return output.strip()

    def _compile(self) -> None:
        # What can not be compiled is left, as uv and pip do: packages carry files for other versions of Python.
        code, output = self.run([self.base_python(), *ISOLATED, "-c", _COMPILE, self.site_packages])
        if code and uv.disk_full(output):
            raise uv.complaint(output, code)

    def _install(self, requirements: Sequence[str]) -> tuple[int, str]:
        constraints = self.recipe.constraints
        self.write("requirements.txt", "\n".join((*self.recipe.allowed, *requirements)) + "\n")
        if constraints:
            self.write("constraints.txt", "\n".join(constraints) + "\n")
        code, output = self.run(
            uv.install_command(
                self.binary,
                self.python,
                f"{self.folder}/requirements.txt",
                server_requirements(self.recipe.requirements, server=self.recipe.server),
                builds=self.builds,
                constraints=f"{self.folder}/constraints.txt" if constraints else None,
            )
        )
        if code and not self.builds and uv.needs_build(output):
            raise NeedsBuild
        return code, output

    def _has_git(self) -> bool:
        try:
            return self.run(["git", "--version"])[0] == 0
        except EngineError:
            return False


def giving_way(recipe: Recipe) -> tuple[str, ...]:
    """Return the version's requirements without those for packages that the server needs too."""
    needed = {_name(line) for line in server_requirements(recipe.requirements, server=recipe.server)}
    return tuple(line for line in recipe.requirements if _name(line) not in needed)


def pins_of(frozen: str) -> tuple[str, ...]:
    """Return `name==version` or `name @ url` of everything that uv listed, without credentials."""
    lines = (re.sub(r"://[^/@\s]+@", "://", line.strip()) for line in frozen.splitlines())
    return tuple(line for line in lines if "==" in line or " @ " in line)


def _name(line: str) -> str:
    requirement = requirement_of(line)
    return canonicalize_name(requirement.name) if requirement else ""

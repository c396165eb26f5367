"""Installing a recipe with uv, wherever that runs: in a build container or in a folder on the host."""

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


@dataclass(frozen=True, slots=True, kw_only=True)
class Installation:
    """One virtual environment in the making.

    Attributes:
        recipe: What to install.
        binary: The uv binary, as seen by *run*.
        venv: Folder of the environment, as seen by *run*.
        folder: Where *write* puts files, as seen by *run*.
        run: Runs a command and returns its status and output.
        write: Puts a text file, by name, into *folder*.
    """

    recipe: Recipe
    binary: str
    venv: str
    folder: str
    run: Run
    write: Write

    @property
    def python(self) -> str:
        """The environment's interpreter."""
        return f"{self.venv}/bin/python"

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
        if code == 0:
            return
        kept = giving_way(recipe)
        if kept != recipe.requirements and isinstance(uv.complaint(output, code), InstallError):
            again, told = self._install(kept)
            if again == 0:
                return
            code, output = again, told
        raise uv.complaint(output, code)

    def _install(self, requirements: Sequence[str]) -> tuple[int, str]:
        constraints = self.recipe.constraints
        self.write("requirements.txt", "\n".join((*self.recipe.allowed, *requirements)) + "\n")
        if constraints:
            self.write("constraints.txt", "\n".join(constraints) + "\n")
        return self.run(
            uv.install_command(
                self.binary,
                self.python,
                f"{self.folder}/requirements.txt",
                server_requirements(self.recipe.requirements, server=self.recipe.server),
                constraints=f"{self.folder}/constraints.txt" if constraints else None,
            )
        )

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

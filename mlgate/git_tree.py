"""The files of a revision, read through the git command: nothing is checked out, nothing in the repository changes."""

import os
import posixpath
import shutil
import subprocess
from dataclasses import dataclass
from pathlib import Path
from typing import Self

from mlgate.errors import PolicyError

_LINK, _SUBMODULE = "120000", "160000"
_GIT_HINT = "give two files, or - for standard input"


@dataclass(frozen=True, slots=True, kw_only=True)
class GitTree:
    """The tree of a revision, of the repository around the working directory.

    Attributes:
        revision: As the user wrote it.
        tree: Its object id, so that all files come from one state even where a branch moves on.
    """

    revision: str
    tree: str

    @classmethod
    def of(cls, revision: str) -> Self:
        """Look a revision up.

        Raises:
            PolicyError: No git, no repository, or no such revision.
        """
        # A revision that begins with a dash would be an option of git.
        if not revision or revision.startswith("-"):
            raise PolicyError(f"'{revision}' is no revision of git", hint="write REV:PATH, such as main:mlgate.yaml")
        _git("rev-parse", "--git-dir")
        try:
            found = _git("rev-parse", "--verify", "--quiet", f"{revision}^{{tree}}")
        except PolicyError as error:
            hint = "git fetch it; a shallow clone holds few revisions"
            raise PolicyError(f"{revision} is no revision in this repository", hint=hint) from error
        return cls(revision=revision, tree=found.decode().strip())

    def place(self, path: str) -> str:
        """Return *path* from the top of the repository; one that begins with `./` or `../` is relative, as for git.

        Raises:
            PolicyError: It leads out of the repository.
        """
        prefix = _git("rev-parse", "--show-prefix").decode().strip() if path.startswith(("./", "../")) else ""
        return self._inside(posixpath.join(prefix, path), path)

    def read(self, place: str, *, limit: int) -> bytes:
        """Return the bytes of the file at *place*.

        Raises:
            PolicyError: There is no such file, or it is larger than *limit* bytes.
        """
        found = dict(self._blobs(place, place))
        if place not in found:
            raise PolicyError(
                f"there is no file {place} in {self.revision}", hint="paths are from the repository's top"
            )
        size = int(_git("cat-file", "-s", found[place]))
        if size > limit:
            raise PolicyError(f"larger than {limit} bytes")
        return _git("cat-file", "blob", found[place])

    def write(self, path: str, root: Path, *, key: str) -> None:
        """Write the file, or all files of the folder, at *path* below *root*; nothing where there is none.

        Args:
            path: From the top of the repository.
            root: Stands for the top.
            key: Of the policy, for errors.

        Raises:
            PolicyError: It leads out of the repository, or to a link or a submodule, whose files are elsewhere.
        """
        for place, blob in self._blobs(self._inside(path, f"{key}: {path}"), key):
            target = root / place
            target.parent.mkdir(parents=True, exist_ok=True)
            target.write_bytes(_git("cat-file", "blob", blob))

    def _inside(self, path: str, said: str) -> str:
        place = posixpath.normpath(path)
        if posixpath.isabs(place) or place.partition("/")[0] == "..":
            raise PolicyError(f"{said} is outside of the repository: {self.revision} does not hold it", hint=_GIT_HINT)
        return place

    def _blobs(self, place: str, said: str) -> list[tuple[str, str]]:
        """Return each file at or below *place* with its object id."""
        where = [] if place == "." else ["--", place]
        listed = _git("--literal-pathspecs", "ls-tree", "-r", "-z", "--full-tree", self.tree, *where)
        blobs = []
        for line in filter(None, os.fsdecode(listed).split("\0")):
            facts, _, name = line.partition("\t")
            mode, _, blob = facts.split(" ")
            if mode in {_LINK, _SUBMODULE}:
                kind = "a symbolic link" if mode == _LINK else "a submodule"
                raise PolicyError(
                    f"{said}: {name} is {kind} in {self.revision}: its bytes are elsewhere", hint=_GIT_HINT
                )
            blobs.append((name, blob))
        return blobs


def _git(*arguments: str) -> bytes:
    command = shutil.which("git")
    if command is None:
        raise PolicyError("git is not installed, and REV:PATH is read through it", hint=_GIT_HINT)
    done = subprocess.run([command, *arguments], capture_output=True, check=False, stdin=subprocess.DEVNULL)
    if done.returncode:
        said = done.stderr.decode(errors="replace").strip().splitlines()
        raise PolicyError(f"git {arguments[0]}: {said[-1] if said else 'failed'}", hint=_GIT_HINT)
    return done.stdout

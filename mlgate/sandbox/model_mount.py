"""How the model directory gets into the server's container."""

import os
import stat
from pathlib import Path

from mlgate.errors import EngineError
from mlgate.sandbox.hardened import USER

MODEL = "/model"


class ModelMount:
    """The model directory of this host, mounted read-only where the engine sees the same files.

    Attributes:
        path: Where the server finds it.
    """

    def __init__(self, folder: Path) -> None:
        self.path = MODEL
        self._folder = folder.resolve()

    def volumes(self) -> dict[str, dict[str, str]]:
        """Return what the server has to mount.

        Raises:
            EngineError: The sandbox's user could not read it, which would look like a broken model.
        """
        _check_readable(self._folder)
        return {str(self._folder): {"bind": MODEL, "mode": "ro"}}


def _check_readable(folder: Path) -> None:
    for parent, _, names in os.walk(folder):
        for path, needed in [(Path(parent), stat.S_IROTH | stat.S_IXOTH)] + [
            (Path(parent, name), stat.S_IROTH) for name in names
        ]:
            if path.lstat().st_mode & needed != needed and not path.is_symlink():
                raise EngineError(
                    f"{path} is not readable for the sandbox's user ({USER})", hint=f"`chmod -R o+rX {folder}`"
                )

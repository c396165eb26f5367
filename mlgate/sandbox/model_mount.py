"""How the model directory gets into the server's container."""

import os
import stat
from pathlib import Path

from mlgate.artifacts.directory import ModelDirectory, read_directory
from mlgate.errors import EngineError
from mlgate.sandbox.engine import Engine
from mlgate.sandbox.hardened import USER
from mlgate.sandbox.model_volume import MODEL, ModelVolume
from mlgate.sandbox.session import SessionTag
from mlgate.sandbox.shared_files import sees


class ModelMount:
    """The model directory of this machine, read-only: itself where the engine sees the same files, else a volume.

    Args:
        engine: Where.
        image: The environment image.
        model: The directory, digested or not; digesting it again costs what it costs.
        session: Labels of what does not outlive the run.

    Attributes:
        path: Where the server finds it.
        kind: `bind` or `volume`, once it is known.
    """

    def __init__(self, engine: Engine, image: str, model: ModelDirectory | Path, session: SessionTag) -> None:
        self.path = MODEL
        self.kind = ""
        self._engine = engine
        self._image = image
        self._model = model
        self._session = session
        self._volume: ModelVolume | None = None

    @property
    def folder(self) -> Path:
        """The directory on this machine."""
        return (self._model if isinstance(self._model, Path) else self._model.path).resolve()

    def volumes(self) -> dict[str, dict[str, str]]:
        """Return what the server has to mount.

        Raises:
            EngineError: The engine is at fault, or the sandbox's user could not read the directory, which would look like
                a broken model.
        """
        folder = self.folder
        if sees(self._engine, self._image, folder, self._session):
            self.kind = "bind"
            _check_readable(folder)
            return {str(folder): {"bind": MODEL, "mode": "ro"}}
        self.kind = "volume"
        if self._volume is None:
            if isinstance(self._model, Path):
                self._model = read_directory(folder)
            self._volume = ModelVolume(self._engine, self._image, self._model, self._session)
        return {self._volume.open(): {"bind": MODEL, "mode": "ro"}}

    def release(self) -> None:
        """Let go of a volume. May be called twice."""
        if self._volume is not None:
            self._volume.close()


def _check_readable(folder: Path) -> None:
    for parent, _, names in os.walk(folder):
        for path, needed in [(Path(parent), stat.S_IROTH | stat.S_IXOTH)] + [
            (Path(parent, name), stat.S_IROTH) for name in names
        ]:
            if path.lstat().st_mode & needed != needed and not path.is_symlink():
                raise EngineError(
                    f"{path} is not readable for the sandbox's user ({USER})", hint=f"`chmod -R o+rX {folder}`"
                )

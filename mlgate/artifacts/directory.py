"""A model directory: its files by content, and what mlgate reads of them. Nothing of it is ever imported or unpickled."""

import os
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path, PurePosixPath
from typing import BinaryIO

from mlgate.artifacts.digest import files_digest
from mlgate.artifacts.hashing import Watch, hash_files, open_descriptor
from mlgate.artifacts.mlmodel import MAX_BYTES, MLmodel, parse_mlmodel, python_version, read_yaml
from mlgate.artifacts.signature import Signature, parse_signature
from mlgate.errors import ModelDirectoryError
from mlgate.evidence import FileEntry
from mlgate.images.requirements import constraint_names

# MLflow writes it while downloading by a registered name: it names the URI, not the model.
NOT_THE_MODEL = frozenset({"registered_model_meta"})
MAX_FILES = 100_000
MAX_DEPTH = 64
MAX_REQUIREMENTS_BYTES = 1024 * 1024
MAX_EXAMPLE_BYTES = 64 * 1024 * 1024
_SERVING_EXAMPLE = "serving_input_example.json"


@dataclass(frozen=True, slots=True, kw_only=True)
class ModelDirectory:
    """The directory of one model version, read on the host as data.

    Attributes:
        path: Where it lies.
        digest: `sha256:` over the canonical JSON of *files*.
        files: Every file, sorted by path; paths are relative with `/`.
        mlmodel: What its `MLmodel` says.
        requirements: Lines of `requirements.txt` as they stand; empty where there is none.
        constraint_files: Lines of the files that `-c` lines of *requirements* name, by path below the directory.
        conda_only: There is a conda environment and no `requirements.txt`: the image builder has nothing to install.
        serving_example: The logged example as a request body for `/invocations`.
        python_version: Python that the version was saved under, `3.11` or `3.11.4`.
    """

    path: Path
    digest: str
    files: tuple[FileEntry, ...]
    mlmodel: MLmodel
    requirements: tuple[str, ...] = ()
    constraint_files: Mapping[str, tuple[str, ...]] = field(default_factory=dict)
    conda_only: bool = False
    serving_example: bytes | None = None
    python_version: str | None = None

    @property
    def signature(self) -> Signature:
        """The model's signature.

        Raises:
            ModelDirectoryError: It is malformed; the message names the place.
        """
        return parse_signature(self.mlmodel.raw)


def read_directory(path: Path, *, watch: Watch | None = None) -> ModelDirectory:
    """Digest and read a model directory.

    Args:
        path: The directory.
        watch: Told bytes digested and bytes in all while it lasts; `digest_bar` gives one.

    Raises:
        ModelDirectoryError: No `MLmodel`, a symbolic link, a special file, a file that changed while it was digested, or
            one that says what mlgate refuses.
    """
    require_mlmodel(path)
    names = walk(path)
    files = digest_files(path, names, watch=watch)
    mlmodel = parse_mlmodel(_read(path, "MLmodel", MAX_BYTES) or b"")
    requirements = _lines(_read(path, "requirements.txt", MAX_REQUIREMENTS_BYTES), "requirements.txt")
    example = mlmodel.serving_example or _SERVING_EXAMPLE
    return ModelDirectory(
        path=path,
        digest=files_digest(files),
        files=files,
        mlmodel=mlmodel,
        requirements=requirements,
        constraint_files=_constraint_files(path, requirements, names),
        conda_only="requirements.txt" not in names and (mlmodel.conda_env or "conda.yaml") in names,
        serving_example=_read(path, example, MAX_EXAMPLE_BYTES) if example in names else None,
        python_version=mlmodel.python_version or _python_of_environment(path, mlmodel, names),
    )


def require_mlmodel(path: Path) -> None:
    """Refuse a directory without an `MLmodel` file, before anything else in it is looked at.

    Raises:
        ModelDirectoryError: There is none.
    """
    if not (path / "MLmodel").is_file():
        raise ModelDirectoryError(f"{path} has no MLmodel file", hint="name a directory written by mlflow's save_model")


def walk(root: Path) -> tuple[str, ...]:
    """Return the relative paths of the regular files below *root*, sorted, without `NOT_THE_MODEL`.

    Any symbolic link is refused, also one that stays inside: what it points to can change between digest and mount.

    Raises:
        ModelDirectoryError: A link, a special file, a name that is no printable UTF-8, or too many files.
    """
    names: list[str] = []
    for name in _walk(root, "", 0):
        if name not in NOT_THE_MODEL:
            names.append(name)
        if len(names) > MAX_FILES:
            raise ModelDirectoryError(f"{root} has more than {MAX_FILES} files")
    return tuple(sorted(names))


def _walk(root: Path, folder: str, depth: int) -> Iterator[str]:
    if depth > MAX_DEPTH:
        raise ModelDirectoryError(f"{root} nests deeper than {MAX_DEPTH} folders")
    try:
        with os.scandir(root / folder) as found:
            entries = list(found)
    except OSError as error:
        raise ModelDirectoryError(f"{root / folder} can not be read ({error.strerror})") from error
    for entry in entries:
        name = f"{folder}{entry.name}"
        if not entry.name.isprintable() or "\\" in entry.name:
            raise ModelDirectoryError(f"{root} holds a file named {name!r}: rename it to printable characters")
        if entry.is_symlink():
            raise ModelDirectoryError(
                f"{root / name} is a symbolic link, and a model directory holds files only",
                hint="copy the directory with its targets: cp -rL",
            )
        if entry.is_dir(follow_symlinks=False):
            yield from _walk(root, f"{name}/", depth + 1)
        elif entry.is_file(follow_symlinks=False):
            yield name
        else:
            raise ModelDirectoryError(f"{root / name} is neither a file nor a folder")


def open_regular(path: Path) -> BinaryIO:
    """Open a regular file for reading, and nothing that took its place since it was listed.

    Raises:
        ModelDirectoryError: It is a link or special by now, or can not be read.
    """
    return os.fdopen(open_descriptor(path), "rb")


def digest_files(root: Path, names: Sequence[str], *, watch: Watch | None = None) -> tuple[FileEntry, ...]:
    """Return size and sha256 of the files *names* below *root*, on every core.

    Args:
        root: A folder.
        names: Relative paths, as of `walk`.
        watch: Told bytes done and bytes in all while it lasts; `digest_bar` gives one.

    Raises:
        ModelDirectoryError: A file is gone, can not be read, or changed while it was digested.
    """
    return hash_files(root, names, watch=watch)


def _read(root: Path, name: str, limit: int) -> bytes | None:
    if not (root / name).exists():
        return None
    with open_regular(root / name) as file:
        raw = file.read(limit + 1)
    if len(raw) > limit:
        raise ModelDirectoryError(f"{root / name} is larger than {limit} bytes")
    return raw


def _lines(raw: bytes | None, name: str) -> tuple[str, ...]:
    try:
        return tuple((raw or b"").decode("utf-8-sig").splitlines())
    except UnicodeDecodeError as error:
        raise ModelDirectoryError(f"{name} is not UTF-8") from error


def _constraint_files(root: Path, requirements: Sequence[str], names: Sequence[str]) -> dict[str, tuple[str, ...]]:
    # Only what was listed, so nothing outside can be named; what is not here is refused with its line by the recipe.
    asked = {str(PurePosixPath(name)) for name in constraint_names(requirements)} & set(names)
    return {name: _lines(_read(root, name, MAX_REQUIREMENTS_BYTES), name) for name in sorted(asked)}


def _python_of_environment(root: Path, mlmodel: MLmodel, names: Sequence[str]) -> str | None:
    name = mlmodel.virtualenv_env or "python_env.yaml"
    if name not in names:
        return None
    document = read_yaml(_read(root, name, MAX_REQUIREMENTS_BYTES) or b"", name=name)
    version = document.get("python") if isinstance(document, dict) else None
    return python_version(None if version is None else str(version), place=f"{name}: python")

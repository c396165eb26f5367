"""Requirement lines: which of them are safe to hand to an installer, and which only the policy can let through. Pure."""

import re
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import PurePosixPath
from typing import cast

from packaging.markers import default_environment
from packaging.requirements import InvalidRequirement, Requirement

from mlgate.errors import InstallError

_COMMENT = re.compile(r"(^|\s)#.*$")
_HASH_OPTION = re.compile(r"\s--hash=[A-Za-z0-9]+:[0-9a-fA-F]+")
_CONSTRAINT = re.compile(r"(?:-c|--constraint)(?:\s*=\s*|\s+|(?<=-c))(?P<name>.+)")
_OPTION = re.compile(r"(?P<option>--[A-Za-z][\w-]*|-[A-Za-z])(?:\s*=\s*|\s+)?(?P<value>.*)")
_REMOTE = re.compile(r"((git|hg|svn|bzr)\+)?(https?|ssh|git|ftp)://|git\+git@")
_VERSION_CONTROL = re.compile(r"(?:^|@\s*|\s)(git|hg|svn|bzr)\+")
_ARCHIVE = re.compile(r"\.(whl|zip|tar\.\w+|tgz|txt)$", re.IGNORECASE)
# Options of a requirements file that take a place to fetch from; the rest take a word, or nothing.
_PLACES = frozenset(
    {"-i", "--index-url", "--extra-index-url", "-f", "--find-links", "-e", "--editable", "-r", "--requirement"}
)
# Builds of an accelerator are told by their local version: `torch==2.3.0+cu121`.
_GPU_VERSION = re.compile(r"\+(cu\d+|cuda|rocm|xpu|gpu)", re.IGNORECASE)
# These link against the driver's libraries or look for a device on import. Not the `nvidia-…` wheels, which torch brings
# along and which load without a device.
_GPU_NAME = re.compile(
    r"(cupy|cudf|dask-cudf|cuml|cugraph|cuspatial|cuvs|cuxfilter|pylibraft|raft-dask|tensorrt|faiss-gpu|mxnet-cu)"
    r"(-?cu\d+|-.*|\d.*)?|onnxruntime-gpu|tensorflow-gpu|tf-nightly-gpu|tensorflow-rocm|nvidia-tensorrt|torch-tensorrt"
    r"|paddlepaddle-gpu|dask-cuda|pycuda|flash-attn|nvidia-dali.*|jax-(cuda|rocm).*"
)
_GPU_EXTRA = re.compile(r"(cuda|rocm|gpu)[\w-]*")
_HINT = (
    "name the package and its version, and let the index be set by the host (UV_DEFAULT_INDEX); "
    "or list this line under runtime.allow_requirements in the policy"
)


@dataclass(frozen=True, slots=True, kw_only=True)
class Vetted:
    """The lines of a `requirements.txt`, sorted by what vouches for them.

    Attributes:
        named: Packages by name and version (PEP 508): an index vouches for them.
        allowed: What only the policy vouches for: URLs and options, as the installer gets them.
        constraints: Lines of the constraint files that it names, of the model directory.
    """

    named: tuple[str, ...] = ()
    allowed: tuple[str, ...] = ()
    constraints: tuple[str, ...] = ()


def vet(
    lines: Sequence[str],
    *,
    python: str,
    allow: Iterable[str] = (),
    constraint_files: Mapping[str, Sequence[str]] | None = None,
    place: str = "requirements.txt",
) -> Vetted:
    """Sort the requirement *lines*, or refuse.

    Args:
        lines: As they stand in the file; a line that ends in a backslash goes on in the next.
        python: Minor version that they are installed for: a line for another Python or system can not need a GPU.
        allow: Lines that the policy lets through, compared without comments and with single spaces.
        constraint_files: Lines of the files that `-c` may name, by path below the model directory.
        place: The file's name, for messages.

    Raises:
        InstallError: A line would fetch or run something that no index vouches for, needs a GPU, or can not be
            installed in a container at all; it is named with its number.
    """
    permitted = {normalised(line) for line in allow}
    named: list[str] = []
    allowed: list[str] = []
    constraints: list[str] = []
    for number, line in logical_lines(lines):
        where = f"{place}:{number}: '{line}'"
        if (match := _CONSTRAINT.fullmatch(line)) is not None:
            inner = _constraints(match["name"], where, constraint_files or {})
            found = vet(inner, python=python, allow=allow, place=match["name"])
            constraints += [*found.named, *found.allowed]
            continue
        never = _impossible(line)
        if never:
            raise InstallError(f"{where} is refused: {never}", hint="log the model again without it")
        why = _objection(line, python)
        if why and line not in permitted:
            raise InstallError(f"{where} is refused: {why}", hint=_HINT)
        # An editable install of a checkout that nobody can edit is an ordinary one, and uv does the latter only.
        (named if _is_named(line) else allowed).append(re.sub(r"^(-e|--editable)[\s=]\s*", "", line))
    return Vetted(named=tuple(named), allowed=tuple(allowed), constraints=tuple(constraints))


def logical_lines(lines: Sequence[str]) -> Iterator[tuple[int, str]]:
    """Yield number and text of each line that says something: comments cut, continuations joined, single spaces.

    Raises:
        InstallError: The last line goes on in a line that is not there.
    """
    started, pending = 0, ""
    for number, raw in enumerate(lines, start=1):
        text = _COMMENT.sub("", raw.strip()).strip()
        started = started if pending else number
        pending = f"{pending} {text.removesuffix(chr(92))}"
        if text.endswith("\\"):
            continue
        if pending.strip():
            yield started, normalised(pending)
        pending = ""
    if pending:
        raise InstallError(
            f"requirements.txt:{started}: '{lines[started - 1].strip()}' is refused: it ends in a backslash",
            hint="the line that it goes on in is missing",
        )


def normalised(line: str) -> str:
    """Return *line* without comment and continuations, with single spaces: what lines are compared by."""
    return " ".join(_COMMENT.sub("", re.sub(r"\\\s*(\n|$)", " ", line)).split())


def constraint_names(lines: Sequence[str]) -> tuple[str, ...]:
    """Return the paths that `-c` options among *lines* name, as they stand."""
    texts = (normalised(line) for line in lines)
    return tuple(match["name"] for text in texts if (match := _CONSTRAINT.fullmatch(text)))


def requirement_of(line: str) -> Requirement | None:
    """Return the requirement that *line* is by PEP 508, hashes left out, or `None`."""
    try:
        return Requirement(_HASH_OPTION.sub("", line))
    except InvalidRequirement:
        return None


def environment_of(python: str | None) -> dict[str, str]:
    """Return the marker environment of an image with *python* (full or minor version); `None`: this interpreter's."""
    environment = cast("dict[str, str]", default_environment())
    if python is None:
        return environment
    minor = ".".join(python.split(".")[:2])
    full = python if python.count(".") > 1 else f"{minor}.0"
    return environment | {"python_full_version": full, "python_version": minor}


def needs_git(lines: Sequence[str]) -> bool:
    """Return whether one of the *lines* fetches from a git repository."""
    return any(_VERSION_CONTROL.search(line) for line in lines)


def _is_named(line: str) -> bool:
    requirement = requirement_of(line)
    return requirement is not None and requirement.url is None


def _constraints(name: str, where: str, files: Mapping[str, Sequence[str]]) -> Sequence[str]:
    found = files.get(str(PurePosixPath(name)))
    if found is None:
        raise InstallError(
            f"{where} is refused: it names no file of the model directory",
            hint="log the model again with the constraints among its pip_requirements",
        )
    return found


def _objection(line: str, python: str) -> str:
    """Return why *line* needs the policy's word, or nothing."""
    if (option := _OPTION.match(line)) is not None:
        return f"the option {option['option']} may fetch or run something else"
    requirement = requirement_of(line)
    if requirement is None:
        if _VERSION_CONTROL.match(line):
            return "it fetches from version control"
        if "://" in line.split(" --", maxsplit=1)[0]:
            return "it is a URL"
        return "an option on a requirement may fetch or run something else"
    if requirement.url:
        return "it names a URL in place of a version"
    return _gpu(requirement, python)


def _gpu(requirement: Requirement, python: str) -> str:
    if requirement.marker is not None and not requirement.marker.evaluate(environment_of(python)):
        return ""
    name = re.sub(r"[-_.]+", "-", requirement.name).lower()
    found = (
        _GPU_NAME.fullmatch(name)
        or _GPU_VERSION.search(str(requirement.specifier))
        or any(_GPU_EXTRA.fullmatch(extra) for extra in requirement.extras)
    )
    return "it needs a GPU, and models are served on linux/amd64 CPUs" if found else ""


def _impossible(line: str) -> str:
    """Return why no policy can let *line* through, or nothing."""
    if "${" in line:
        return "the build has no variables to fill in"
    place = line
    if (option := _OPTION.match(line)) is not None:
        if option["option"] not in _PLACES:
            return ""
        place = option["value"]
    elif (requirement := requirement_of(line)) is not None:
        # By its letters the name of a wheel is one of a package, and an installer looks for the file.
        place = requirement.url or (line if _ARCHIVE.search(requirement.name) else "https://")
    elif requirement_of(line.split(" --", maxsplit=1)[0]) is not None:
        return ""
    version_control = _VERSION_CONTROL.search(place)
    if version_control is not None and version_control[1] != "git":
        return f"the installer (uv) fetches from git only, not from {version_control[1]}"
    if _REMOTE.match(place):
        return ""
    if re.search(r"[/\\]|^\.|^file:", place) or _ARCHIVE.search(place):
        return "it is a local path, and the environment is built where neither this host's files nor the model are"
    return "it is a path, or not a requirement (PEP 508)"

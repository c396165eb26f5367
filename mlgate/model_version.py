"""Model URIs, and the one model version that a URI was resolved to. Pure."""

import re
from dataclasses import dataclass
from pathlib import Path
from typing import Self

from mlgate.errors import UriError

FORMS = "models:/name/3, models:/name@alias, models:/m-…, runs:/<run id>/<path>, or a model directory"
_SHOWN = 60


@dataclass(frozen=True, slots=True, kw_only=True)
class ModelUri:
    """A parsed model URI: exactly one of the four ways to name a version is set.

    Attributes:
        text: As it was given.
        name: Registered model, with *version* or *alias*.
        model_id: A logged model, `m-…`.
        run_id: A run, with *path* below its artifacts.
        directory: A model directory on this machine: tested, never promotable.
    """

    text: str
    name: str | None = None
    version: str | None = None
    alias: str | None = None
    model_id: str | None = None
    run_id: str | None = None
    path: str | None = None
    directory: Path | None = None

    @classmethod
    def parse(cls, text: str) -> Self:
        """Read a model URI.

        Raises:
            UriError: None of the forms.
        """
        if match := re.fullmatch(r"models:/+(m-[0-9a-zA-Z]+)", text):
            return cls(text=text, model_id=match[1])
        # Databases keep versions in 32 bits; they do not say that there is none above, they fail.
        if match := re.fullmatch(r"models:/+([^/:@]+)/(0|[1-9][0-9]{0,8})", text):
            return cls(text=text, name=match[1], version=match[2])
        if match := re.fullmatch(r"models:/+([^/:@]+)@([\w-]+)", text):
            return cls(text=text, name=match[1], alias=match[2])
        if match := re.fullmatch(r"runs:/+([0-9a-zA-Z_-]+)/(.+)", text):
            return cls(text=text, run_id=match[1], path=match[2])
        if text and not re.match(r"[a-zA-Z][a-zA-Z0-9+.-]+:", text):
            directory = _directory(text)
            if directory is not None:
                return cls(text=text, directory=directory)
            raise UriError(f"'{text}' is no model URI and no directory", hint=f"write {FORMS}")
        raise UriError(f"'{text}' is not a model URI", hint=f"write {FORMS}")


def alias_name(text: str) -> str:
    """Return *text*, where MLflow takes it for an alias.

    Raises:
        UriError: It does not: asked before anything is written.
    """
    if not re.fullmatch(r"[\w-]{1,255}", text) or re.fullmatch(r"latest|v[0-9]+", text, re.IGNORECASE):
        shown = text if len(text) <= _SHOWN else f"{text[:_SHOWN]}…"
        raise UriError(
            f"'{shown}' is no alias",
            hint="1 to 255 letters, digits, _ and -; not latest and not v1, which are MLflow's own",
        )
    return text


def _directory(text: str) -> Path | None:
    try:
        directory = Path(text).expanduser()
        return directory.resolve() if directory.is_dir() else None
    except (OSError, RuntimeError):  # a name that is too long, or the home of a user that does not exist
        return None


@dataclass(frozen=True, slots=True, kw_only=True)
class ModelVersion:
    """What a URI was resolved to, once. An alias is never looked up again after this.

    Attributes:
        uri: Canonical: `models:/name/3`, `models:/m-…`, `runs:/…` or a directory.
        name: Registered model; `None` for a logged model, a run or a directory.
        version: Registered version, decimal text.
        model_id: MLflow's logged model, where there is one.
        source_run_id: Run that logged it, where there is one.
        location: Where the artifacts are: an artifact URI, or a directory.
        description: The registry's description text.
    """

    uri: str
    name: str | None
    version: str | None
    model_id: str | None
    source_run_id: str | None
    location: str
    description: str = ""

    @property
    def promotable(self) -> bool:
        """Whether the registry has a place for tags and aliases: only registered versions do."""
        return self.name is not None and self.version is not None

    @property
    def label(self) -> str:
        """A short name for folders and titles: `churn-3`."""
        if self.name and self.version:
            return f"{self.name}-{self.version}"
        return re.sub(r"[^A-Za-z0-9_.-]+", "-", self.uri.removeprefix("models:/")).strip("-.") or "model"

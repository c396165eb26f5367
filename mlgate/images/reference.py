"""References of images, `registry:5000/team/churn:3`. Pure.

Grammar: https://github.com/distribution/reference/blob/main/reference.go
"""

import re
from dataclasses import dataclass
from typing import Self

from mlgate.errors import ConfigError

MAX_NAME = 255
_LABEL = r"[A-Za-z0-9](?:[A-Za-z0-9-]*[A-Za-z0-9])?"
_HOST = re.compile(rf"(?:{_LABEL}(?:\.{_LABEL})*|\[[0-9a-fA-F:]+\])(?::[0-9]+)?")
_COMPONENT = r"[a-z0-9]+(?:(?:[._]|__|-+)[a-z0-9]+)*"
_PATH = re.compile(rf"{_COMPONENT}(?:/{_COMPONENT})*")
_TAG = re.compile(r"[A-Za-z0-9_][A-Za-z0-9_.-]{0,127}")
_EXAMPLE = "registry.example.com/team/churn:3"


@dataclass(frozen=True, slots=True, kw_only=True)
class ImageReference:
    """A name and a tag.

    Attributes:
        registry: Host, with port where there is one; `None` where the name has none and stays on the engine.
        path: Repository below it: `team/churn`.
        tag: `3`.
    """

    registry: str | None
    path: str
    tag: str

    @classmethod
    def parse(cls, text: str) -> Self:
        """Read a reference with a tag.

        Raises:
            ConfigError: It is none, has no tag, or names a digest.
        """
        if "@" in text:
            if not re.search(r"@\w+:[0-9a-fA-F]+$", text):
                # Perhaps a login before the host, which must not be printed.
                raise ConfigError("an image reference holds no @", hint="docker login knows who you are")
            raise ConfigError(f"'{text}' names a digest; a new image gets a tag", hint=f"write it like {_EXAMPLE}")
        name, colon, tag = text.rpartition(":")
        if not colon or "/" in tag:
            # Docker would say `latest`, and then nobody can name the version.
            raise ConfigError(f"'{text}' has no tag", hint=f"write it like {text or 'churn'}:3")
        first, slash, rest = name.partition("/")
        # As docker tells a host from a folder: a dot, a port, or localhost.
        registry = first if slash and ("." in first or ":" in first or first == "localhost") else None
        path = rest if registry else name
        if registry is not None and not _HOST.fullmatch(registry):
            raise ConfigError(f"'{text}' is not an image reference: '{registry}' is no host", hint=f"like {_EXAMPLE}")
        if not _PATH.fullmatch(path) or len(name) > MAX_NAME:
            raise ConfigError(
                f"'{text}' is not an image reference: a name is lower-case letters, digits and . _ - between slashes",
                hint=f"write it like {_EXAMPLE}",
            )
        if not _TAG.fullmatch(tag):
            raise ConfigError(
                f"'{text}' is not an image reference: a tag is up to 128 letters, digits and . _ -",
                hint=f"write it like {_EXAMPLE}",
            )
        return cls(registry=registry, path=path, tag=tag)

    @property
    def name(self) -> str:
        """Registry and path, without the tag."""
        return f"{self.registry}/{self.path}" if self.registry else self.path

    def __str__(self) -> str:
        return f"{self.name}:{self.tag}"

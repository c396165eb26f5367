"""An image that somebody else built (`--mlgate-image`): what is known of it, and how that is read from what it says. Pure."""

import json
import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from itertools import pairwise
from typing import Any

from mlgate.evidence import ImageFacts
from mlgate.images.facts import FACTS_LABEL
from mlgate.images.labels import RECIPE_DIGEST_LABEL

ORIGIN = "given"
# More than any environment holds; an image may print what it likes.
MAX_PINS = 10_000
_PIN = re.compile(r"[A-Za-z0-9][A-Za-z0-9._-]{0,200}(==[^\s]{1,100}| @ [^\s]{1,500})")
_PYTHON = re.compile(r"\d+\.\d+\.\d+\S{0,20}")
# What runs in the image to have it list itself; standard library only, Python 3.8 and later.
LISTING = """
import importlib.metadata, json, platform
pins = {}
for found in importlib.metadata.distributions():
    name, version = found.metadata["Name"], found.version
    if not name or not version or name in pins:
        continue
    direct = json.loads(found.read_text("direct_url.json") or "{}")
    url, vcs = direct.get("url", ""), direct.get("vcs_info")
    if vcs:
        url = "%s+%s@%s" % (vcs.get("vcs"), url, vcs.get("commit_id"))
    pins[name] = "%s==%s" % (name, version) if not url or url.startswith("file:") else "%s @ %s" % (name, url)
print(json.dumps({"python": platform.python_version(), "pins": sorted(pins.values())}))
"""


@dataclass(frozen=True, slots=True, kw_only=True)
class Contents:
    """What an image holds, as its own Python tells; empty where it has none or tells nothing."""

    python: str = ""
    pins: tuple[str, ...] = ()


@dataclass(frozen=True, slots=True, kw_only=True)
class GivenImage:
    """One image, as it stood when the run began: its tag may move, this does not.

    Attributes:
        name: As it was given: `registry.example.com/churn:3`.
        reference: What the engine knows it by, and what containers are made of.
        registry_digest: Digest of its manifest in a registry; empty where it was never pushed or pulled.
        platform: `linux/amd64`.
        command: Entry point and command.
        environment: Names of the variables that it sets.
        ports: TCP ports that it declares.
        volumes: Folders that it declares as volumes.
        labels: What it says of itself.
        contents: What is installed in it.
        model_digest: Artifact digest of the model directory in it; empty where there is none.
        python_asked: Full version of Python that the model version names; empty where it names none.
    """

    name: str
    reference: str
    platform: str
    registry_digest: str = ""
    command: tuple[str, ...] = ()
    environment: frozenset[str] = frozenset()
    ports: tuple[int, ...] = ()
    volumes: tuple[str, ...] = ()
    labels: Mapping[str, str]
    contents: Contents = Contents()
    model_digest: str = ""
    python_asked: str = ""

    def facts(self, *, threads: int) -> ImageFacts:
        """Return what the evidence says of it. *threads* is what mlgate's own server would be told, and so not used."""
        del threads
        told = self._told()
        return ImageFacts(
            recipe_digest=self.labels.get(RECIPE_DIGEST_LABEL, "") if told else "",
            image_digest=self.reference,
            base=str(told.get("base", "")),
            base_digest=str(told.get("base_digest", "")),
            python=self.contents.python,
            platform=self.platform,
            pins=self.contents.pins,
            apt=(),
            server=f"own entry point: {' '.join(' '.join(self.command).split())}"[:300],
            threads=_threads(self.command),
            registry_digest=self.registry_digest,
            origin=ORIGIN,
            python_asked=self.python_asked,
            model_digest=self.model_digest,
        )

    def _told(self) -> Mapping[str, Any]:
        """Return what mlgate wrote on the environment that it is made from, where that still is what is in it.

        An image that somebody built on top of ours carries our labels too.
        """
        try:
            told: dict[str, Any] = json.loads(self.labels.get(FACTS_LABEL, ""))
            same = told["python"] == self.contents.python and set(told["pins"]) == set(self.contents.pins)
        except (ValueError, KeyError, TypeError, AttributeError):
            return {}
        return told if same else {}


def from_attributes(attributes: Mapping[str, Any], *, name: str) -> GivenImage:
    """Read what the engine says of an image.

    Args:
        attributes: The answer of `GET /images/{name}/json`.
        name: As it was given.
    """
    config: Mapping[str, Any] = attributes.get("Config") or {}
    ports = [port.partition("/")[0] for port in config.get("ExposedPorts") or {} if not port.endswith("/udp")]
    return GivenImage(
        name=name,
        reference=attributes["Id"],
        platform=f"{attributes.get('Os')}/{attributes.get('Architecture')}",
        registry_digest=registry_digest(attributes.get("RepoDigests") or [], name),
        command=(*(config.get("Entrypoint") or ()), *(config.get("Cmd") or ())),
        environment=frozenset(line.partition("=")[0] for line in config.get("Env") or ()),
        ports=tuple(sorted(int(port) for port in ports if port.isdigit())),
        volumes=tuple(sorted(config.get("Volumes") or ())),
        labels=dict(config.get("Labels") or {}),
    )


def registry_digest(repo_digests: Sequence[str], name: str) -> str:
    """Return the digest under which a registry has the image: that of the repository in *name*, else of any.

    Args:
        repo_digests: `registry/path@sha256:…`, as the engine remembers from pushes and pulls.
        name: As the image was given.
    """
    pairs = [(repository, digest) for repository, at, digest in (text.partition("@") for text in repo_digests) if at]
    if "@" in name:
        given = name.partition("@")[2]
        return given if given in [digest for _, digest in pairs] else ""
    head, colon, tag = name.rpartition(":")
    repository = head if colon and "/" not in tag else name
    ours = [digest for known, digest in pairs if known in (repository, f"docker.io/library/{repository}")]
    return next(iter([*ours, *(digest for _, digest in pairs)]), "")


def interpreters(command: Sequence[str]) -> tuple[tuple[str, ...], ...]:
    """Return the commands that may run a Python program in an image, the likeliest first; the program is the next word.

    Args:
        command: Its entry point and command: what serves is often the interpreter itself.
    """
    own = [(word, "-c") for word in command[:1] if re.fullmatch(r"(.*/)?python[0-9.]*", word)]
    # MLflow's own images serve out of an environment that a shell enters.
    entered = ("bash", "-c", '. /opt/activate || . /miniconda/bin/activate custom_env && exec python -c "$0"')
    if own and own[0][0].startswith("/"):
        return tuple(own)
    usual = (("/opt/venv/bin/python", "-c"), ("python", "-c"), ("python3", "-c"))
    return tuple(dict.fromkeys((entered, *own, *usual)))


def read_listing(output: str) -> Contents | None:
    """Read what `LISTING` printed last; `None` where that is something else."""
    try:
        said = json.loads(output.strip().splitlines()[-1])
        python, pins = said["python"], said["pins"]
        if not _PYTHON.fullmatch(python) or not 0 < len(pins) <= MAX_PINS:
            return None
        if not all(_PIN.fullmatch(pin) for pin in pins):
            return None
    except (ValueError, KeyError, TypeError, IndexError, RecursionError):
        return None
    return Contents(python=python, pins=tuple(sorted({_pin(pin) for pin in pins})))


def _pin(text: str) -> str:
    """Return the pin as uv writes it: the name normalised (PEP 503), without credentials."""
    name, separator, rest = text.partition(" @ ") if " @ " in text else text.partition("==")
    return re.sub(r"[-_.]+", "-", name).lower() + separator + re.sub(r"://[^/@\s]+@", "://", rest)


def _threads(command: Sequence[str]) -> int:
    """Return the threads that an image of ours is told to use; 0 where nobody knows."""
    said = dict(pairwise(command)).get("--threads", "")
    return int(said) if said.isdigit() and len(said) < 6 else 0

"""How Debian packages are added to an image in the making. Pure."""

import shlex
from collections.abc import Mapping, Sequence

from mlgate.errors import EngineError

# Lists, archives and logs would stay in the layer: tens of megabytes, and a clock that makes each build another one.
_CLEAN = (
    "rm -rf /var/lib/apt/lists/* /var/cache/apt/*.bin /var/cache/apt/archives/*.deb /var/cache/apt/archives/partial/*"
    " /var/log/apt/* /var/log/dpkg.log /var/log/alternatives.log /var/cache/debconf/*-old /var/lib/dpkg/*-old"
)


def apt_script(packages: Sequence[str], *, ca: str | None) -> str:
    """Return the shell script that installs *packages*, with versions where they name some, and leaves only them.

    Args:
        packages: `libgomp1` or `libgomp1=12.2.0-14`.
        ca: Path of the certificate bundle for https mirrors.
    """
    # A mirror that is busy for a moment is no reason to fail a build.
    option = "-o Acquire::Retries=3 " + (f"-o Acquire::https::CAInfo={shlex.quote(ca)} " if ca else "")
    return (
        f"apt-get {option}-q update && DEBIAN_FRONTEND=noninteractive apt-get {option}-q install -y"
        f" --no-install-recommends {shlex.join(packages)}; status=$?; {_CLEAN}; exit $status"
    )


def apt_environment(environ: Mapping[str, str]) -> dict[str, str]:
    """Return the proxies of *environ* under the names that apt reads: it knows the lower case only."""
    names = ("http_proxy", "https_proxy", "all_proxy", "no_proxy")
    found = {name: environ.get(name) or environ.get(name.upper(), "") for name in names}
    return {name: value for name, value in found.items() if value}


def apt_complaint(packages: Sequence[str], output: str) -> EngineError:
    """Return the error that apt's *output* stands for."""
    lines = output.splitlines()
    place = next((place for place, line in enumerate(lines) if line.startswith(("E:", "Err:"))), None)
    # The reason of an "Err:" stands in the line below it, indented.
    words = ["no reason given"] if place is None else [lines[place], *lines[place + 1 : place + 2]]
    told = " ".join(word.strip() for word in words if word is words[0] or word.startswith(" "))
    return EngineError(
        f"apt can not install {shlex.join(packages)}: {told}",
        hint="look at runtime.apt in the policy and at the network of the engine",
    )

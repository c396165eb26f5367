"""What was asked for against what was installed. Pure."""

import re
from collections.abc import Sequence

from packaging.requirements import Requirement
from packaging.utils import canonicalize_name
from packaging.version import InvalidVersion, Version

from mlgate.images.requirements import environment_of, logical_lines, requirement_of


def pin_differences(requirements: Sequence[str], pins: Sequence[str], *, python: str | None = None) -> tuple[str, ...]:
    """Return where the environment is not what the version asked for.

    Args:
        requirements: The version's requirement lines. Options are not compared: they name no package.
        pins: `name==version` or `name @ url` of everything installed.
        python: Full version of the environment's Python, for markers; `None`: this interpreter's.

    Returns:
        One line each: `numpy: asked ==1.26.4, installed 2.1.0`.
    """
    installed = dict(_pin(line) for line in pins)
    differences = []
    for line in asked_lines(requirements):
        requirement = requirement_of(line)
        if requirement is None:
            if not any(_same_place(line, found) for found in installed.values()):
                differences.append(f"{_without_credentials(line)}: not installed")
            continue
        if requirement.marker is not None and not requirement.marker.evaluate(environment_of(python)):
            continue
        found = installed.get(canonicalize_name(requirement.name))
        if found is None or not _satisfies(requirement, found):
            asked = _without_credentials(requirement.url or "") or str(requirement.specifier) or "any version"
            has = f"installed {found}" if found else "not installed"
            differences.append(f"{requirement.name}: asked {asked}, {has}")
    return tuple(differences)


def asked_lines(requirements: Sequence[str]) -> tuple[str, ...]:
    """Return the lines that ask for a package: without comments and options, continuations joined."""
    texts = (text.removeprefix("-e ").removeprefix("--editable ") for _, text in logical_lines(requirements))
    return tuple(text for text in texts if not text.startswith("-"))


def patch_difference(asked: str, installed: str) -> str:
    """Return `Python 3.11.8 asked, 3.11.2 used`, or nothing where they are the same or no patch was asked for."""
    if not asked or asked == installed:
        return ""
    return f"Python {asked} asked, {installed} used: the patch differs"


def _pin(line: str) -> tuple[str, str]:
    name, _, version = line.replace(" @ ", "==", 1).partition("==")
    return canonicalize_name(name.strip()), version.strip()


def _satisfies(requirement: Requirement, version: str) -> bool:
    if requirement.url is not None:
        return _same_place(requirement.url, version)
    try:
        return requirement.specifier.contains(Version(version), prereleases=True)
    except InvalidVersion:
        return not requirement.specifier


def _same_place(asked: str, installed: str) -> bool:
    """Return whether something was installed from the URL *asked*; the commit that a branch stood for counts as it."""
    return "://" in asked and _place(asked) == _place(installed)


def _place(url: str) -> str:
    path = _without_credentials(url).split("#")[0].split(" ")[0]
    scheme, _, rest = path.partition("://")
    return f"{scheme}://{rest.rpartition('@')[0] or rest}"


def _without_credentials(url: str) -> str:
    return re.sub(r"://[^/@\s]+@", "://", url)

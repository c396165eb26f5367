"""What was asked for against what was installed. Pure."""

from collections.abc import Sequence
from typing import cast

from packaging.markers import default_environment
from packaging.requirements import InvalidRequirement, Requirement
from packaging.utils import canonicalize_name
from packaging.version import InvalidVersion, Version


def pin_differences(requirements: Sequence[str], pins: Sequence[str], *, python: str | None = None) -> tuple[str, ...]:
    """Return where the environment is not what the version asked for.

    Args:
        requirements: The version's requirement lines.
        pins: `name==version` of everything installed.
        python: Full version of the environment's Python, for markers; `None`: this interpreter's.

    Returns:
        One line each: `numpy: asked ==1.26.4, installed 2.1.0`.
    """
    environment = cast("dict[str, str]", default_environment())
    if python is not None:
        environment |= {"python_full_version": python, "python_version": ".".join(python.split(".")[:2])}
    installed = dict(_pin(line) for line in pins)
    differences = []
    for line in requirements:
        try:
            requirement = Requirement(line.split(" --hash=")[0].strip())
        except InvalidRequirement:
            continue
        if requirement.marker is not None and not requirement.marker.evaluate(environment):
            continue
        found = installed.get(canonicalize_name(requirement.name))
        if found is None or not _satisfies(requirement, found):
            asked = str(requirement.specifier) or "any version"
            has = f"installed {found}" if found else "not installed"
            differences.append(f"{requirement.name}: asked {asked}, {has}")
    return tuple(differences)


def _pin(line: str) -> tuple[str, str]:
    name, _, version = line.replace(" @ ", "==", 1).partition("==")
    return canonicalize_name(name.strip()), version.strip()


def _satisfies(requirement: Requirement, version: str) -> bool:
    try:
        return requirement.specifier.contains(Version(version), prereleases=True)
    except InvalidVersion:
        return not requirement.specifier

"""What a run happened in: versions of the tools, and what a pipeline and its user say of themselves."""

import getpass
import os
import platform
from importlib.metadata import PackageNotFoundError, version

from mlgate.evidence import ToolFacts

_MAX_NAME = 100
_PACKAGES = ("mlflow", "pytest", "hypothesis", "locust", "numpy", "scipy", "pandas", "docker", "testcontainers")
# What a pipeline says of itself. Names only: no variable that could hold a token.
_CI_VARIABLES = ("CI_PROJECT_PATH", "CI_COMMIT_SHA", "CI_COMMIT_REF_NAME", "CI_COMMIT_REF_PROTECTED", "CI_PIPELINE_ID", "CI_JOB_ID", "CI_JOB_URL", "GITLAB_USER_LOGIN")  # fmt: skip


def tool_facts() -> ToolFacts:
    """Return the versions of mlgate, Python and the packages that judge."""
    found = {name: installed_version(name) for name in _PACKAGES}
    packages = {name: text for name, text in found.items() if text != "unknown"}
    return ToolFacts(mlgate=installed_version("mlgate"), python=platform.python_version(), packages=packages)


def pipeline_facts() -> dict[str, str]:
    """Return what the pipeline says of itself, where there is one."""
    return {name: os.environ[name] for name in _CI_VARIABLES if name in os.environ}


def installed_version(name: str) -> str:
    """Return the version of an installed package, or `unknown`."""
    try:
        return version(name)
    except PackageNotFoundError:
        return "unknown"


def asker() -> str:
    """Return who asks for something, by their own word: the pipeline's user, else that of this machine."""
    if login := os.environ.get("GITLAB_USER_LOGIN"):
        return login[:_MAX_NAME]
    try:
        return getpass.getuser()[:_MAX_NAME]
    except (KeyError, OSError):  # a container's uid without a name
        return "unknown"

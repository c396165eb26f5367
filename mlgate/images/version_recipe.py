"""From a model version and the policy to what is built for it: one way for gate runs and for deployable images."""

from mlgate.artifacts.directory import ModelDirectory
from mlgate.errors import InstallError
from mlgate.images.recipe import Recipe, recipe_for, server_identity
from mlgate.policy import Policy
from mlgate.sandbox.interface import ServerLimits

# Cold start has limits of its own; this is only the point where waiting for a server ends. The longest load seen in
# the field is a 13 GB model at 40 s from a local disk.
READY_TIMEOUT_S = 120.0


def version_recipe(directory: ModelDirectory, policy: Policy) -> Recipe:
    """Return the recipe of a version's environment.

    Raises:
        InstallError: Its requirements can not be installed, or there are none that could be.
        PolicyError: The policy asks for packages that are none.
    """
    runtime = policy.values.runtime
    if directory.conda_only:
        raise InstallError(
            "the version has a conda.yaml and no requirements.txt",
            hint="log it again with pip_requirements; conda environments are not built",
        )
    return recipe_for(
        requirements=directory.requirements,
        python_version=directory.python_version,
        flavors=tuple(directory.mlmodel.flavors),
        base_image=runtime.base_image,
        platform=runtime.platform,
        apt=runtime.apt,
        server=server_identity(runtime.server),
        allow=runtime.allow_requirements,
        constraint_files=directory.constraint_files,
    )


def limits_of(policy: Policy) -> ServerLimits:
    """Return what the policy's runtime allows a server."""
    runtime = policy.values.runtime
    return ServerLimits(
        cpus=runtime.cpus,
        memory=runtime.memory,
        ready_timeout_s=READY_TIMEOUT_S,
        request_timeout_s=runtime.request_timeout,
        env=runtime.env,
    )

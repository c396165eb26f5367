"""What a deployable image says of itself, and where things lie in it. Pure.

The environment image's own labels (`KEY_LABEL`, `FACTS_LABEL` of `mlgate.images.facts`) stay on the deployable image, so
that its environment can be read from it as from the environment image. Those under `org.opencontainers` are the OCI
image specification's pre-defined annotation keys: https://github.com/opencontainers/image-spec/blob/main/annotations.md
"""

from mlgate.registry.tags import ARTIFACT_DIGEST

# Where a deployable image holds the model directory. In the test image it is mounted elsewhere: nothing may depend on it.
MODEL_PATH = "/opt/ml/model"
# Where its server listens, on all interfaces of the container.
PORT = 8080

# The comment of every image that mlgate makes. Whoever builds on one inherits its labels, and not this.
MADE_BY = "made by mlgate"

ROLE_LABEL = "mlgate.role"
# Values of ROLE_LABEL on images.
ENVIRONMENT = "environment"
DEPLOYABLE = "deployable"

# Registered name and version: absent where the model came from a directory, a run or a logged model.
MODEL_NAME_LABEL = "mlgate.model.name"
MODEL_VERSION_LABEL = "mlgate.model.version"
# Canonical URI of the version, `models:/churn/3`.
MODEL_URI_LABEL = "mlgate.model.uri"
# `sha256:…` as in the evidence's subject; the same word as the registry's tag.
ARTIFACT_DIGEST_LABEL = ARTIFACT_DIGEST
# `sha256:…` as in the evidence's image facts.
RECIPE_DIGEST_LABEL = "mlgate.recipe_digest"
# The mlgate that built it.
MLGATE_VERSION_LABEL = "mlgate.version"

OCI_TITLE = "org.opencontainers.image.title"
OCI_VERSION = "org.opencontainers.image.version"
OCI_DESCRIPTION = "org.opencontainers.image.description"
OCI_BASE_NAME = "org.opencontainers.image.base.name"

# Digest over all that a deployable image is made from: the same again is found and not made again.
DEPLOYABLE_KEY_LABEL = "mlgate.deployable_key"

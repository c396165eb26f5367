"""What a deployable image says of itself, and how it starts."""

import pytest

from mlgate.artifacts.directory import read_directory
from mlgate.images import labels
from mlgate.images.deployable import deployable_config, deployable_labels
from mlgate.images.facts import BuiltImage
from mlgate.model_version import ModelVersion

BUILT = BuiltImage(
    reference="sha256:e",
    image_digest="sha256:e",
    recipe_digest="sha256:r",
    base="python:3.11-slim",
    base_digest="sha256:b",
    python="3.11.8",
    platform="linux/amd64",
    pins=("numpy==2.0.0",),
    apt=(),
    server="mlflow+mlgate.serving@sha256:0123",
)
ENVIRONMENT = {
    "Env": ["PATH=/opt/venv/bin", "LANG=C"],
    "Entrypoint": ["/opt/venv/bin/python", "-m", "mlgate_serving", "--server", "mlserver"],
    "Labels": {"mlgate.recipe_key": "sha256:k", "mlgate.role": "environment", "mlgate.session": "x"},
}


@pytest.fixture
def directory(tmp_path):
    (tmp_path / "MLmodel").write_text("flavors: {python_function: {loader_module: mlflow.sklearn}}\n")
    return read_directory(tmp_path)


def version(**changes):
    given = {"uri": "models:/churn/3", "name": "churn", "version": "3", "model_id": "m-1", "source_run_id": "r"}
    return ModelVersion(**given | {"location": ""} | changes)


def test_a_registered_version_is_named(directory):
    """By our labels, and by those that every tool knows."""
    said = deployable_labels(BUILT, directory, version())
    assert said[labels.MODEL_URI_LABEL] == "models:/churn/3"
    assert (said[labels.OCI_TITLE], said[labels.OCI_VERSION]) == ("churn", "3")
    assert said[labels.ARTIFACT_DIGEST_LABEL] == directory.digest
    assert said[labels.ROLE_LABEL] == "deployable"
    assert said[labels.OCI_DESCRIPTION].startswith("churn version 3, served by mlflow+mlgate.serving")


def test_a_directory_of_this_machine_is_not_named(directory, tmp_path):
    """Its path would be a fact of the host in an image that travels."""
    place = str(tmp_path)
    local = version(uri=place, name=None, version=None, model_id=None, source_run_id=None, location=place)
    said = deployable_labels(BUILT, directory, local)
    assert not {labels.MODEL_URI_LABEL, labels.MODEL_NAME_LABEL, labels.MODEL_VERSION_LABEL} & set(said)
    assert place not in str(said)


def test_it_starts_the_environments_own_server_on_all_interfaces():
    """Whichever server that is; the model is where it was put."""
    config = deployable_config({}, ENVIRONMENT, env={}, threads=2)
    assert config["Entrypoint"] == ENVIRONMENT["Entrypoint"]
    assert config["Cmd"] == ["--model", "/opt/ml/model", "--host", "0.0.0.0", "--port", "8080", "--threads", "2"]
    assert config["User"] == "65534:65534"
    assert config["ExposedPorts"] == {"8080/tcp": {}}


def test_the_servers_settings_come_over_the_environments():
    """Each name once."""
    config = deployable_config({}, ENVIRONMENT, env={"LANG": "C.UTF-8", "OMP_NUM_THREADS": "1"}, threads=1)
    assert config["Env"] == ["PATH=/opt/venv/bin", "LANG=C.UTF-8", "OMP_NUM_THREADS=1"]


def test_the_labels_of_the_environment_stay_but_for_the_session():
    """Its facts are read from the image; the container that it was made from is nobody's business."""
    said = deployable_config({labels.ROLE_LABEL: "deployable"}, ENVIRONMENT, env={}, threads=1)["Labels"]
    assert said == {
        "mlgate.recipe_key": "sha256:k",
        "mlgate.role": "deployable",
        "mlgate.session": "",
        "mlgate.owner": "",
    }

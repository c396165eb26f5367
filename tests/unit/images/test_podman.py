import json

from mlgate.images.podman import commit_changes


def test_an_images_configuration_is_told_in_instructions():
    """A label's JSON stands as it is: Podman takes it literally."""
    facts = json.dumps({"pins": ["a==1", 'b @ "x"']})
    config = {
        "Labels": {"mlgate.image_facts": facts, "mlgate.session": ""},
        "Env": ["PATH=/opt/venv/bin:/bin"],
        "Entrypoint": ["/opt/venv/bin/python", "-m", "server"],
        "Cmd": [],
        "User": "65534:65534",
        "WorkingDir": "/",
    }
    assert commit_changes(config) == [
        f'LABEL mlgate.image_facts="{facts}"',
        'LABEL mlgate.session=""',
        "ENV PATH=/opt/venv/bin:/bin",
        'ENTRYPOINT ["/opt/venv/bin/python", "-m", "server"]',
        "CMD []",
        "USER 65534:65534",
        "WORKDIR /",
    ]

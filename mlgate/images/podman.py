"""What Podman's docker-compatible socket does differently when an image is made. Pure."""

import json
from collections.abc import Mapping, Sequence
from typing import Any


def commit_changes(config: Mapping[str, Any]) -> Sequence[str]:
    """Return an image's configuration as Dockerfile instructions.

    Podman (4.3) does not read the configuration that comes with a commit, and takes the value of a quoted label as it stands,
    where Docker unescapes it: a JSON text keeps its quotation marks, and needs no escaping.

    Args:
        config: As the engine's API takes it; values of labels must hold no line break.
    """
    lines = [f'LABEL {name}="{value}"' for name, value in config["Labels"].items()]
    lines += [f"ENV {setting}" for setting in config["Env"]]
    lines += [f"{word.upper()} {json.dumps(config[word])}" for word in ("Entrypoint", "Cmd") if word in config]
    lines += [f"USER {config['User']}", f"WORKDIR {config['WorkingDir']}"]
    return lines

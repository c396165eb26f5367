"""What the command line asked for."""

from dataclasses import dataclass


@dataclass(frozen=True, kw_only=True)
class Request:
    """What the command line asked for; texts as given."""

    uri: str
    policy: str | None = None
    suites: tuple[str, ...] = ()
    champion: str | None = None
    sandbox: str = "container"
    image: str | None = None
    output: str | None = None
    publish: bool = True
    seed: str | None = None
    explore: bool = False
    replay: str | None = None
    progress: bool = False

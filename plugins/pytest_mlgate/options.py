"""Command line options: one group, every name and dest prefixed."""

import argparse
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    import pytest

URI = "mlgate_uri"
POLICY = "mlgate_policy_file"
SUITES = "mlgate_suites"
CHAMPION = "mlgate_champion"
SANDBOX = "mlgate_sandbox"
IMAGE = "mlgate_image"
OUTPUT = "mlgate_output"
NO_PUBLISH = "mlgate_no_publish"
SEED = "mlgate_seed"
EXPLORE = "mlgate_explore"
REPLAY = "mlgate_replay"
# Flag to dest, for all but --mlgate itself.
OTHERS = {
    "--mlgate-policy": POLICY,
    "--mlgate-suite": SUITES,
    "--mlgate-champion": CHAMPION,
    "--mlgate-sandbox": SANDBOX,
    "--mlgate-image": IMAGE,
    "--mlgate-output": OUTPUT,
    "--mlgate-no-publish": NO_PUBLISH,
    "--mlgate-seed": SEED,
    "--mlgate-explore": EXPLORE,
    "--mlgate-replay": REPLAY,
}


def add_options(parser: "pytest.Parser") -> None:
    """Declare the options of design §5.1."""
    group = parser.getgroup("mlgate", "acceptance tests of a registered model version")
    group.addoption(
        "--mlgate",
        dest=URI,
        metavar="URI",
        help="Model version to test: models:/name/3, models:/name@alias, models:/m-…, runs:/…, or a model directory",
    )
    group.addoption(
        "--mlgate-policy",
        dest=POLICY,
        metavar="FILE",
        help="Policy; default: mlgate.yaml upward from here, else the built-in policy",
    )
    group.addoption(
        "--mlgate-suite",
        dest=SUITES,
        metavar="NAME",
        action="append",
        default=[],
        help="Only this suite (repeatable): a partial run, which admits nothing",
    )
    group.addoption(
        "--mlgate-champion",
        dest=CHAMPION,
        metavar="URI",
        help="Model version to compare with; default: the champion alias; none: no comparison",
    )
    group.addoption(
        "--mlgate-sandbox",
        dest=SANDBOX,
        choices=("container", "process"),
        help="Where the model runs; default: container. process is not isolated",
    )
    group.addoption("--mlgate-image", dest=IMAGE, metavar="REF", help="Test this image instead of building one")
    group.addoption("--mlgate-output", dest=OUTPUT, metavar="DIR", help="Default: .mlgate/<name>-<version>/")
    group.addoption("--mlgate-no-publish", dest=NO_PUBLISH, action="store_true", help="Write nothing to MLflow")
    group.addoption(
        "--mlgate-seed", dest=SEED, metavar="N", help="Default: from the artifact digest, so that a rerun repeats"
    )
    group.addoption("--mlgate-explore", dest=EXPLORE, action="store_true", help="A fresh seed, for scheduled pipelines")
    # For `mlgate replay`, which says what came of it.
    group.addoption("--mlgate-replay", dest=REPLAY, metavar="FILE", help=argparse.SUPPRESS)

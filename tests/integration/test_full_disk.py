"""Builds that fail on an engine whose disk is full, or that fail otherwise: nothing of them is left on it."""

import os
import subprocess
import time
from collections.abc import Iterator
from contextlib import suppress
from dataclasses import dataclass
from functools import partial
from pathlib import Path

import pytest

from mlgate.errors import EngineError, InstallError
from mlgate.images import build_container
from mlgate.images.built import REPOSITORY
from mlgate.images.docker import CACHE_VOLUME, ImageBuilder, find_base
from mlgate.sandbox.engine import Engine, connect
from mlgate.sandbox.session import SessionTag

pytestmark = [pytest.mark.engine, pytest.mark.slow]

BRIDGE = f"mlgate{os.getpid() % 10**7}"
SMALL = "500m"  # The base image, its archive while it is loaded, and a part of an environment.
LARGE = "1500m"
SKINNY = ["mlflow-skinny==3.1.0", "pandas==2.3.3"]


@dataclass(frozen=True)
class SmallEngine:
    """An engine of this test alone, whose disk is a tmpfs."""

    engine: Engine
    disk: Path

    def resize(self, size: str) -> None:
        """Give the disk another size."""
        subprocess.run(["mount", "-o", f"remount,size={size}", str(self.disk)], check=True)

    def forget_foundations(self) -> None:
        """Remove the images that have a name: what versions share stays, so that the next build is faster."""
        for image in self.engine.client.images.list(name=REPOSITORY):
            self.engine.client.images.remove(image.id, force=True)

    def holds(self) -> dict[str, object]:
        """Return everything that a build could leave: containers, images, volumes, and layers that nobody names."""
        client = self.engine.client
        return {
            "containers": client.containers.list(all=True, ignore_removed=True),
            "images": sorted(image.id for image in client.images.list(all=True)),
            "volumes": {volume.name for volume in client.volumes.list()} - {CACHE_VOLUME},
            "layers": sorted(path.name for path in (self.disk / "overlay2").iterdir() if len(path.name) > 26),
        }


@pytest.fixture(scope="module")
def small(engine, tmp_path_factory) -> Iterator[SmallEngine]:
    """Start a second engine on a tmpfs, with the base image and a bridge of its own."""
    folder = tmp_path_factory.mktemp("engine")
    disk, socket = folder / "disk", folder / "engine.sock"
    disk.mkdir()
    run = partial(subprocess.run, check=True)
    run(["mount", "-t", "tmpfs", "-o", f"size={SMALL}", "tmpfs", str(disk)])
    run(["ip", "link", "add", BRIDGE, "type", "bridge"])
    daemon = None
    try:
        run(["ip", "address", "add", "10.213.211.1/24", "dev", BRIDGE])
        run(["ip", "link", "set", BRIDGE, "up"])
        daemon = start_engine(folder, f"--data-root={disk}", f"--host=unix://{socket}", f"--bridge={BRIDGE}")
        with pytest.MonkeyPatch.context() as patch:
            patch.setenv("DOCKER_HOST", f"unix://{socket}")
            other = connect()
        name = find_base(engine, "3.11")
        assert name is not None
        other.client.images.load(engine.patient.images.get(name).save(named=name))
        yield SmallEngine(engine=other, disk=disk)
        other.close()
    finally:
        if daemon is not None:
            daemon.terminate()
            daemon.wait(60)
        with suppress(subprocess.CalledProcessError):
            run(["umount", str(disk)])
        run(["ip", "link", "delete", BRIDGE])


def start_engine(folder: Path, *options: str) -> "subprocess.Popen[bytes]":
    """Start dockerd and return when it listens."""
    command = ["dockerd", *options, f"--exec-root={folder / 'exec'}", f"--pidfile={folder / 'pid'}"]
    # Its firewall rules would be those of the machine's own engine.
    command += ["--iptables=false", "--ip-masq=false", "--storage-driver=overlay2"]
    log = folder / "log"
    with log.open("w") as file:
        daemon = subprocess.Popen(command, stdout=file, stderr=file)
    deadline = time.monotonic() + 60
    while "API listen on" not in log.read_text():
        assert daemon.poll() is None, log.read_text()[-2000:]
        assert time.monotonic() < deadline, log.read_text()[-2000:]
        with suppress(subprocess.TimeoutExpired):
            daemon.wait(0.1)
    return daemon


@pytest.fixture
def builder(small, company) -> ImageBuilder:
    """Builds on the small engine, through this host."""
    return ImageBuilder(small.engine, session=SessionTag.new(), environ=company.environ)


def test_a_disk_that_is_full_while_installing_is_said_and_nothing_is_left(small, builder, make_recipe):
    """The environment is to blame, the version is not; neither container nor layer stays."""
    before = small.holds()
    with pytest.raises(EngineError, match=r"(?i)disk is full|no space left on device"):
        builder.build(make_recipe(requirements=SKINNY))
    small.forget_foundations()
    assert small.holds() == before


def test_a_disk_that_is_full_while_committing_is_said_and_nothing_is_left(small, builder, make_recipe, monkeypatch):
    """The layer that was begun is gone again; with room, the same build succeeds."""
    small.resize(LARGE)
    before = small.holds()
    filler = small.disk / "filler"
    cleaned = build_container.Build._clean

    def fill_up(build: "build_container.Build") -> None:
        cleaned(build)
        with suppress(OSError), filler.open("wb", buffering=0) as file:
            while file.write(bytes(2**20)):
                pass

    recipe = make_recipe(requirements=SKINNY[:1])
    with monkeypatch.context() as patch:
        patch.setattr(build_container.Build, "_clean", fill_up)
        with pytest.raises(EngineError, match=r"(?i)disk is full|no space left on device"):
            builder.build(recipe)
    filler.unlink()
    assert small.holds() == before
    built = builder.build(recipe)
    assert not built.hit
    # The same, built once more at the same time from where this host's lock does not count: one image, with its name.
    with monkeypatch.context() as patch:
        patch.setattr(ImageBuilder, "_find", lambda *_: None)
        assert builder.build(recipe).image_digest == built.image_digest
    assert builder.build(recipe).hit
    assert all(image.tags for image in small.engine.client.images.list(all=True))


def test_a_build_that_fails_leaves_nothing(small, builder, make_recipe):
    """The same, where the version is to blame."""
    small.resize(LARGE)
    builder.build(make_recipe(requirements=SKINNY[:1]))
    before = small.holds()
    with pytest.raises(InstallError, match=r"numpy==99\.0"):
        builder.build(make_recipe(requirements=[*SKINNY, "numpy==99.0"]))
    assert small.holds() == before

"""What a package's own code can do while it is installed: nothing where it has wheels, and elsewhere nothing to others."""

import io
import tarfile
import textwrap
import zipfile
from contextlib import suppress

import docker.errors
import pytest

from mlgate.images import docker as images
from mlgate.images.build_container import CACHE_FOLDER
from mlgate.images.docker import ImageBuilder

pytestmark = pytest.mark.engine

PLAIN = ["mlflow-skinny==3.1.0"]
# Both try to leave this word in the cache that other versions are installed from.
TRY = f"""
import os
def touch():
    for folder in ({CACHE_FOLDER!r}, os.environ.get("UV_CACHE_DIR") or "/nowhere"):
        try:
            open(folder + "/planted", "w").write("planted by a package")
        except OSError:
            pass
    open("/opt/venv/planted", "w").write("ran")
"""
BACKEND = TRY + textwrap.dedent("""
    import zipfile
    def build_wheel(folder, settings=None, metadata=None):
        touch()
        name, info = "mlgate_source-1.0-py3-none-any.whl", "mlgate_source-1.0.dist-info"
        with zipfile.ZipFile(os.path.join(folder, name), "w") as archive:
            archive.writestr("mlgate_source.py", "")
            archive.writestr(f"{info}/METADATA", "Metadata-Version: 2.1\\nName: mlgate-source\\nVersion: 1.0\\n")
            archive.writestr(f"{info}/WHEEL", "Wheel-Version: 1.0\\nGenerator: x\\nRoot-Is-Purelib: true\\nTag: py3-none-any\\n")
            archive.writestr(f"{info}/RECORD", "")
        return name
    """)


def hostile_wheel() -> bytes:
    """A wheel with a `.pth` file: every start of the environment's interpreter runs it."""
    raw = io.BytesIO()
    with zipfile.ZipFile(raw, "w") as archive:
        info = "mlgate_hostile-1.0.dist-info"
        archive.writestr("mlgate_hostile.pth", "import mlgate_hostile\n")
        archive.writestr("mlgate_hostile.py", f"{TRY}\ntry: touch()\nexcept OSError: pass\n")
        archive.writestr(f"{info}/METADATA", "Metadata-Version: 2.1\nName: mlgate-hostile\nVersion: 1.0\n")
        archive.writestr(
            f"{info}/WHEEL", "Wheel-Version: 1.0\nGenerator: x\nRoot-Is-Purelib: true\nTag: py3-none-any\n"
        )
        archive.writestr(f"{info}/RECORD", "")
    return raw.getvalue()


def source_distribution() -> bytes:
    """A package that has to be built, by a program of its own."""
    build = '[build-system]\nrequires = []\nbuild-backend = "backend"\nbackend-path = ["."]\n'
    build += '[project]\nname = "mlgate-source"\nversion = "1.0"\n'
    raw = io.BytesIO()
    with tarfile.open(fileobj=raw, mode="w:gz") as archive:
        about = "Metadata-Version: 2.1\nName: mlgate-source\nVersion: 1.0\n"
        for name, text in {"pyproject.toml": build, "backend.py": BACKEND, "PKG-INFO": about}.items():
            entry = tarfile.TarInfo(f"mlgate_source-1.0/{name}")
            entry.size = len(text.encode())
            archive.addfile(entry, io.BytesIO(text.encode()))
    return raw.getvalue()


@pytest.fixture
def installed(engine, session, make_recipe, company, monkeypatch):
    """Install one package more, with a shared cache of this test alone; return image, progress, and files of both."""
    volume = f"mlgate-test-cache-{session.id}"
    monkeypatch.setattr(images, "CACHE_VOLUME", volume)
    made = []

    def install(name, file, content):
        company.index.files[file] = content
        line = f"{name} @ http://{company.index.address}/files/{file}"
        told: list[str] = []
        recipe = make_recipe(requirements=[*PLAIN, line], allow=[line])
        made.append(
            ImageBuilder(engine, session=session, environ=company.environ).build(recipe, on_progress=told.append)
        )
        listing = engine.client.containers.run(
            made[-1].base,
            entrypoint=["find", "/cache", "-name", "planted"],
            volumes={volume: {"bind": "/cache", "mode": "ro"}},
            network="none",
            remove=True,
        )
        return made[-1], "\n".join(told), listing.decode()

    yield install
    for image in made:
        with suppress(docker.errors.ImageNotFound):
            engine.client.images.remove(image.reference, force=True)
    engine.client.volumes.get(volume).remove(force=True)


def ran_in(engine, image, *, first=()) -> bool:
    """Return whether a package's code left its sign in the environment, after the command *first* ran in a container."""
    script = " ; ".join([*first, "test -e /opt/venv/planted && echo yes"])
    options = {"entrypoint": ["sh", "-c"], "command": [f"{script} ; true"], "network": "none", "remove": True}
    return b"yes" in engine.client.containers.run(image.reference, user="0:0", **options)


def test_nothing_of_a_wheel_runs_while_it_is_installed(engine, installed):
    """Not even its `.pth` file, which the first start of the environment's interpreter does run."""
    image, told, planted = installed("mlgate-hostile", "mlgate_hostile-1.0-py3-none-any.whl", hostile_wheel())
    assert any(pin.startswith("mlgate-hostile @ ") for pin in image.pins)
    assert "has no wheel" not in told
    assert not ran_in(engine, image)
    assert ran_in(engine, image, first=["/opt/venv/bin/python -c pass"])
    assert planted == ""


def test_what_has_to_be_built_is_built_apart_from_the_shared_cache(engine, installed):
    """Its program runs, and finds nothing that another version is installed from."""
    image, told, planted = installed("mlgate-source", "mlgate_source-1.0.tar.gz", source_distribution())
    assert any(pin.startswith("mlgate-source @ ") for pin in image.pins)
    assert "has no wheel and has to be built" in told
    assert ran_in(engine, image)
    assert planted == ""


def test_the_cache_could_be_reached_from_a_container_that_has_it(engine, session, image, installed):
    """Without this, the tests above could not fail: the same attempt, where the cache is mounted."""
    volume = images.CACHE_VOLUME
    engine.client.containers.run(
        image.base,
        entrypoint=["python3", "-c", f"{TRY}\ntry: touch()\nexcept OSError: pass"],
        volumes={volume: {"bind": CACHE_FOLDER}},
        cap_drop=["ALL"],
        network="none",
        remove=True,
    )
    _, _, planted = installed("mlgate-hostile", "mlgate_hostile-1.0-py3-none-any.whl", hostile_wheel())
    assert planted.strip() == "/cache/planted"

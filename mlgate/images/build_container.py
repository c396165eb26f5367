"""One build of an environment image: what is done in the build container, up to the commit."""

import threading
import time
from collections.abc import Callable, Mapping, Sequence
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path

import docker.errors
from docker.models.containers import Container

from mlgate.errors import EngineError
from mlgate.images import uv
from mlgate.images.apt import apt_complaint, apt_environment, apt_script
from mlgate.images.archive import tar
from mlgate.images.built import REPOSITORY, find_environment, tag_of
from mlgate.images.commit import committed
from mlgate.images.environment import find_uv
from mlgate.images.facts import FACTS_LABEL, KEY_LABEL, BuiltImage, facts_text, from_facts_text
from mlgate.images.installation import ISOLATED, Installation, pins_of
from mlgate.images.labels import ENVIRONMENT, ROLE_LABEL
from mlgate.images.recipe import Recipe, serving_command, serving_source
from mlgate.sandbox.engine import Engine
from mlgate.sandbox.session import OWNER_LABEL, SESSION_LABEL, SessionTag

# Where the shared package cache is mounted.
CACHE_FOLDER = "/var/cache/mlgate-uv"
_TOOLS = "/opt/mlgate-build"
_VENV = "/opt/venv"
_PYTHON = f"{_VENV}/bin/python"
_UNPRIVILEGED = "65534:65534"

Progress = Callable[[str], None]


@dataclass(frozen=True, slots=True, kw_only=True)
class Base:
    """The base image: its name, its digest in a registry (else its id), and its id.

    Attributes:
        on: Image of the foundation that was made of it, to build on; empty for a build from the base.
    """

    reference: str
    digest: str
    id: str
    on: str = ""


class Build:
    """One build in one container, which its caller removes."""

    def __init__(
        self,
        engine: Engine,
        container: Container,
        recipe: Recipe,
        *,
        cache: bool,
        session: SessionTag,
        environ: Mapping[str, str],
        tell: Progress,
        timeout_s: float,
    ) -> None:
        self._engine = engine
        self._session = session
        self._container = container
        self._recipe = recipe
        self._tell = tell
        self._deadline = time.monotonic() + timeout_s
        self._timeout_s = timeout_s
        self._ca = uv.ca_bundle(environ)
        # Given to the steps and never to the container, so that none of it is in the image's configuration.
        self._env = uv.index_settings(environ)
        self._env |= {
            "UV_CACHE_DIR": CACHE_FOLDER if cache else f"{_TOOLS}/cache",
            "UV_LINK_MODE": "copy",
            "HOME": "/tmp",  # noqa: S108
            "LANG": "C.UTF-8",
        }
        if self._ca is not None:
            names = ("SSL_CERT_FILE", "REQUESTS_CA_BUNDLE", "PIP_CERT", "CURL_CA_BUNDLE", "GIT_SSL_CAINFO")
            self._env |= dict.fromkeys(names, f"{_TOOLS}/ca.pem")
        self._made = Installation(
            recipe=recipe,
            binary=f"{_TOOLS}/uv",
            venv=_VENV,
            folder=_TOOLS,
            builds=not cache,
            run=self._exec,
            write=self._write,
        )

    def run(self, base: Base, key: str) -> BuiltImage:
        """Install, record what came of it, commit."""
        seconds: dict[str, float] = {}
        started = mark = time.monotonic()
        self._copy_in()
        self._container.start()
        if not base.on:
            self._apt()
            self._make_venv()
        mark = _lap(seconds, "prepare", mark)
        self._made.install()
        mark = _lap(seconds, "install", mark)
        pins, python = self._frozen()
        facts = facts_text(base=base.reference, base_digest=base.digest, python=python, pins=pins)
        self._clean()
        image, facts = self._commit(key, facts)
        _lap(seconds, "commit", mark)
        _lap(seconds, "total", started)
        return from_facts_text(facts, self._recipe, reference=image, image_digest=image, hit=False, seconds=seconds)

    def _copy_in(self) -> None:
        files = {f"{_TOOLS}/uv": (find_uv().read_bytes(), 0o755)}
        for name, source in serving_source().items():
            files[f"/opt/mlgate/mlgate_serving/{name}"] = (source, 0o644)
        if self._ca is not None:
            try:
                files[f"{_TOOLS}/ca.pem"] = (Path(self._ca).read_bytes(), 0o644)
            except OSError as error:
                raise EngineError(f"the certificate bundle {self._ca} can not be read ({error.strerror})") from error
        if not self._container.put_archive("/", tar(files)):
            raise EngineError("the engine did not take the build's files")

    def _apt(self) -> None:
        if not self._recipe.apt:
            return
        names = [package.partition("=")[0] for package in self._recipe.apt]
        if self._exec(["dpkg", "-s", *names])[0] == 0:
            return
        # apt speaks to a mirror that the host may reach through a proxy with its own certificate.
        script = apt_script(self._recipe.apt, ca=f"{_TOOLS}/ca.pem" if self._ca else None)
        code, output = self._exec(["sh", "-c", script], more=apt_environment(self._env))
        if code:
            raise apt_complaint(self._recipe.apt, output)

    def _make_venv(self) -> None:
        missing = self._made.make_venv()
        if missing:
            raise EngineError(
                f"the base image has no usable Python {self._recipe.python}: {missing}",
                hint="set runtime.base_image to an image with that Python",
            )

    def _write(self, name: str, text: str) -> None:
        if not self._container.put_archive("/", tar({f"{_TOOLS}/{name}": (text.encode(), 0o644)})):
            raise EngineError("the engine did not take the build's files")

    def _frozen(self) -> tuple[tuple[str, ...], str]:
        home = f"{self._made.site_packages}/mlgate_serving"
        script = (
            "import compileall, platform, shutil\n"
            f"shutil.rmtree({home!r}, ignore_errors=True)\n"
            f"shutil.move('/opt/mlgate/mlgate_serving', {home!r})\n"
            f"compileall.compile_dir({home!r}, quiet=1)\n"
            "print(platform.python_version())\n"
        )
        base = self._made.base_python()
        code, python = self._exec([base, *ISOLATED, "-c", script], read=True)
        listed = uv.freeze_command(f"{_TOOLS}/uv", base, self._made.site_packages)
        frozen_code, frozen = self._exec(listed, read=True)
        if code or frozen_code:
            raise EngineError(f"the environment does not describe itself: {(python + frozen).strip()[-300:]}")
        return pins_of(frozen), python.split()[-1]

    def _clean(self) -> None:
        code, output = self._exec(["sh", "-c", f"rm -rf {_TOOLS} /opt/mlgate {_VENV}/.lock /tmp/* /tmp/.[!.]*"])
        if code:
            raise EngineError(f"the build's files can not be removed again: {output.strip()[-300:]}")

    def _commit(self, key: str, facts: str) -> tuple[str, str]:
        labels = {KEY_LABEL: key, FACTS_LABEL: facts, ROLE_LABEL: ENVIRONMENT}
        # The commit inherits the container's labels; an image belongs to no session.
        labels |= {SESSION_LABEL: "", OWNER_LABEL: ""}
        config = {
            "Labels": labels,
            "Env": [f"PATH={_VENV}/bin:/usr/local/bin:/usr/bin:/bin", "PYTHONDONTWRITEBYTECODE=1"],
            "Entrypoint": [_PYTHON, *serving_command(self._recipe.server)],
            "Cmd": [],
            "User": _UNPRIVILEGED,
            "WorkingDir": "/",
        }
        self._container.stop(timeout=0)
        with committed(self._engine, self._container.id or "", self._session, config) as image:
            # Another host may have built the same meanwhile: taking its name would leave that image without one.
            there = find_environment(self._engine, key)
            if there is not None:
                return there
            # Named, because `docker image prune` takes what has no name.
            self._engine.client.api.tag(image, REPOSITORY, tag_of(key), force=True)
        return image, facts

    def _exec(
        self, command: Sequence[str], *, read: bool = False, more: Mapping[str, str] | None = None
    ) -> tuple[int, str]:
        """Run a step and return its status and output; the container dies at the deadline.

        Args:
            command: The step.
            read: What it prints is read and not told: where it succeeds, only its standard output is returned. Nobody
                keeps a line of the one stream from beginning in the middle of a line of the other.
            more: Environment variables besides the build's.
        """
        api = self._engine.client.api
        environment = {**self._env, **(more or {})}
        made = api.exec_create(self._container.id, list(command), environment=environment, user="0:0", workdir="/")
        expired = threading.Event()

        def kill() -> None:
            expired.set()
            with suppress(docker.errors.DockerException, OSError):
                self._container.kill()

        timer = threading.Timer(max(0.0, self._deadline - time.monotonic()), kill)
        timer.start()
        try:
            output, answer = bytearray(), bytearray()
            pending = b""
            for out, err in api.exec_start(made["Id"], stream=True, demux=True):
                answer += out or b""
                chunk = (out or b"") + (err or b"")
                output += chunk
                *lines, pending = (pending + chunk).split(b"\n")
                for line in lines if not read else ():
                    self._tell(line.decode(errors="replace").rstrip())
        finally:
            timer.cancel()
        if expired.is_set():
            raise EngineError(
                f"the environment was not installed within {self._timeout_s:.0f} s",
                hint="look at the package index; what was downloaded is kept, so that the next try is faster",
            )
        code = api.exec_inspect(made["Id"])["ExitCode"]
        text = answer if read and code == 0 else output
        return (1 if code is None else int(code)), bytes(text).decode(errors="replace")


def _lap(seconds: dict[str, float], name: str, since: float) -> float:
    now = time.monotonic()
    seconds[name] = round(now - since, 3)
    return now

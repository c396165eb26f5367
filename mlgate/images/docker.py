"""Environment images on a container engine: build in a container that has network but no model, commit, find again."""

import os
import threading
import time
from collections.abc import Callable, Mapping, Sequence
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import docker.errors
from docker.models.containers import Container
from docker.types import Mount
from filelock import FileLock, Timeout

from mlgate.errors import EngineError
from mlgate.images import uv
from mlgate.images.apt import apt_complaint, apt_environment, apt_script
from mlgate.images.archive import tar
from mlgate.images.built import REPOSITORY, find_environment, tag_of
from mlgate.images.commit import committed
from mlgate.images.environment import cache_folder, find_uv, with_pip_config
from mlgate.images.facts import FACTS_LABEL, KEY_LABEL, BuiltImage, facts_text, from_facts_text
from mlgate.images.installation import Installation, pins_of
from mlgate.images.labels import ENVIRONMENT, ROLE_LABEL
from mlgate.images.recipe import DEFAULT_BASE_IMAGE, Recipe, recipe_key, serving_command, serving_source
from mlgate.sandbox.engine import Engine, engine_errors
from mlgate.sandbox.session import OWNER_LABEL, SESSION_LABEL, SessionTag

LOCAL_BASE = "mlgate/base:{python}"
# A volume and not the host's cache: the build runs strangers' code, and a remote engine has no host folder.
CACHE_VOLUME = "mlgate-uv-cache"
BUILD_TIMEOUT_S = 1800
_TOOLS = "/opt/mlgate-build"
_CACHE = "/var/cache/mlgate-uv"
_VENV = "/opt/venv"
_PYTHON = f"{_VENV}/bin/python"
_UNPRIVILEGED = "65534:65534"

Progress = Callable[[str], None]


@dataclass(frozen=True, slots=True, kw_only=True)
class _Base:
    reference: str
    digest: str
    id: str


def find_base(engine: Engine, python: str) -> str | None:
    """Return the default base image for a Python minor that is on *engine*, or `None`; nothing is pulled.

    Raises:
        EngineError: The engine does not answer.
    """
    for template in (DEFAULT_BASE_IMAGE, LOCAL_BASE):
        name = template.format(python=python)
        with engine_errors(f"base image {name}"), suppress(docker.errors.ImageNotFound):
            engine.client.images.get(name)
            return name
    return None


class ImageBuilder:
    """Builds environment images, and finds those that were built before.

    Args:
        engine: Where.
        session: Labels of the build container; default: one of its own.
        environ: The host's environment, read for index, proxy and certificates only; default: `os.environ`.
        timeout_s: Longest build, in seconds.
    """

    def __init__(
        self,
        engine: Engine,
        *,
        session: SessionTag | None = None,
        environ: Mapping[str, str] | None = None,
        timeout_s: float = BUILD_TIMEOUT_S,
    ) -> None:
        self._engine = engine
        self._session = session or SessionTag.new()
        self._environ = with_pip_config(os.environ if environ is None else environ)
        self._timeout_s = timeout_s

    def build(self, recipe: Recipe, *, on_progress: Progress | None = None) -> BuiltImage:
        """Return the image of *recipe*, built where there is none yet.

        Args:
            recipe: What to build.
            on_progress: Gets the installer's output, line by line.

        Raises:
            InstallError: The version's requirements can not be installed.
            EngineError: The engine, the base image, the package index or the disk is at fault.
        """
        started = time.monotonic()
        tell = on_progress or (lambda _: None)
        self._same_platform(recipe)
        base = self._base(recipe, tell)
        key = recipe_key(recipe, base.digest)
        found = self._find(key, recipe, started)
        if found is not None:
            return found
        # Two builds of one recipe on this host: the second waits and finds. From two hosts: both build, both succeed.
        lock = FileLock(cache_folder(self._environ) / "locks" / f"{key.removeprefix('sha256:')[:32]}.lock")
        Path(lock.lock_file).parent.mkdir(parents=True, exist_ok=True)
        try:
            with lock.acquire(timeout=self._timeout_s):
                found = self._find(key, recipe, started)
                return found if found is not None else self._build(recipe, base, key, tell)
        except Timeout as error:
            raise EngineError(
                f"another process has been building this environment for {self._timeout_s:.0f} s",
                hint=f"remove {lock.lock_file} if there is none",
            ) from error

    def find(self, recipe: Recipe) -> BuiltImage | None:
        """Return the image of *recipe* where it was built before; nothing is pulled and nothing built.

        Raises:
            EngineError: The engine does not answer, or the base image is for another platform.
        """
        started = time.monotonic()
        for name in _base_names(recipe):
            with engine_errors(f"base image {name}"), suppress(docker.errors.ImageNotFound):
                return self._find(recipe_key(recipe, self._described(name, recipe).digest), recipe, started)
        return None

    def _same_platform(self, recipe: Recipe) -> None:
        # An engine with an emulator would run it, and measure the emulator.
        if self._engine.facts.platform != recipe.platform:
            raise EngineError(
                f"the container engine is {self._engine.facts.platform}, the policy's runtime.platform is {recipe.platform}",
                hint=f"point DOCKER_HOST at an engine on {recipe.platform}",
            )

    def _base(self, recipe: Recipe, tell: Progress) -> _Base:
        for name in _base_names(recipe):
            with engine_errors(f"base image {name}"), suppress(docker.errors.ImageNotFound):
                return self._described(name, recipe)
        tell(f"pulling {recipe.base_image}")
        try:
            self._engine.patient.images.pull(recipe.base_image, platform=recipe.platform)
            return self._described(recipe.base_image, recipe)
        except (docker.errors.DockerException, OSError) as error:
            local = " or `make base-image`" if recipe.base_is_default else ""
            raise EngineError(
                f"base image missing: {recipe.base_image} is not on this engine and can not be pulled",
                hint=f"`docker pull {recipe.base_image}`{local}",
            ) from error

    def _described(self, name: str, recipe: Recipe) -> _Base:
        image: dict[str, Any] = self._engine.client.images.get(name).attrs
        platform = f"{image.get('Os')}/{image.get('Architecture')}"
        if platform != recipe.platform:
            raise EngineError(
                f"base image {name} is {platform}, the policy's runtime.platform is {recipe.platform}",
                hint=f"`docker pull --platform {recipe.platform} {name}`",
            )
        digests = [digest.partition("@")[2] for digest in image.get("RepoDigests") or []]
        return _Base(reference=name, digest=digests[0] if digests else image["Id"], id=image["Id"])

    def _find(self, key: str, recipe: Recipe, started: float) -> BuiltImage | None:
        with engine_errors(f"image {REPOSITORY}:{tag_of(key)}"):
            found = find_environment(self._engine, key)
        if found is None:
            return None
        image, facts = found
        seconds = {"total": time.monotonic() - started}
        return from_facts_text(facts, recipe, reference=image, image_digest=image, seconds=seconds)

    def _build(self, recipe: Recipe, base: _Base, key: str, tell: Progress) -> BuiltImage:
        with engine_errors("the build container can not be used"):
            container = self._container(recipe, base)
            try:
                return _Build(
                    self._engine,
                    container,
                    recipe,
                    session=self._session,
                    environ=self._environ,
                    tell=tell,
                    timeout_s=self._timeout_s,
                ).run(base, key)
            finally:
                container.remove(force=True, v=True)

    def _container(self, recipe: Recipe, base: _Base) -> Container:
        # apt switches users and changes owners; uv needs no capability at all.
        options: dict[str, Any] = {} if recipe.apt else {"cap_drop": ["ALL"]}
        return self._engine.client.containers.create(
            base.id,
            # It ends by itself when this process, and the watchdog, are gone.
            entrypoint=["sleep", str(int(self._timeout_s) + 60)],
            command=[],
            user="0:0",
            network="bridge",
            labels={**self._session.labels(), ROLE_LABEL: "build"},
            security_opt=["no-new-privileges"],
            pids_limit=2048,
            mem_limit=max(self._engine.facts.memory * 3 // 4, 2**30),
            # A mount and not `volumes`: the commit would declare the path as a volume of the image, and every container
            # of it would leave an anonymous one behind.
            mounts=[Mount(_CACHE, CACHE_VOLUME, type="volume")],
            # The SDK would copy the proxies of the host's ~/.docker/config.json, and the commit would keep them.
            use_config_proxy=False,
            **options,
        )


class _Build:
    """One build in one container, which its caller removes."""

    def __init__(
        self,
        engine: Engine,
        container: Container,
        recipe: Recipe,
        *,
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
        self._env |= {"UV_CACHE_DIR": _CACHE, "UV_LINK_MODE": "copy", "HOME": "/tmp", "LANG": "C.UTF-8"}  # noqa: S108
        if self._ca is not None:
            names = ("SSL_CERT_FILE", "REQUESTS_CA_BUNDLE", "PIP_CERT", "CURL_CA_BUNDLE", "GIT_SSL_CAINFO")
            self._env |= dict.fromkeys(names, f"{_TOOLS}/ca.pem")
        self._made = Installation(
            recipe=recipe, binary=f"{_TOOLS}/uv", venv=_VENV, folder=_TOOLS, run=self._exec, write=self._write
        )

    def run(self, base: _Base, key: str) -> BuiltImage:
        """Install, record what came of it, commit."""
        seconds: dict[str, float] = {}
        started = mark = time.monotonic()
        self._copy_in()
        self._container.start()
        self._apt()
        mark = _lap(seconds, "prepare", mark)
        self._install()
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

    def _install(self) -> None:
        missing = self._made.make_venv()
        if missing:
            raise EngineError(
                f"the base image has no usable Python {self._recipe.python}: {missing}",
                hint="set runtime.base_image to an image with that Python",
            )
        self._made.install()

    def _write(self, name: str, text: str) -> None:
        if not self._container.put_archive("/", tar({f"{_TOOLS}/{name}": (text.encode(), 0o644)})):
            raise EngineError("the engine did not take the build's files")

    def _frozen(self) -> tuple[tuple[str, ...], str]:
        script = (
            "import compileall, platform, shutil, sysconfig\n"
            "home = sysconfig.get_path('purelib') + '/mlgate_serving'\n"
            "shutil.move('/opt/mlgate/mlgate_serving', home)\n"
            "compileall.compile_dir(home, quiet=1)\n"
            "print(platform.python_version())\n"
        )
        code, python = self._exec([_PYTHON, "-I", "-c", script], quiet=True)
        frozen_code, frozen = self._exec(uv.freeze_command(f"{_TOOLS}/uv", _PYTHON), quiet=True)
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
        self, command: Sequence[str], *, quiet: bool = False, more: Mapping[str, str] | None = None
    ) -> tuple[int, str]:
        """Run a step and return its status and output; the container dies at the deadline."""
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
            output = bytearray()
            pending = b""
            for chunk in api.exec_start(made["Id"], stream=True):
                output += chunk
                *lines, pending = (pending + chunk).split(b"\n")
                for line in lines if not quiet else ():
                    self._tell(line.decode(errors="replace").rstrip())
        finally:
            timer.cancel()
        if expired.is_set():
            raise EngineError(
                f"the environment was not installed within {self._timeout_s:.0f} s",
                hint="look at the package index; what was downloaded is kept, so that the next try is faster",
            )
        code = api.exec_inspect(made["Id"])["ExitCode"]
        return (1 if code is None else int(code)), bytes(output).decode(errors="replace")


def _base_names(recipe: Recipe) -> tuple[str, ...]:
    local = (LOCAL_BASE.format(python=recipe.python),) if recipe.base_is_default else ()
    return recipe.base_image, *local


def _lap(seconds: dict[str, float], name: str, since: float) -> float:
    now = time.monotonic()
    seconds[name] = round(now - since, 3)
    return now

"""Environment images on a container engine: build in a container that has network but no model, commit, find again."""

import os
import time
from collections.abc import Mapping
from contextlib import suppress
from dataclasses import replace
from pathlib import Path
from threading import Thread
from typing import Any

import docker.errors
import requests
from docker.models.containers import Container
from docker.types import Mount
from filelock import FileLock, Timeout

from mlgate.errors import EngineError, InstallError
from mlgate.images.build_container import CACHE_FOLDER, Base, Build, Progress
from mlgate.images.built import REPOSITORY, find_environment, tag_of
from mlgate.images.environment import cache_folder, with_pip_config
from mlgate.images.facts import BuiltImage, from_facts_text
from mlgate.images.installation import NeedsBuild
from mlgate.images.labels import ROLE_LABEL
from mlgate.images.recipe import DEFAULT_BASE_IMAGE, Recipe, foundation, recipe_key
from mlgate.sandbox.engine import Engine, engine_errors
from mlgate.sandbox.session import SessionTag

LOCAL_BASE = "mlgate/base:{python}"
# A volume and not the host's cache: the build runs strangers' code, and a remote engine has no host folder.
CACHE_VOLUME = "mlgate-uv-cache"
BUILD_TIMEOUT_S = 1800


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
        self._leaving: list[Thread] = []
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
        try:
            return self._obtain(recipe, on_progress or (lambda _: None))
        finally:
            for leaving in self._leaving:
                leaving.join()
            self._leaving.clear()

    def _obtain(self, recipe: Recipe, tell: Progress) -> BuiltImage:
        started = time.monotonic()
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

    def _base(self, recipe: Recipe, tell: Progress) -> Base:
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

    def _described(self, name: str, recipe: Recipe) -> Base:
        image: dict[str, Any] = self._engine.client.images.get(name).attrs
        platform = f"{image.get('Os')}/{image.get('Architecture')}"
        if platform != recipe.platform:
            raise EngineError(
                f"base image {name} is {platform}, the policy's runtime.platform is {recipe.platform}",
                hint=f"`docker pull --platform {recipe.platform} {name}`",
            )
        digests = [digest.partition("@")[2] for digest in image.get("RepoDigests") or []]
        return Base(reference=name, digest=digests[0] if digests else image["Id"], id=image["Id"])

    def _find(self, key: str, recipe: Recipe, started: float) -> BuiltImage | None:
        with engine_errors(f"image {REPOSITORY}:{tag_of(key)}"):
            found = find_environment(self._engine, key)
        if found is None:
            return None
        image, facts = found
        seconds = {"total": time.monotonic() - started}
        return from_facts_text(facts, recipe, reference=image, image_digest=image, seconds=seconds)

    def _build(self, recipe: Recipe, base: Base, key: str, tell: Progress) -> BuiltImage:
        """Build on the foundation, made first where it is not there."""
        began = time.monotonic()
        base = replace(base, on=self._foundation(recipe, tell))
        before = {"foundation": round(time.monotonic() - began, 3)} if base.on else {}
        built = self._build_on(recipe, base, key, tell)
        total = round(time.monotonic() - began, 3)
        return replace(built, seconds={**before, **built.seconds, "total": total})

    def _build_on(self, recipe: Recipe, base: Base, key: str, tell: Progress) -> BuiltImage:
        """Build from wheels with the cache that all versions share; where code has to run for that, apart from it."""
        # uv builds what is editable whatever it is told.
        if not any(line.startswith(("-e", "--editable")) for line in recipe.allowed):
            try:
                return self._build_in_container(recipe, base, key, tell, cache=True)
            except NeedsBuild:
                tell("a requirement has no wheel and has to be built: again, without the shared package cache")
        return self._build_in_container(recipe, base, key, tell, cache=False)

    def _foundation(self, recipe: Recipe, tell: Progress) -> str:
        """Return the image with what versions share, built where it is not there; empty where there can be none."""
        shared = foundation(recipe)
        if not shared.requirements or shared == recipe:
            return ""
        try:
            return self._obtain(shared, tell).reference
        except InstallError:
            return ""  # with the version's own bounds it may be possible

    def _build_in_container(self, recipe: Recipe, base: Base, key: str, tell: Progress, *, cache: bool) -> BuiltImage:
        with engine_errors("the build container can not be used"):
            container = self._container(recipe, base, cache=cache)
            try:
                return Build(
                    self._engine,
                    container,
                    recipe,
                    cache=cache,
                    session=self._session,
                    environ=self._environ,
                    tell=tell,
                    timeout_s=self._timeout_s,
                ).run(base, key)
            finally:
                # The engine takes seconds over a large one, in which the next build can begin. What fails here, the
                # watchdog or the next run's sweep removes.
                self._leaving.append(Thread(target=_remove, args=[container]))
                self._leaving[-1].start()

    def _container(self, recipe: Recipe, base: Base, *, cache: bool) -> Container:
        # apt switches users and changes owners; uv needs no capability at all.
        options: dict[str, Any] = {} if recipe.apt else {"cap_drop": ["ALL"]}
        return self._engine.client.containers.create(
            base.on or base.id,
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
            mounts=[Mount(CACHE_FOLDER, CACHE_VOLUME, type="volume")] if cache else [],
            # The SDK would copy the proxies of the host's ~/.docker/config.json, and the commit would keep them.
            use_config_proxy=False,
            **options,
        )


def _remove(container: Container) -> None:
    with suppress(docker.errors.DockerException, requests.RequestException, OSError):
        container.remove(force=True, v=True)


def _base_names(recipe: Recipe) -> tuple[str, ...]:
    local = (LOCAL_BASE.format(python=recipe.python),) if recipe.base_is_default else ()
    return recipe.base_image, *local

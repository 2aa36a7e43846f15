"""Dockerd: an archive as ``docker load`` takes it."""

from __future__ import annotations

import contextlib
from collections.abc import Iterable, Iterator, Mapping
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, field
from threading import Event
from typing import Any, Final

from rke2pack.engine import Engine
from rke2pack.errors import ConfigError, NotFoundError
from rke2pack.finding import Finding
from rke2pack.oci.platform import Platform
from rke2pack.oci.reference import Reference
from rke2pack.oci.verify.view import SeenImage
from rke2pack.validate.report import Report
from rke2pack.validate.runtime.archive import Archive
from rke2pack.validate.runtime.trial import Kept, Trial, check_room

# Source: Docker Engine 23.0 release notes, support of zstd in docker load.
_KNOWS_ZSTD: Final = 23
_UNPACKED_BY_US: Final = "decompressed by rke2pack: docker before 23.0 reads no zstd"
_NO_MANIFEST: Final = "docker keeps no manifests of what it loads, without containerd's image store"
_NO_DIGEST: Final = "docker gives no name@digest to what it loads"


class _StoppedError(Exception):
    """Ends the stream of an archive that nobody waits for any more."""


@dataclass(frozen=True, kw_only=True)
class Docker:
    """A docker engine."""

    engine: Engine
    version: str
    system: str

    @classmethod
    def connect(cls, environment: Mapping[str, str]) -> Docker:
        """Reach the engine that the environment names; raises ToolError."""
        engine = Engine.connect(environment)
        version, system = engine.version()
        return cls(engine=engine, version=version, system=system)

    @property
    def title(self) -> str:
        """Its name and version."""
        return f"docker {self.version}"

    @property
    def knows_zstd(self) -> bool:
        """Whether it decompresses zstd itself."""
        first = self.version.partition(".")[0]
        return first.isdigit() and int(first) >= _KNOWS_ZSTD

    def passes_over(self, archive: Archive) -> str:
        """Say why an archive is nothing for it; empty where it is."""
        if not archive.is_for_docker:
            return "a delta without a whole image: docker loads none"
        if archive.platform is not None and archive.platform.os != self.system:
            return f"docker on {self.system} loads no images for {archive.platform.os}"
        return ""

    @contextlib.contextmanager
    def trial(self, archive: Archive, *, registry: str | None, report: Report) -> Iterator[Trial]:
        """Load an archive; only names and images that were not there before are removed."""
        trying = _Trying(docker=self, archive=archive, registry=registry, report=report)
        trial = Trial(expected=archive.docker_images or archive.images)
        trying.look(trial)
        if trial.refused:
            yield trial
            return
        try:
            trying.run(trial)
            yield trial
        finally:
            with report.step("docker remove"):
                trying.remove(trial)


@dataclass(kw_only=True)
class _Trying:
    docker: Docker
    archive: Archive
    registry: str | None
    report: Report
    before: dict[str, str] = field(default_factory=dict)

    def look(self, trial: Trial) -> None:
        """See what is there already: a load would take a name from another image."""
        self.before = _full(self.docker.engine.names())
        for reference, images in trial.expected.items():
            own = {i for image in images for i in _identities(image)}
            for name in (str(reference), *self._others(reference)):
                have = self.before.get(name)
                if have is not None and have not in own:
                    trial.refused = (
                        f"{name} is another image there ({have}), which is left as it is; "
                        f"remove that name first, or choose --runtime containerd"
                    )
                elif have is not None:
                    self.report.notes.append(_there(name, self.docker.title))

    def run(self, trial: Trial) -> None:
        """Load the archive and look at what came."""
        with self.report.step("docker load"):
            trial.refused = self._load(trial)
        check_room(trial.refused, title=self.docker.title, archive=self.archive.name)
        if trial.refused:
            return
        with self.report.step("docker checks"):
            self._inspect(trial)
            self._tag(trial)

    def _load(self, trial: Trial) -> str:
        """Load in a thread: interrupted, the engine goes on with what it has, and that is awaited.

        What comes after the removal would stay.
        """
        file, stopped = self.archive.file, Event()
        chunks = file.raw()
        if file.packing == "zstd" and not self.docker.knows_zstd:
            trial.how = _UNPACKED_BY_US
            chunks = file.tar()
        with ThreadPoolExecutor(1) as pool:
            loading = pool.submit(self.docker.engine.load, _until(stopped, chunks))
            try:
                return loading.result()
            finally:
                stopped.set()

    def _inspect(self, trial: Trial) -> None:
        names = {}
        for reference, images in trial.expected.items():
            try:
                found = self.docker.engine.inspect(str(reference))
            except NotFoundError:
                continue
            names[str(reference)] = str(found.get("Id", ""))
            image = _matching(images, names[str(reference)])
            trial.kept.append(_kept(image, found))
        trial.names = names
        if not any(each.target for each in trial.kept):
            trial.not_made["digest"] = _NO_MANIFEST

    def _tag(self, trial: Trial) -> None:
        trial.not_made["name@digest"] = _NO_DIGEST
        if not self.registry:
            trial.not_made["tags"] = "no --system-default-registry, and docker pins nothing"
            return
        for reference in trial.expected:
            others = self._others(reference) if str(reference) in trial.names else ()
            for name in others:
                if name not in self.before:
                    self.docker.engine.tag(str(reference), name)
            found = {name: str(self.docker.engine.inspect(name).get("Id", "")) for name in others}
            trial.tags[reference] = found

    def _others(self, reference: Reference) -> tuple[str, ...]:
        if not self.registry:
            return ()
        other = reference.with_registry(self.registry)
        return (str(other),) if other != reference else ()

    def remove(self, trial: Trial) -> None:
        """Take away what this run brought: names first, then images that never had one."""
        names = [n for ref in trial.expected for n in (str(ref), *self._others(ref))]
        seen = (*self.archive.images.values(), *trial.expected.values(), self.archive.loaded)
        ids = [i for images in seen for image in images for i in _identities(image)]
        for wanted in (names, ids):
            after = _full(self.docker.engine.names())
            for name in dict.fromkeys(wanted):
                if name in after and name not in self.before:
                    self.docker.engine.remove(name)


def _until(stopped: Event, chunks: Iterable[bytes]) -> Iterator[bytes]:
    for chunk in chunks:
        if stopped.is_set():
            raise _StoppedError
        yield chunk


def _full(names: Mapping[str, str]) -> dict[str, str]:
    """Write docker's short names in full; ids stay."""
    found = {}
    for name, identity in names.items():
        is_id = name == identity
        with contextlib.suppress(ConfigError):
            found[name if is_id else str(Reference.parse(name))] = identity
    return found


def _identities(image: SeenImage) -> Iterator[str]:
    """Yield what an image's id can be: the config's digest, or what a name points at.

    The latter with containerd's image store, which newer engines have.
    """
    yield str(image.config)
    for each in (image.descriptor, image.root):
        if each is not None:
            yield str(each.digest)


def _matching(images: Iterable[SeenImage], identity: str) -> SeenImage:
    """Return the image that was loaded; an engine has one platform under a name."""
    every = tuple(images)
    return next((each for each in every if identity in _identities(each)), every[0])


def _kept(image: SeenImage, found: Mapping[str, Any]) -> Kept:
    texts = {key: str(found.get(key) or "") for key in ("Id", "Os", "Architecture", "Variant")}
    layers = tuple(map(str, (found.get("RootFS") or {}).get("Layers") or ()))
    wanted = [str(each.diff_id) for each in image.layers if each.diff_id]
    is_config = texts["Id"] == str(image.config) or texts["Id"] not in _identities(image)
    return Kept(
        expected=image,
        target="" if is_config else texts["Id"],
        identity=texts["Id"] if is_config else str(image.config),
        platform=Platform(
            os=texts["Os"],
            architecture=texts["Architecture"],
            variant=texts["Variant"],
            os_version=str(found.get("OsVersion") or ""),
        ),
        diff_ids=layers,
        lacks=tuple(each for each in wanted if each not in layers),
        still_packed="",
    )


def _there(name: str, title: str) -> Finding:
    return Finding(
        severity="info",
        check="collision",
        subject=name,
        expected=f"a name that {title} has not",
        got="the same image is there already and is left",
    )

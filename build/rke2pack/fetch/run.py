"""A run that brings images from registries, or from a local docker engine, into a store."""

from __future__ import annotations

import time
from collections.abc import Generator, Iterable, Iterator, Mapping
from contextlib import closing
from dataclasses import dataclass
from pathlib import Path

from rke2pack import wishes as wished
from rke2pack.errors import ConfigError
from rke2pack.oci.model import Descriptor
from rke2pack.oci.registry.access import Access
from rke2pack.oci.store.layout import Layout
from rke2pack.oci.store.transfer import Outcome, Transfer
from rke2pack.oci.wish import Wish
from rke2pack.progress import Meter
from rke2pack.registries import open_store
from rke2pack.settings import Settings

_TAG_SECONDS = 1.0


@dataclass(frozen=True, kw_only=True)
class Fetch:
    """Brings images into ``store``; those that ``engine_patterns`` name from the engine."""

    settings: Settings
    access: Access
    environment: Mapping[str, str]
    store: Path
    jobs: int
    engine_patterns: tuple[str, ...] = ()

    def run(self, wishes: tuple[Wish, ...], meter: Meter) -> Generator[Outcome]:
        """Bring every image and let its name point at it; yield outcomes as they are ready.

        Closed before its end, it ends what is under way.
        """
        local = [wish for wish in wishes if _is_local(wish, self.engine_patterns)]
        remote = [wish for wish in wishes if wish not in local]
        if self._is_read_only:
            yield from self._outcomes(Layout(self.store), local, remote, meter)
            return
        layout = open_store(self.settings, self.store)
        with (
            layout.in_use(),
            closing(self._outcomes(layout, local, remote, meter)) as outcomes,
        ):
            yield from self._tagged(layout, outcomes)

    def _tagged(self, layout: Layout, outcomes: Iterator[Outcome]) -> Iterator[Outcome]:
        names: dict[str, Descriptor] = {}
        told = time.monotonic()
        try:
            for outcome in outcomes:
                if outcome.status == "copied" and outcome.image is not None:
                    names[str(outcome.wish.reference)] = outcome.image.root
                if time.monotonic() - told > _TAG_SECONDS:
                    layout.tag(names)
                    names, told = {}, time.monotonic()
                yield outcome
        finally:
            layout.tag(names)

    def _outcomes(
        self, layout: Layout, local: list[Wish], remote: list[Wish], meter: Meter
    ) -> Generator[Outcome]:
        transfer = Transfer(
            access=self.access,
            layout=layout,
            jobs=self.jobs,
            is_dry_run=self.settings.is_dry_run,
            is_offline=self.settings.is_offline,
            meter=meter,
        )
        if local and self.settings.is_offline:
            remote = [*local, *remote]
        elif local:
            yield from self._from_engine(layout, local)
        yield from transfer.run(remote)

    def _from_engine(self, layout: Layout, wishes: list[Wish]) -> Iterator[Outcome]:
        # docker's package is slow to import and rarely needed.
        from rke2pack.engine import Engine  # noqa: PLC0415
        from rke2pack.oci.store.local import LocalImages  # noqa: PLC0415

        with closing(Engine.connect(self.environment)) as engine:
            is_dry_run = self.settings.is_dry_run
            images = LocalImages(engine=engine, layout=layout, is_dry_run=is_dry_run)
            yield from map(images.bring, wishes)

    @property
    def _is_read_only(self) -> bool:
        return self.settings.is_dry_run or self.settings.is_offline


def check_patterns(patterns: tuple[str, ...], wishes: Iterable[Wish]) -> None:
    """Raise ConfigError for a pattern of ``--from-engine`` that names none of the images."""
    every = tuple(wishes)
    for pattern in patterns:
        if not any(_is_local(wish, (pattern,)) for wish in every):
            msg = f"--from-engine {pattern}: no image is called so"
            raise ConfigError(msg, hint="name a repository of the list, like rancher/rke2-runtime")


def _is_local(wish: Wish, patterns: Iterable[str]) -> bool:
    """Whether a pattern names the image, its repository, or its repository with the registry."""
    return any(wished.is_named(wish.reference, pattern) for pattern in patterns)

"""Local: images that exist only in a docker engine, taken into a layout."""

from __future__ import annotations

from dataclasses import dataclass

from rke2pack.engine import Engine
from rke2pack.errors import NotFoundError, PackError
from rke2pack.oci.intake import savedimage
from rke2pack.oci.model import Manifest, unique
from rke2pack.oci.resolve import Image, resolve
from rke2pack.oci.store.layout import Layout
from rke2pack.oci.store.names import Store
from rke2pack.oci.store.transfer import Outcome
from rke2pack.oci.wish import Wish


@dataclass(frozen=True, kw_only=True)
class LocalImages:
    """Fulfils wishes from an engine; an image of it is for one platform."""

    engine: Engine
    layout: Layout
    is_dry_run: bool = False

    def bring(self, wish: Wish) -> Outcome:
        """Take one image in, unless the layout has it; an error is an outcome too."""
        try:
            return self._bring(wish)
        except PackError as exc:
            return Outcome(wish=wish, status="failed", error=exc)

    def _bring(self, wish: Wish) -> Outcome:
        name = str(wish.reference)
        identity = self.engine.identity(name)
        known = self._known(name, identity)
        if known is not None:
            _accepted(wish, known)
            return Outcome(wish=wish, status="present", image=self._fitting(known, wish))
        if self.is_dry_run:
            return Outcome(wish=wish, status="planned")
        with self.engine.export(name) as stream:
            manifest = savedimage.take_in(self.layout, stream, wish.reference, what=name)
        _accepted(wish, manifest)
        image = self._fitting(manifest, wish)
        new = unique((manifest.descriptor, *manifest.blobs))
        return Outcome(wish=wish, status="copied", image=image, lacking=new)

    def _known(self, name: str, identity: str) -> Manifest | None:
        """Return the layout's manifest where it is the engine's image and complete."""
        root = self.layout.find(name)
        if root is None or not self.layout.has(root):
            return None
        document = self.layout.document(root)
        if not isinstance(document, Manifest) or str(document.config.digest) != identity:
            return None
        return document if all(map(self.layout.has, document.blobs)) else None

    def _fitting(self, manifest: Manifest, wish: Wish) -> Image:
        image = resolve(Store(layout=self.layout), manifest, (), what=str(wish.reference))
        fits = [p for p in image.platforms if any(p.satisfies(w) for w in wish.platforms)]
        if wish.platforms and not fits:
            has = ", ".join(map(str, image.platforms))
            wanted = ", ".join(map(str, wish.platforms))
            msg = f"{wish.reference}: the docker engine has it for {has}, not for {wanted}"
            raise NotFoundError(msg)
        return image


def _accepted(wish: Wish, manifest: Manifest) -> None:
    """Raise what the wish has against an image; its name does not point there then."""
    if wish.accept is not None:
        wish.accept(manifest.descriptor.digest)

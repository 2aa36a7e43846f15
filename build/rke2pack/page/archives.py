"""Archives of the page: what each file in dist/artifacts holds, read from its own bytes."""

from __future__ import annotations

import re
from collections.abc import Callable, Iterable, Iterator
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from rke2pack import files
from rke2pack.digest import Digest
from rke2pack.errors import PackError
from rke2pack.oci.intake import archivefile, releasefolder
from rke2pack.oci.intake.archivefile import ArchiveFile
from rke2pack.oci.intake.releasefolder import ARCHIVE
from rke2pack.oci.verify import scan as scans
from rke2pack.oci.verify import view as views
from rke2pack.oci.verify.view import SeenImage, View

_WORKERS = 2
_NAMED = re.compile(r"rke2-images(?:-(?P<component>[a-z0-9-]+))?\.(?P<os>[a-z]+)-(?P<arch>\w+)\Z")
_WINDOWS = re.compile(r"rke2-windows-[0-9a-z]+-(?P<arch>[0-9a-z]+)-images\Z")


@dataclass(frozen=True, slots=True, kw_only=True)
class ArchiveFileFact:
    """A file of an archive: one of its formats, or a part; the digest where it was read."""

    name: str
    size: int
    digest: str

    def to_json(self) -> dict[str, Any]:
        """Return the object of the page's data."""
        return {"name": self.name, "size": self.size, "digest": self.digest or None}


@dataclass(frozen=True, slots=True, kw_only=True)
class PageLayer:
    """A layer as the archive has it; ``is_there`` is false where it is left to another archive."""

    digest: str
    size: int
    is_there: bool

    def to_json(self) -> dict[str, Any]:
        """Return the object of the page's data."""
        return {"digest": self.digest, "size": self.size, "there": self.is_there}


@dataclass(frozen=True, slots=True, kw_only=True)
class ArchivedImage:
    """One image of an archive and its layers in order."""

    reference: str
    digest: str
    layers: tuple[PageLayer, ...]

    @property
    def size(self) -> int:
        """Bytes of the layers, each once."""
        return sum({layer.digest: layer.size for layer in self.layers}.values())

    def to_json(self) -> dict[str, Any]:
        """Return the object of the page's data."""
        return {
            "reference": self.reference,
            "digest": self.digest or None,
            "layers": [layer.to_json() for layer in self.layers],
        }


@dataclass(frozen=True, slots=True, kw_only=True)
class PageArchive:
    """An archive in all its formats; ``component`` is empty where it is one of several.

    ``problem`` says why its content is not known; ``images`` is empty then.
    """

    name: str
    component: str
    platform: str
    files: tuple[ArchiveFileFact, ...]
    images: tuple[ArchivedImage, ...]
    problem: str = ""

    @property
    def size(self) -> int:
        """Bytes on the disk of the format that was read: its first."""
        stem, _, _ = self.files[0].name.partition(".part")
        return sum(each.size for each in self.files if each.name.partition(".part")[0] == stem)

    @property
    def content(self) -> int:
        """Bytes of all layers, each once, as a node unpacks the archive."""
        layers = (layer for image in self.images for layer in image.layers)
        return sum({layer.digest: layer.size for layer in layers}.values())

    def to_json(self) -> dict[str, Any]:
        """Return the object of the page's data."""
        return {
            "name": self.name,
            "component": self.component or None,
            "platform": self.platform,
            "files": [each.to_json() for each in self.files],
            "content": self.content,
            "images": [each.to_json() for each in self.images],
            "problem": self.problem or None,
        }


def has_archives(folder: Path) -> bool:
    """Whether a folder is there and holds an archive."""
    with files.reported("read", folder):
        return folder.is_dir() and any(ARCHIVE.match(each.name) for each in folder.iterdir())


def read(
    folder: Path, components: Iterable[str], tell: Callable[[str], None]
) -> tuple[PageArchive, ...]:
    """Read every archive of a folder once, to its end; nothing is unpacked to the disk.

    ``components`` are the tree's. What cannot be read is told by the archive's
    ``problem``; raises ToolError and IntegrityError for the folder itself.
    """
    known = frozenset(components)
    groups: dict[str, list[ArchiveFile]] = {}
    for file in releasefolder.archives(folder):
        groups.setdefault(_stem(file), []).append(file)
    endings = tuple(archivefile.ENDINGS)
    for formats in groups.values():
        formats.sort(key=lambda file: endings.index(archivefile.ending(file.path.name)))

    def one(item: tuple[str, list[ArchiveFile]]) -> PageArchive:
        tell(f"reading  {item[1][0].path.name}")
        return _archive(item[0], item[1], known)

    with ThreadPoolExecutor(_WORKERS) as pool:
        return tuple(pool.map(one, sorted(groups.items())))


def _stem(file: ArchiveFile) -> str:
    return file.path.name.removesuffix(archivefile.ending(file.path.name))


def _archive(stem: str, formats: list[ArchiveFile], known: frozenset[str]) -> PageArchive:
    sums: dict[Path, Digest] = {}
    images: tuple[ArchivedImage, ...] = ()
    problem, platform = "", ""
    try:
        scan = scans.scan(formats[0])
        sums = {each.path: each.digest for each in scan.sums}
        seen = views.view(scan)
        wrong = [scan.error.message] if scan.error else seen.problems
        problem = wrong[0] if wrong else ""
        images = () if problem else tuple(_images(seen))
        platform = next((str(i.platform) for i in seen.images if i.platform), "")
    except PackError as exc:
        problem = exc.message
    match = _NAMED.match(stem)
    windows = _WINDOWS.match(stem)
    if match:
        platform = f"{match['os']}/{match['arch']}"
    elif windows:
        platform = f"windows/{windows['arch']}"
    component = (match["component"] or "") if match else ""
    return PageArchive(
        name=stem,
        component=component if component in known else "",
        platform=platform or "unknown",
        files=tuple(_files(formats, sums)),
        images=images,
        problem=problem.replace(f"{formats[0].path.parent}/", ""),
    )


def _files(formats: Iterable[ArchiveFile], sums: dict[Path, Digest]) -> Iterator[ArchiveFileFact]:
    for file in formats:
        for part in file.parts:
            with files.reported("read", part):
                size = part.stat().st_size
            digest = str(sums[part]) if part in sums else ""
            yield ArchiveFileFact(name=part.name, size=size, digest=digest)


def _images(seen: View) -> Iterator[ArchivedImage]:
    """Yield each image under its first name once, sorted by name."""
    found: dict[str, SeenImage] = {}
    for image in seen.images:
        found.setdefault(image.title, image)
    for title in sorted(found):
        image = found[title]
        layers = []
        for layer in image.layers:
            lacking = seen.lacking.get(layer.digest)
            size = layer.content.size if layer.content else lacking.size if lacking else 0
            digest, is_there = str(layer.digest), layer.content is not None
            layers.append(PageLayer(digest=digest, size=size, is_there=is_there))
        digest = str(image.descriptor.digest) if image.descriptor else ""
        yield ArchivedImage(reference=title, digest=digest, layers=tuple(layers))

"""What the tour says of a step, and how it finds out whether that is so."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path

from rke2pack import files, wishes
from rke2pack.digest import Digest
from rke2pack.errors import ValidationError
from rke2pack.oci.store.layout import Layout
from rke2pack.release.asset import CYCLONEDX, NOTES, OFFLINE, PROVENANCE, SPDX
from rke2pack.settings import Settings

TARGET = "registry.example.com/rke2"
SHARDS, MERGED = "dist/shards", "dist/merged"
_PAGE_BYTES = 1_000_000


def demand(claim: str, *, is_so: bool) -> None:
    """Raise ValidationError where a claim does not hold."""
    if not is_so:
        msg = f"lab: not so: {claim}"
        raise ValidationError(msg, hint="please report it with the lines above")


def state(folder: Path) -> Mapping[str, tuple[int, Digest]]:
    """Return the time and the digest of every file below a folder."""
    return {
        path.relative_to(folder).as_posix(): (path.stat().st_mtime_ns, Digest.of(path.read_bytes()))
        for path in sorted(folder.rglob("*"))
        if path.is_file() and not path.name.startswith(".")
    }


def is_pulled(settings: Settings) -> bool:
    """Whether the store has every image of images.txt."""
    names = {entry.name for entry in Layout(settings.store).entries()}
    return {str(wish.reference) for wish in wishes.asked(settings, (), is_whole=False)} <= names


def has_page(settings: Settings) -> bool:
    """Whether the report is there, complete and below a megabyte."""
    page = settings.tree / "dist/report.html"
    with files.reported("read", page):
        text = page.read_text(encoding="utf-8")
    return len(text) < _PAGE_BYTES and text.endswith("</html>\n") and "Not there yet" not in text


def is_mirrored(settings: Settings) -> bool:
    """Whether the lab's registry has the images of a component under TARGET, digests kept."""
    if settings.lab is None:
        return False
    there = {e.name: e.descriptor.digest for e in Layout(settings.lab.fill()).entries()}
    store = {e.name: e.descriptor.digest for e in Layout(settings.store).entries()}
    asked = [wish.reference for wish in wishes.asked(settings, (), is_whole=False)]
    return bool(asked) and all(
        there.get(f"{TARGET}/{each.repository}:{each.tag}") == store[str(each)] for each in asked
    )


def has_archives(settings: Settings) -> bool:
    """Whether there is an archive of every platform, none of them empty."""
    folder = settings.tree / "dist/artifacts"
    sizes = [path.stat().st_size for path in folder.glob("*.tar.zst")]
    return bool(sizes) and all(sizes)


def is_merged(settings: Settings) -> bool:
    """Whether each of the shards had something to do, and all are what one run has made."""
    records = {path.name for path in (settings.tree / SHARDS).glob("*/shard-*.json")}
    merged, whole = (state(settings.tree / name) for name in (MERGED, "dist/artifacts"))
    bytes_of = [{name: digest for name, (_, digest) in each.items()} for each in (merged, whole)]
    is_split = records == {"shard-1-of-2.json", "shard-2-of-2.json"}
    return is_split and bytes_of[0] == bytes_of[1] != {}


def is_released(settings: Settings) -> bool:
    """Whether the release's folder has every kind of file."""
    there = {path.name for path in (settings.tree / "dist/release").iterdir()}
    charts = {path.name for path in (settings.tree / "dist/charts").glob("*.yaml")}
    artifacts = {path.name for path in (settings.tree / "dist/artifacts").glob("[!.]*")}
    made = {PROVENANCE, OFFLINE, CYCLONEDX, SPDX, NOTES, "report.html"}
    return bool(charts) and bool(artifacts) and there == made | charts | artifacts

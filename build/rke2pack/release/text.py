"""Changes as text: lines for a terminal, Markdown for release notes and changelogs."""

from __future__ import annotations

from collections.abc import Iterator

from rke2pack import templates
from rke2pack.release.changes import Changes, ImageChanges


def lines(changes: Changes) -> Iterator[str]:
    """Yield what changed, a line each, charts with their differences first."""
    for name, (old, new) in changes.versions.items():
        yield f"{name}: {old or 'none'} -> {new or 'none'}"
    for each in changes.charts:
        yield f"{each.chart}: {each.old or 'not bundled'} -> {each.new or 'removed'}"
        if each.old and each.new and each.diff is None:
            yield f"  not compared: {each.no_diff}"
        yield from (f"  {line}" for line in each.summary)
    for images in changes.images:
        yield from _image_lines(images)
    if changes.is_empty:
        yield "no difference"


def _image_lines(images: ImageChanges) -> Iterator[str]:
    for moved in images.moved:
        yield f"images of {images.component}: {moved.repository} {moved.old} -> {moved.new}"
    for reference in images.removed:
        yield f"images of {images.component}: - {reference}"
    for reference in images.added:
        yield f"images of {images.component}: + {reference}"


def markdown(changes: Changes, *, level: int) -> str:
    """Return the changes as Markdown (template report.md.j2), headings of ``level``."""
    text = templates.markdown("rke2pack.release", code=code, changes=changes, heading="#" * level)
    return text.strip("\n") + "\n"


def code(text: object) -> str:
    """Return a Markdown code span that its content cannot leave, in a table either."""
    content = " ".join(str(text).split()).replace("`", "'").replace("|", "\\|")
    return f"`{content}`"

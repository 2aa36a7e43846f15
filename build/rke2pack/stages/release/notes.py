"""Release notes: what changed, what to know before an upgrade, and on what it was tried."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass

from rke2pack import templates
from rke2pack.progress import as_size
from rke2pack.release import text
from rke2pack.release.asset import NOTES, Asset
from rke2pack.release.changes import Changes
from rke2pack.release.validation import Validation

MAX_BODY = 120_000  # GitHub takes 125,000 characters


@dataclass(frozen=True, slots=True, kw_only=True)
class Notes:
    """What the notes are made of; ``intro`` is what people wrote, in Markdown."""

    tag: str
    intro: str
    changes: Changes | None
    validations: tuple[Validation, ...]
    assets: tuple[Asset, ...]

    def markdown(self) -> bytes:
        """Return the notes (template report.md.j2)."""
        changes = self.changes
        moved = [each for each in changes.charts if each.vital] if changes else []
        written = templates.markdown(
            "rke2pack.stages.release",
            code=text.code,
            tag=self.tag,
            intro=self.intro.strip(),
            changes=changes,
            changed=text.markdown(changes, level=3) if changes else "",
            vital=moved,
            validations=self.validations,
            findings=tuple(_findings(self.validations)),
            archives=[(each, as_size(each.size)) for each in self.assets if each.kind == "archive"],
        )
        return written.encode(errors="replace")


def _findings(validations: Iterable[Validation]) -> Iterable[str]:
    for each in validations:
        yield from each.findings
        yield from each.explained


def shortened(notes: str) -> str:
    """Return what GitHub shows of a release: all of the notes, or their beginning."""
    if len(notes) <= MAX_BODY:
        return notes
    kept = notes[:MAX_BODY].rpartition("\n")[0]
    return f"{kept}\n\nThe rest stands in {NOTES}.\n"

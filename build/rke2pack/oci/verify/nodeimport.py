"""Node import: what a node makes of an archive's images, worked out without one.

Sources: RKE2's (k3s's) preloading of ``agent/images``, which tags an image also
by its digest and under the system default registry; containerd's importer.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass, replace

from rke2pack.finding import Finding, Severity
from rke2pack.oci.intake import archivefile
from rke2pack.oci.intake.archivefile import ENDINGS
from rke2pack.oci.reference import Reference
from rke2pack.oci.verify.checks import Verified
from rke2pack.oci.verify.view import SeenImage


@dataclass(frozen=True, slots=True, kw_only=True)
class Imported:
    """One image on the node: everything that it is called there, its own name first.

    ``digest`` is empty where containerd makes a manifest of its own.
    """

    archive: str
    name: str
    digest: str
    platform: str
    tags: tuple[str, ...]

    def to_json(self) -> dict[str, object]:
        """Return the object that ``--json`` carries."""
        return {
            "archive": self.archive,
            "name": self.name,
            "digest": self.digest,
            "platform": self.platform,
            "tags": list(self.tags),
        }


def imported(verified: Verified, registry: str | None) -> Iterator[Imported]:
    """Yield what a node tags; ``registry`` is its system default registry.

    Images whose names it passes over are left out.
    """
    for image in verified.images:
        reference = image.reference
        if reference is None or not reference.tag:
            continue
        digest = str(image.root.digest) if image.root else ""
        yield Imported(
            archive=verified.scan.what,
            name=str(reference),
            digest=digest,
            platform=str(image.platform or ""),
            tags=tuple(_tags(image, reference, registry)),
        )


def findings(verified: Verified) -> Iterator[Finding]:
    """Yield what a node, or an older one, takes otherwise than it looks."""
    scan = verified.scan
    if not archivefile.ending(scan.what):
        expected = f"one of {', '.join(ENDINGS)}"
        yield _finding(scan.what, "ending", expected, "nodes do not read it")
    if len(scan.file.parts) > 1:
        got = f"{len(scan.file.parts)} parts; join them first"
        yield _finding(scan.what, "parts", "one file on a node", got, is_info=True)
    if not verified.view.is_oci and verified.images:
        got = "a docker archive: containerd makes manifests of its own"
        yield _finding(scan.what, "digests-lost", "the registry's digests", got, is_info=True)


def _tags(image: SeenImage, reference: Reference, registry: str | None) -> Iterator[str]:
    yield str(reference)
    if image.root is not None:
        yield str(replace(reference, tag="", digest=image.root.digest))
    if registry:
        yield str(reference.with_registry(registry))


def _finding(
    subject: str, check: str, expected: str, got: str, *, is_info: bool = False
) -> Finding:
    severity: Severity = "info" if is_info else "warning"
    return Finding(severity=severity, check=check, subject=subject, expected=expected, got=got)

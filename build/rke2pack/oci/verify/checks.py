"""Verify archive: what an archive promises, proved from its own bytes, one check after the other.

Each check gives one result when all is well and one for everything that is
wrong. `INTEGRITY` are the checks whose failure means damaged or missing bytes;
the others are rules that nodes, docker or a release depend on.
"""

from __future__ import annotations

import re
from collections import Counter
from collections.abc import Iterable, Iterator
from dataclasses import dataclass, field
from typing import Final

from rke2pack import wording
from rke2pack.digest import Digest
from rke2pack.errors import IntegrityError, PackError
from rke2pack.finding import Finding, Result, Status
from rke2pack.oci import deltanote
from rke2pack.oci.coding import WINDOW_LOG
from rke2pack.oci.deltanote import DeltaNote
from rke2pack.oci.intake import archivefile, savedimage
from rke2pack.oci.intake.archivefile import BLOBS, ENDINGS
from rke2pack.oci.platform import Platform
from rke2pack.oci.verify import view as archiveview
from rke2pack.oci.verify.scan import Scan
from rke2pack.oci.verify.view import SeenImage, View

INTEGRITY: Final = frozenset(
    {"readable", "digests", "once", "documents", "complete", "layers", "checksum"}
)
MAX_WINDOW: Final = 1 << WINDOW_LOG
_PLATFORM: Final = re.compile(
    r"[.-](?P<os>linux|windows)-(?:[0-9a-z]+-)?(?P<arch>amd64|arm64|arm|386|s390x|ppc64le|riscv64)"
    r"(?![0-9a-z])"
)
_SHOWN: Final = 20


@dataclass(frozen=True, kw_only=True)
class Verified:
    """What came of one archive; ``images`` is empty where it could not be read."""

    scan: Scan
    view: View
    note: DeltaNote | None
    results: tuple[Result, ...]
    findings: tuple[Finding, ...]

    @property
    def images(self) -> tuple[SeenImage, ...]:
        """The images that a node would import."""
        return tuple(self.view.images)

    @property
    def lacking(self) -> frozenset[Digest]:
        """Digests of blobs that are named and not there."""
        return frozenset(self.view.lacking)


def verify(scan: Scan, bases: Iterable[Scan] = ()) -> Verified:
    """Check a scanned archive; ``bases`` give what a delta has not itself."""
    seen = archiveview.view(scan)
    checking = _Checking(scan=scan, view=seen, bases=tuple(bases))
    checking.run()
    return Verified(
        scan=scan,
        view=seen,
        note=checking.note,
        results=tuple(checking.results),
        findings=tuple(checking.findings),
    )


def platform_of(name: str) -> Platform | None:
    """Return the platform that an archive's file name carries, if any."""
    match = _PLATFORM.search(name)
    return Platform(os=match["os"], architecture=match["arch"]) if match else None


@dataclass(kw_only=True)
class _Checking:
    scan: Scan
    view: View
    bases: tuple[Scan, ...]
    note: DeltaNote | None = None
    results: list[Result] = field(default_factory=list)
    findings: list[Finding] = field(default_factory=list)

    def run(self) -> None:
        """Run every check; what could not be read to its end is not looked at further."""
        size = sum(each.size for each in self.scan.sums)
        error = [self.scan.error.message] if self.scan.error else []
        seen = f"{wording.count(len(self.scan.names), 'file')} in {wording.count(size, 'byte')}"
        self._check("readable", error, seen)
        if self.scan.error:
            return
        self.note = self._note()
        for check in (
            self._digests, self._once, self._documents, self._complete, self._layers,
            self._compression, self._ending, self._window, self._platforms, self._tags,
            self._listing,
        ):  # fmt: skip
            check()
        self._order()

    def _check(self, check: str, wrong: Iterable[str], fine: str) -> None:
        """Note one result for everything that is wrong, or that nothing is."""
        found = list(dict.fromkeys(wrong))
        if len(found) > _SHOWN:
            found[_SHOWN:] = [f"and {len(found) - _SHOWN} more"]
        for detail in found:
            short = detail.removeprefix(f"{self.scan.what}: ")
            self._result(check, "failed", short)
        if not found:
            self._result(check, "passed", fine)

    def _result(self, check: str, status: Status, detail: str) -> None:
        self.results.append(
            Result(subject=self.scan.what, check=check, status=status, detail=detail)
        )

    def _finding(self, check: str, expected: str, got: str, *, is_warning: bool = False) -> None:
        self.findings.append(
            Finding(
                severity="warning" if is_warning else "info",
                check=check,
                subject=self.scan.what,
                expected=expected,
                got=got,
            )
        )

    def _note(self) -> DeltaNote | None:
        raw = self.scan.documents.get(deltanote.FILE)
        if raw is None:
            return None
        try:
            return DeltaNote.parse(raw, what=deltanote.FILE)
        except IntegrityError as exc:
            self.view.problems.append(exc.message)
            return None

    def _digests(self) -> None:
        wrong = []
        for name, content in self.scan.contents.items():
            expected = _digest_in(name)
            if expected and expected != content.digest.hex:
                wrong.append(f"{name} is {content.digest}")
        one, more = "file is what it is named", "files are what they are named"
        self._check("digests", wrong, wording.count(len(self.scan.contents), one, more))

    def _once(self) -> None:
        twice = [name for name, count in Counter(self.scan.names).items() if count > 1]
        wrong = [f"{name} stands more than once" for name in twice]
        both = self.scan.links.keys() & self.scan.contents.keys()
        wrong += [f"{name} is a file and a link" for name in sorted(both)]
        self._check("once", wrong, "each file stands once")

    def _documents(self) -> None:
        wrong = list(self.view.problems)
        if not self.view.images and not wrong and not self.view.lacking:
            wrong.append("holds no image")
        kind = "an OCI layout" if self.view.is_oci else "a docker archive"
        images = wording.count(len(self.view.images), "image")
        self._check("documents", wrong, f"{kind} of {images}")
        for each in self.view.absent:
            self._finding("sparse-index", "every platform that the index lists", f"no {each}")

    def _complete(self) -> None:
        """Check that nothing is missing, or that the base of a delta has it."""
        note, lacking = self.note, self.view.lacking
        if note is None:
            wrong = [f"lacks {digest}, which an image names" for digest in lacking]
            self._check("complete", wrong, "every blob that an image names is there")
            return
        if lacking and not self.bases:
            self._check("complete", [_needs_base(note, len(lacking))], "")
            return
        have = {digest: size for base in self.bases for digest, size in base.sizes().items()}
        wrong = [
            f"{digest} is neither here nor in the base {note.base.name}"
            for digest, blob in lacking.items()
            if have.get(digest) != blob.size
        ]
        named = {digest: blob.size for digest, blob in lacking.items()}
        if named != note.needs:
            wrong.append(f"{deltanote.FILE} does not name what the delta needs")
        blobs = wording.count(len(lacking), "blob comes", "blobs come")
        self._check("complete", wrong, f"{blobs} from {note.base.name}")
        if lacking and all(base.whole != note.base.digest for base in self.bases):
            self._finding("other-base", f"{note.base.name}, {note.base.digest}", "another archive")

    def _layers(self) -> None:
        wrong, count = [], 0
        for image in self.view.images:
            for number, each in enumerate(image.layers, start=1):
                if each.content is None or each.diff_id is None:
                    continue
                count += 1
                if each.content.problem:
                    wrong.append(f"{image.title}: layer {number}: {each.content.problem}")
                elif each.content.tar != each.diff_id:
                    wrong.append(
                        f"{image.title}: layer {number} unpacks to {each.content.tar}, "
                        f"its config says {each.diff_id}"
                    )
        layers = wording.count(count, "layer unpacks", "layers unpack")
        self._check("layers", wrong, f"{layers} to what the configs name")

    def _compression(self) -> None:
        wrong = []
        for image in self.view.images:
            kinds = {each.content.packing for each in image.layers if each.content}
            if "zstd" in kinds:
                wrong.append(
                    f"{image.title}: has zstd layers, which docker 20.10 and RKE2's "
                    f"bootstrap refuse"
                )
            elif len(kinds) > 1:
                wrong.append(f"{image.title}: mixes gzip and plain layers")
        self._check("compression", wrong, "the layers of each image are all gzip or all plain")

    def _ending(self) -> None:
        """Check that nodes, which go by the name, unpack it as it is packed."""
        ending = archivefile.ending(self.scan.what)
        if not ending:
            self._result("ending", "skipped", f"none of {', '.join(ENDINGS)}")
            return
        packing = self.scan.packing
        wrong = [f"packed with {packing}; nodes take a {ending} for {ENDINGS[ending]}"]
        is_right = packing == ENDINGS[ending]
        self._check("ending", [] if is_right else wrong, f"packing {packing}, as {ending} says")

    def _window(self) -> None:
        if self.scan.packing != "zstd":
            self._result("window", "skipped", f"no zstd ({self.scan.packing})")
            return
        too_large = self.scan.window > MAX_WINDOW
        wrong = [f"a window of {self.scan.window} bytes; nodes take {MAX_WINDOW}"]
        frames = wording.count(self.scan.frames, "frame")
        fine = f"{frames}, the largest window has {self.scan.window} bytes"
        self._check("window", wrong if too_large else [], fine)

    def _platforms(self) -> None:
        want = platform_of(self.scan.what)
        wrong = []
        for image in self.view.images:
            own, listed = image.platform, image.listed
            if own and listed and not (own.satisfies(listed) or listed.satisfies(own)):
                wrong.append(f"{image.title}: for {own}, index.json says {listed}")
        names = {image.name for image in self.view.images}
        fits = {
            image.name
            for image in self.view.images
            if image.platform is None or want is None or image.platform.satisfies(want)
        }
        wrong += [f"{name or 'an image'}: not for {want}" for name in sorted(names - fits)]
        every = {str(image.platform) for image in self.view.images if image.platform}
        self._check("platform", wrong, ", ".join(sorted(every)) or "none is named")

    def _tags(self) -> None:
        wrong = list(map(_wrong_name, self.view.images))
        known = Counter(
            (image.name, str(image.platform), str(image.descriptor and image.descriptor.digest))
            for image in self.view.images
        )
        twice = [
            f"{key[0]}: is named more than once" for key, n in known.items() if n > 1 and key[0]
        ]
        found = [each for each in wrong if each] + twice
        carry = wording.count(len(self.view.images), "name carries", "names carry")
        self._check("tags", found, f"{carry} a tag")

    def _listing(self) -> None:
        """Check that docker is told the same as containerd; of a delta only what is whole."""
        if not self.view.is_oci:
            self._result("docker", "skipped", "a docker archive alone")
            return
        if savedimage.LISTING not in self.scan.contents:
            if self.note is not None:
                self._result(
                    "docker", "skipped", "a delta without a whole image: docker loads none"
                )
                return
            self._result("docker", "skipped", f"no {savedimage.LISTING}")
            got = "without: docker 20.10 loads nothing, RKE2 finds no rke2-runtime in it"
            self._finding("docker", savedimage.LISTING, got, is_warning=True)
            return
        try:
            loaded = list(self.view.loaded())
        except PackError as exc:
            self._check("docker", [exc.message], "")
            return
        self._check("docker", self._unlike(loaded), f"{savedimage.LISTING} agrees with index.json")

    def _unlike(self, loaded: Iterable[SeenImage]) -> Iterator[str]:
        theirs = {_docker_key(image) for image in loaded}
        ours = {_docker_key(image): image for image in self.view.images if image.name}
        for key in theirs - ours.keys():
            yield f"{savedimage.LISTING} has {key[0]} otherwise than index.json"
        told = {key[0] for key in theirs & ours.keys()}
        for key, image in ours.items():
            is_whole = all(layer.content for layer in image.layers)
            if key[0] not in told and (is_whole or self.note is None):
                yield f"{savedimage.LISTING} does not have {image.title} as index.json does"

    def _order(self) -> None:
        blobs = [name for name in self.scan.names if name.startswith(BLOBS)]
        first = self.scan.names[: len(self.scan.names) - len(blobs)]
        if any(name.startswith(BLOBS) for name in first):
            self._finding("order", "metadata before the blobs", "otherwise; readers seek or wait")
        elif blobs != sorted(blobs):
            self._finding("order", "blobs sorted by digest", "another order")


def _docker_key(image: SeenImage) -> tuple[str, Digest, tuple[Digest, ...]]:
    reference = image.reference
    name = str(reference) if reference else image.name
    return name, image.config, tuple(layer.digest for layer in image.layers)


def _wrong_name(image: SeenImage) -> str:
    """Say why a node takes no name, or one that it does not use; empty where all is well."""
    if not image.name:
        return f"{image.title}: nodes pass over it"
    reference = image.reference
    if reference is None:
        return f"{image.name}: is no image reference"
    if not reference.tag:
        return f"{image.name}: has no tag, RKE2 passes over it"
    if image.descriptor is not None and str(reference) != image.name:
        return f"{image.name}: taken word for word, no pod asks for it; write {reference}"
    return ""


def _digest_in(name: str) -> str:
    """Return the hex digest that a file's name promises; empty where it promises none."""
    match = re.fullmatch(r"(?:blobs/sha256/)?(?P<hex>[0-9a-f]{64})(?P<end>\.json|\.tar)?", name)
    is_blob = name.startswith(BLOBS)
    if match is None or (is_blob and match["end"]):
        return "a digest" if is_blob else ""
    # Old engines call a layer's folder or file by an id that is not its digest.
    return match["hex"] if is_blob or match["end"] == ".json" else ""


def _needs_base(note: DeltaNote, count: int) -> str:
    base = note.base
    blobs = wording.count(count, "blob comes", "blobs come")
    return f"a delta: {blobs} from {base.name} ({base.digest}); name it with --base"

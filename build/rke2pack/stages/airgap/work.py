"""The work of a run: images found, archives built, lists and checksums written."""

from __future__ import annotations

import time
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING, Any

from rke2pack import files, registries, wording
from rke2pack.console import Console
from rke2pack.digest import Digest
from rke2pack.errors import IntegrityError, NotFoundError, PackError, RegistryError
from rke2pack.files import Cache
from rke2pack.finding import Finding
from rke2pack.lists.guard import Guard
from rke2pack.oci.model import Manifest
from rke2pack.oci.pack import recipes
from rke2pack.oci.pack.outfile import Written
from rke2pack.oci.pack.packer import Artifact, Found, Packer
from rke2pack.oci.pack.recipes import Format, ProfileName
from rke2pack.oci.platform import Platform
from rke2pack.oci.reference import Reference
from rke2pack.oci.store.names import Store
from rke2pack.progress import Meter, as_size
from rke2pack.shards import checksums
from rke2pack.shards.archives import Target

if TYPE_CHECKING:
    from rke2pack.shards.record import Packed

_Key = tuple[Platform, Reference]
_PULL = "run it with --pull, or 'rke2pack pull' before"


@dataclass(frozen=True, slots=True, kw_only=True)
class Request:
    """What this command's own options say."""

    output: Path
    profile: ProfileName
    formats: tuple[Format, ...]
    max_size: int | None
    is_dry_run: bool


@dataclass(frozen=True, slots=True, kw_only=True)
class Product:
    """One file of the result; ``written`` is None where it is only planned."""

    path: Path
    architecture: str
    status: str
    written: Written | None

    def to_json(self) -> dict[str, Any]:
        """Return the object that ``--json`` carries."""
        return {
            "path": str(self.path),
            "size": self.written.size if self.written else None,
            "sha256": self.written.digest.hex if self.written else None,
            "status": self.status,
        }


@dataclass(kw_only=True)
class Work:
    """Collects what was made and what is wrong."""

    request: Request
    console: Console
    store: Store
    cache: Cache
    guard: Guard
    meter: Meter
    is_shard: bool = False
    products: list[Product] = field(default_factory=list)
    findings: dict[str, Finding] = field(default_factory=dict)
    # By what is wrong (an image, or what a damaged one says), and where.
    problems: dict[tuple[str, str], PackError] = field(default_factory=dict)
    incomplete: list[str] = field(default_factory=list)
    packed: list[Packed] = field(default_factory=list)
    # What could not be fetched, and what a dry run would have fetched.
    failed: dict[Reference, PackError] = field(default_factory=dict)
    awaited: set[Reference] = field(default_factory=set)
    _images: dict[_Key, Found | None] = field(default_factory=dict)
    _packers: dict[Format, Packer] = field(default_factory=dict)

    def keep(self, images: Iterable[tuple[Reference, Manifest]]) -> None:
        """Compress what is in images as they come, for the first format that needs it."""
        self._packer("zst" if "zst" in self.request.formats else "gz").keep(images)

    def build(self, target: Target) -> None:
        """Build a target in every format; where an image is missing, only say so."""
        present = [each for each in target.references if each not in self.awaited]
        found = [self._find(target.platform, reference) for reference in present]
        images = [each for each in found if each is not None]
        if len(images) < len(found):
            self.incomplete.append(target.name)
            return
        for form in self.request.formats:
            path = self.request.output / f"{target.name}.tar.{form}"
            if len(present) < len(target.references):
                self._add(path, target.platform, "planned", None)
            else:
                self._pack(self._packer(form), target, path, images)

    def write_list(self, names: Target) -> None:
        """Write the list of an archive, or of all."""
        path = self.request.output / f"{names.name}.txt"
        data = names.list_bytes
        is_new = files.write_changed(path, data)
        written = Written(path=path, size=len(data), digest=Digest.of(data), mtime_ns=0)
        self._add(path, names.platform, "built" if is_new else "unchanged", written)

    def write_sums(self) -> None:
        """Write ``sha256sum-<arch>.txt``; lines of other files that are still there stay."""
        found: dict[str, list[Written]] = {}
        for each in self.products:
            own = found.setdefault(each.architecture, [])
            if each.written is not None:
                own.append(each.written)
        checksums.write(self.request.output, found)

    def tell_sums(self) -> None:
        """Write how many files have each status, and their size."""
        rows = []
        for status in sorted({each.status for each in self.products}):
            sizes = [p.written.size for p in self.products if p.status == status and p.written]
            count = sum(each.status == status for each in self.products)
            rows.append((status, str(count), as_size(sum(sizes)) if sizes else ""))
        if self.incomplete:
            rows.append(("not built", str(len(dict.fromkeys(self.incomplete))), ""))
        self.console.table(("status", "files", "bytes"), rows)

    def document(self) -> Mapping[str, Any]:
        """Return the document of ``--json``."""
        return {
            "artifacts": [each.to_json() for each in self.products],
            "findings": [each.to_json() for each in self.all_findings],
            "missing": [each.message for each in self.problems.values()],
            "incomplete": list(dict.fromkeys(self.incomplete)),
        }

    @property
    def all_findings(self) -> tuple[Finding, ...]:
        """What was seen, and what is not as images.lock has it."""
        return (*self.findings.values(), *self.guard.findings)

    def fail(self) -> None:
        """Raise what went wrong: one error, or one that lists all."""
        errors = list(self.problems.values())
        if not errors:
            return
        if len(errors) == 1:
            errors[0].hint = errors[0].hint or self._hint
            raise errors[0]
        damaged = any(isinstance(error, IntegrityError) for error in errors)
        kinds = {type(error) for error in errors}
        kind: type[PackError] = kinds.pop() if len(kinds) == 1 else RegistryError
        kind = IntegrityError if damaged else kind
        # An image may be wrong for several platforms, or in several archives.
        number = len({subject for subject, _ in self.problems})
        states = "damaged, missing or not locked so" if damaged else "missing"
        lacking = len(dict.fromkeys(self.incomplete))
        lost = wording.count(lacking, "archive")
        msg = (
            f"airgap: {wording.count(number, 'image is', 'images are')} {states}, {lost} not built"
        )
        hints = {error.hint for error in errors}
        hint = hints.pop() if len(hints) == 1 else None
        raise kind(msg, hint=hint or self._hint, details=tuple(self._details()))

    def _details(self) -> Iterator[str]:
        """Yield what is wrong, each once, with the image that it is about."""
        told = set()
        for (subject, _), error in self.problems.items():
            is_about = subject in error.message or subject == error.message
            text = error.message if is_about else f"{subject}: {error.message}"
            if text not in told:
                told.add(text)
                yield text

    @property
    def _hint(self) -> str:
        return registries.AGAIN if self.failed else _PULL

    def _packer(self, form: Format) -> Packer:
        if form not in self._packers:
            self._packers[form] = Packer(
                store=self.store,
                cache=self.cache,
                recipe=recipes.recipe(self.request.profile, form),
                max_size=self.request.max_size,
                meter=self.meter,
            )
        return self._packers[form]

    def _find(self, platform: Platform, reference: Reference) -> Found | None:
        if reference in self.failed:
            self.problems[str(reference), ""] = self.failed[reference]
            return None
        key = (platform, reference)
        if key not in self._images:
            try:
                manifest, own = self.store.manifest(reference, platform)
                root = self.store.names[str(reference)]
                self.guard.check(reference, root.digest, manifest=manifest.descriptor.digest)
                self._images[key] = Found(reference=reference, manifest=manifest, platform=own)
            except (NotFoundError, IntegrityError) as exc:
                named = type(exc)(f"{exc.message} ({platform})", hint=exc.hint or _PULL)
                self.problems[str(reference), str(platform)] = named
                self._images[key] = None
        return self._images[key]

    def _pack(self, packer: Packer, target: Target, path: Path, images: Iterable[Found]) -> None:
        started = time.monotonic()
        if self.request.is_dry_run:
            status = "unchanged" if packer.is_unchanged(path, images) else "planned"
            self._add(path, target.platform, status, None)
            return
        try:
            artifacts = packer.pack(path, images)
        except (IntegrityError, NotFoundError) as exc:
            self.incomplete.append(target.name)
            self.problems[exc.message, str(path)] = exc
            return
        for each in artifacts:
            self._add(each.written.path, target.platform, each.status, each.written, started)
        if self.is_shard:
            form, inputs = path.suffix.removeprefix("."), packer.inputs(images)
            self._record(target, form, inputs, artifacts)
        if self.request.profile == "fast":
            self._tell_changed(artifacts[0])

    def _record(
        self, target: Target, form: str, inputs: str, artifacts: Iterable[Artifact]
    ) -> None:
        from rke2pack.shards.record import Made, Packed  # noqa: PLC0415 - only for shards

        written = (each.written for each in artifacts)
        made = tuple(Made(name=w.path.name, size=w.size, digest=w.digest) for w in written)
        self.packed.append(Packed(archive=target.name, form=form, inputs=inputs, files=made))

    def _tell_changed(self, artifact: Artifact) -> None:
        for name in artifact.changed_digests:
            self.findings[name] = Finding(
                severity="warning",
                check="digest-changed",
                subject=name,
                expected="layers that are all gzip or all plain",
                got="zstd or mixed; the archive has them plain, under another digest",
            )

    def _add(
        self,
        path: Path,
        platform: Platform,
        status: str,
        written: Written | None,
        started: float | None = None,
    ) -> None:
        product = Product(
            path=path, architecture=platform.architecture, status=status, written=written
        )
        self.products.append(product)
        took = "" if started is None else f"  {time.monotonic() - started:.1f}s"
        facts = f"{written.size:>12}  {written.digest}  " if written else ""
        self.console.line(f"{path.name:<44} {facts}{status}{took}")

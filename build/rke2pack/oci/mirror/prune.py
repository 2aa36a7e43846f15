"""Prune: exactly the named tags and manifests are removed from the target, nothing else."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Literal

from rke2pack import wording
from rke2pack.digest import Digest
from rke2pack.errors import (
    AuthError,
    ConfigError,
    IntegrityError,
    NotFoundError,
    PackError,
    RegistryError,
    ValidationError,
)
from rke2pack.oci import media
from rke2pack.oci.mirror.names import Rules
from rke2pack.oci.model import Index
from rke2pack.oci.reference import Reference
from rke2pack.oci.resolve import MAX_NESTING

if TYPE_CHECKING:
    from rke2pack.oci.registry.client import Registry

Status = Literal["deleted", "absent", "planned", "failed"]


@dataclass(frozen=True, slots=True, kw_only=True)
class Removal:
    """What became of one name.

    ``note`` has what a dry run cannot decide without trying, empty for nothing.
    """

    reference: Reference
    status: Status
    note: str = ""
    error: PackError | None = None


def parse(
    text: str, rules: Rules, kept: Iterable[Reference], *, what: str
) -> tuple[Reference, ...]:
    """Read what to remove: one full reference at the target a line, # begins a comment.

    Raises ConfigError for a file that names nothing, and with one detail a
    line for names elsewhere, without tag and digest, and of ``kept`` images.
    """
    is_kept = {_key(each) for each in kept}
    found: dict[Reference, None] = {}
    issues: list[str] = []
    for number, line in enumerate(text.splitlines(), start=1):
        name = line.partition("#")[0].strip()
        if not name:
            continue
        try:
            reference = Reference.parse(name)
            _check(reference, rules, is_kept)
        except ConfigError as exc:
            issues.append(f"line {number}: {exc.message}")
        else:
            found[reference] = None
    if issues:
        msg = f"{what}: {wording.count(len(issues), 'line')} cannot be removed"
        raise ConfigError(msg, details=tuple(issues), hint="correct the list; nothing was written")
    if not found:
        msg = f"{what}: names nothing to remove"
        raise ConfigError(msg, hint="write one reference at the target a line")
    return tuple(found)


def _check(reference: Reference, rules: Rules, kept: set[tuple[str, str]]) -> None:
    if reference.registry != rules.host or not reference.repository.startswith(rules.prefix):
        msg = f"{reference}: is not at {rules}"
        raise ConfigError(msg)
    if bool(reference.tag) == (reference.digest is not None):
        msg = f"{reference}: name it by its tag or by its digest"
        raise ConfigError(msg)
    if _key(reference) in kept:
        msg = f"{reference}: this run mirrors it"
        raise ConfigError(msg)


def _key(reference: Reference) -> tuple[str, str]:
    return reference.repository, reference.tag or str(reference.digest)


@dataclass(kw_only=True)
class Pruner:
    """Removes from one registry, without what ``kept`` images (repository -> names) need."""

    registry: Registry
    kept: Mapping[str, frozenset[str | Digest]]
    is_dry_run: bool = False
    _tags: dict[str, dict[str, Digest | None]] = field(default_factory=dict)
    _needed: dict[str, dict[Digest, str]] = field(default_factory=dict)

    def run(self, references: Iterable[Reference]) -> tuple[Removal, ...]:
        """Remove each; errors are results too."""
        asked = tuple(references)
        return tuple(self._removed(reference, asked) for reference in asked)

    def _removed(self, reference: Reference, asked: tuple[Reference, ...]) -> Removal:
        try:
            if self.is_dry_run:
                return self._plan(reference, asked)
            status = self._remove(reference, asked)
        except PackError as exc:
            return Removal(reference=reference, status="failed", error=exc)
        return Removal(reference=reference, status=status)

    def _plan(self, reference: Reference, asked: tuple[Reference, ...]) -> Removal:
        """Look at what stands in the way; of a tag only the real run learns whether it does."""
        digest = self.registry.find_digest(
            reference.repository, reference.tag or reference.digest or ""
        )
        if digest is None:
            return Removal(reference=reference, status="absent")
        note = ""
        try:
            self._check_needed(reference, digest, asked)
        except ValidationError as exc:
            if not reference.tag:
                raise
            note = f"unless the registry removes a tag alone: {exc.message}"
        return Removal(reference=reference, status="planned", note=note)

    def _remove(self, reference: Reference, asked: tuple[Reference, ...]) -> Status:
        from rke2pack.oci.registry.upload import Uploader  # noqa: PLC0415 - slow, and not for a plan

        repository, uploader = reference.repository, Uploader(self.registry)
        digest = self.registry.find_digest(repository, reference.tag or reference.digest or "")
        if digest is None:
            return "absent"
        if reference.tag:
            try:
                uploader.delete(repository, reference.tag)
            except NotFoundError:
                return "absent"
            except RegistryError as exc:
                if exc.temporary or isinstance(exc, AuthError):
                    raise
                # This registry removes manifests only, with every tag that they have.
            if self.registry.find_digest(repository, reference.tag) is None:
                return "deleted"
        self._check_needed(reference, digest, asked)
        uploader.delete(repository, digest)
        return "deleted"

    def _check_needed(
        self, reference: Reference, digest: Digest, asked: tuple[Reference, ...]
    ) -> None:
        """Refuse a manifest that a kept image is or lists, or that another tag points at."""
        repository = reference.repository
        others = self._other_tags(reference, digest, asked)
        if reference.tag:
            _refuse(reference, "the registry cannot remove it without {}", others)
        if repository not in self._needed:
            names = sorted(self.kept.get(repository, ()), key=str)
            self._needed[repository] = {
                each: str(name) for name in names for each in self._documents(repository, name)
            }
        owner = self._needed[repository].get(digest)
        _refuse(reference, "{} needs it, which this run mirrors", {owner} if owner else set())
        _refuse(reference, "{} points at it", others)

    def _other_tags(
        self, reference: Reference, digest: Digest, asked: tuple[Reference, ...]
    ) -> set[str]:
        """Return the tags that point at a manifest too and are not to be removed."""
        repository = reference.repository
        if repository not in self._tags:
            tags = self.registry.tags(repository)
            self._tags[repository] = {
                tag: self.registry.find_digest(repository, tag) for tag in tags
            }
        others = {tag for tag, other in self._tags[repository].items() if other == digest}
        return others - {each.tag for each in asked if each.repository == repository}

    def _documents(self, repository: str, name: str | Digest, depth: int = 0) -> set[Digest]:
        """Return the digests of an image and of all manifests below it; nothing for none."""
        if depth > MAX_NESTING:
            msg = f"{repository}: {name}: indexes nested deeper than {MAX_NESTING}"
            raise IntegrityError(
                msg, hint="look at who made this image; nothing was removed for it"
            )
        try:
            document = self.registry.get_manifest(repository, name)
        except NotFoundError:
            return set()
        found = {document.descriptor.digest}
        if isinstance(document, Index):
            for child in document.manifests:
                found |= (
                    self._documents(repository, child.digest, depth + 1)
                    if child.media_type in media.INDEXES
                    else {child.digest}
                )
        return found


def _refuse(reference: Reference, why: str, others: set[str]) -> None:
    if others:
        shown = ", ".join(sorted(others)[:5])
        msg = f"{reference}: {why.format(shown)}"
        raise ValidationError(msg, hint="name these too, or leave it")

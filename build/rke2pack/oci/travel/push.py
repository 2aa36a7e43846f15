"""Push: a cache to a registry; what the registry has is not sent again."""

from __future__ import annotations

from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, field
from pathlib import Path

from rke2pack.digest import Digest
from rke2pack.errors import ConfigError, IntegrityError
from rke2pack.oci.reference import Reference
from rke2pack.oci.registry.client import Registry
from rke2pack.oci.registry.stream import BytesOrigin, FileOrigin, ShownOrigin
from rke2pack.oci.registry.upload import Uploader
from rke2pack.oci.travel.cargo import FRAMES, Cargo, Piece
from rke2pack.progress import Meter, Position, Silence


@dataclass(frozen=True, slots=True, kw_only=True)
class Sent:
    """What became of a push: sizes in bytes, ``is_new`` where the tag had to be written."""

    digest: Digest
    layers: int
    size: int
    sent: int
    is_new: bool


@dataclass(frozen=True, kw_only=True)
class Push:
    """Sends a cache with ``jobs`` layers at a time."""

    registry: Registry
    reference: Reference
    jobs: int = 4
    is_dry_run: bool = False
    meter: Meter = field(default_factory=Silence)

    def run(self, cargo: Cargo) -> Sent:
        """Send layers, config, manifest, the tag last; raises RegistryError, IntegrityError."""
        digest = cargo.manifest.descriptor.digest
        is_new = self.registry.find_digest(self.reference.repository, self.reference.tag) != digest
        sent = self._pieces(cargo) if is_new else 0
        if is_new and not self.is_dry_run:
            uploader = Uploader(self.registry)
            repository = self.reference.repository
            config = cargo.manifest.config
            uploader.push_blob(repository, config, BytesOrigin(data=cargo.config))
            uploader.push_manifest(repository, cargo.manifest, self.reference.tag)
        return Sent(
            digest=digest,
            layers=len(cargo.pieces),
            size=sum(each.descriptor.size for each in cargo.pieces),
            sent=sent,
            is_new=is_new,
        )

    def _pieces(self, cargo: Cargo) -> int:
        uploader = Uploader(self.registry)
        with ThreadPoolExecutor(self.jobs, thread_name_prefix="blob") as pool:
            futures = [pool.submit(self._send, uploader, piece) for piece in cargo.pieces]
            try:
                return sum(future.result() for future in futures)
            except BaseException:
                pool.shutdown(wait=False, cancel_futures=True)
                raise

    def _send(self, uploader: Uploader, piece: Piece) -> int:
        blob, repository = piece.descriptor, self.reference.repository
        if self.is_dry_run:
            return 0 if self.registry.has_blob(repository, blob.digest) else blob.size
        self.meter.expect(blob.size)
        with self.meter.item(piece.title, blob.size) as advance:
            position = Position(advance)
            origin = _origin(piece)
            try:
                arrival = uploader.push_blob(repository, blob, ShownOrigin(origin, position))
            except IntegrityError as exc:
                if blob.media_type == FRAMES:
                    exc.hint = f"remove {piece.title} from the cache folder; it is made anew then"
                raise
            position.move(blob.size)
        return blob.size if arrival == "pushed" else 0


def parse(text: str) -> Reference:
    """Parse where a cache is kept; raises ConfigError where it has no tag."""
    reference = Reference.parse(text)
    if not reference.tag or reference.digest is not None:
        msg = f"{text}: a cache needs a tag, and no digest"
        raise ConfigError(msg, hint="write it as registry.example.com/ci/rke2pack-cache:main")
    return reference


def _origin(piece: Piece) -> FileOrigin | BytesOrigin:
    if isinstance(piece.source, Path):
        return FileOrigin(path=piece.source)
    return BytesOrigin(data=piece.source())

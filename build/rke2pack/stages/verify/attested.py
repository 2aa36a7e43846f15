"""What vouches for the files of a release: its provenance, and the signatures over that."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Mapping
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Final

from rke2pack import files, wording
from rke2pack.digest import Digest
from rke2pack.errors import ConfigError, PackError
from rke2pack.finding import Result, Status
from rke2pack.oci.hashing import digest_of
from rke2pack.oci.intake.releasefolder import ARCHIVE
from rke2pack.release import keyless, offlinekey, provenance
from rke2pack.release.asset import KEYLESS, OFFLINE, PROVENANCE, SIGNATURES
from rke2pack.release.keyless import Identity
from rke2pack.release.offlinekey import PublicKey
from rke2pack.release.provenance import Statement

CHECKS: Final = frozenset({"signature", "provenance", "attested", "time"})
MAX_SKEW: Final = timedelta(minutes=5)


@dataclass(frozen=True, slots=True, kw_only=True)
class Trust:
    """Whom to believe: public keys (one is enough), an identity, or nobody in particular."""

    keys: tuple[PublicKey, ...] = ()
    identity: Identity | None = None
    now: datetime

    @classmethod
    def read(
        cls,
        keys: tuple[Path, ...],
        identity: str | None,
        issuer: str | None,
        trusted_root: Path | None,
    ) -> Trust:
        """Read what the options name; raises ConfigError."""
        if (identity is None) != (issuer is None):
            msg = "--identity and --issuer: the one says nothing without the other"
            raise ConfigError(msg, hint="name the workflow and who vouches for it")
        if trusted_root is not None and identity is None:
            msg = "--trusted-root: goes with --identity"
            raise ConfigError(msg, hint="name the identity that must have signed")
        found = tuple(PublicKey.parse(files.read_text(k).encode(), what=str(k)) for k in keys)
        who = (
            Identity(identity=identity, issuer=issuer, trusted_root=trusted_root)
            if identity and issuer
            else None
        )
        return cls(keys=found, identity=who, now=datetime.now(UTC))

    @property
    def is_asked(self) -> bool:
        """Whether somebody in particular has to have signed."""
        return bool(self.keys) or self.identity is not None


@dataclass(frozen=True, slots=True, kw_only=True)
class _Signed:
    """A statement as a file has it, and whether somebody who is believed has signed that."""

    name: str
    content: bytes
    is_proved: bool


def is_there(folder: Path) -> bool:
    """Whether a folder has a provenance or a signature."""
    return any((folder / name).is_file() for name in (PROVENANCE, *SIGNATURES))


def is_lone(given: Path) -> bool:
    """Whether a file is no archive and stands beside a provenance: a list, a manifest, an SBOM."""
    return given.is_file() and not ARCHIVE.match(given.name) and is_there(given.parent)


@dataclass(kw_only=True)
class Attestation:
    """The provenance beside files, read and proved once; ``results`` tell how that went."""

    folder: Path
    trust: Trust
    statement: Statement | None = None
    results: list[Result] = field(default_factory=list)

    def prove(self) -> None:
        """Prove the signatures and read the statement; what is wrong becomes a result."""
        text = _read(self.folder / PROVENANCE)
        signed = [
            *self._signature(OFFLINE, self._offline, offlinekey.payload, has_trust=self._has_keys),
            *self._signature(KEYLESS, self._keyless, keyless.payload, has_trust=self._has_identity),
        ]
        plain = [_Signed(name=PROVENANCE, content=text, is_proved=False)] if text else []
        # What is proved counts, then what is written; the others have to say the same.
        said = sorted([*plain, *signed], key=lambda each: not each.is_proved)
        if not said:
            self._add(PROVENANCE, "provenance", "is not there", is_wrong=True)
            return
        for each in said[1:]:
            if each.content != said[0].content:
                self._add(each.name, "provenance", f"is not what {said[0].name} has", is_wrong=True)
        try:
            self.statement = provenance.parse(said[0].content, what=said[0].name)
        except PackError as exc:
            self._add(said[0].name, "provenance", exc.message, is_wrong=True)
            return
        self._tell(self.statement)

    @property
    def _has_keys(self) -> bool:
        return bool(self.trust.keys)

    @property
    def _has_identity(self) -> bool:
        return self.trust.identity is not None

    def _tell(self, statement: Statement) -> None:
        named = wording.count(len(statement.subjects), "file")
        known = f"{named} of {statement.tag}, by {statement.builder}"
        if not any(each.check == "provenance" for each in self.results):
            self._add(PROVENANCE, "provenance", known)
        finished = statement.finished
        if finished is not None and finished > self.trust.now + MAX_SKEW:
            detail = f"made on {finished.isoformat()}, here it is {self.trust.now.isoformat()}"
            self._add(PROVENANCE, "time", f"{detail}; one of two clocks is wrong", is_wrong=True)

    def _signature(
        self,
        name: str,
        verify: Callable[[bytes], tuple[bytes, str]],
        payload: Callable[[bytes], bytes],
        *,
        has_trust: bool,
    ) -> Iterator[_Signed]:
        """Yield what a signature signs, proved where somebody is to be believed."""
        raw = _read(self.folder / name)
        if raw is None:
            if has_trust:
                self._add(name, "signature", "is not there", is_wrong=True)
            return
        try:
            if has_trust:
                content, detail = verify(raw)
                self._add(name, "signature", detail)
            else:
                content = payload(raw)
                option = "--key" if name == OFFLINE else "--identity and --issuer"
                self._add(name, "signature", f"not proved, name {option}", status="skipped")
        except PackError as exc:
            self._add(name, "signature", exc.message.removeprefix(f"{name}: "), is_wrong=True)
        else:
            yield _Signed(name=name, content=content, is_proved=has_trust)

    def _offline(self, raw: bytes) -> tuple[bytes, str]:
        problem: PackError | None = None
        for key in self.trust.keys:
            invalid = key.validity_problem(self.trust.now)
            try:
                content = key.verify(raw)
            except PackError as exc:
                problem = exc
                continue
            if invalid:
                problem = offlinekey.WrongKeyError(invalid)
                continue
            return content, f"by the key {key.keyid}"
        assert problem is not None  # noqa: S101 - there is a key, it failed
        raise problem

    def _keyless(self, raw: bytes) -> tuple[bytes, str]:
        identity = self.trust.identity
        assert identity is not None  # noqa: S101 - the caller looked
        return identity.verify(raw), f"by {identity.identity}"

    def check_file(self, name: str, digest: Digest) -> Result:
        """Compare a file with the statement."""
        subjects = self.statement.subjects if self.statement else {}
        expected = subjects.get(name)
        detail = f"as {PROVENANCE} has it"
        if expected is None:
            detail = "nothing vouches for it"
        elif digest != expected:
            detail = f"is {digest}, {PROVENANCE} has {expected}"
        return _result(name, "attested", detail, is_wrong=digest != expected)

    def check_files(self, paths: Iterable[Path], known: Mapping[Path, Digest]) -> Iterator[Result]:
        """Compare these files; those that vouch have been proved already."""
        for path in paths if self.statement is not None else ():
            if path.name not in {PROVENANCE, *SIGNATURES}:
                yield self.check_file(path.name, known.get(path) or _digest(path))

    def check_folder(self, known: Mapping[Path, Digest]) -> Iterator[Result]:
        """Compare everything in the folder; ``known`` are digests of files that were read."""
        if self.statement is None:
            return
        with files.reported("read", self.folder):
            there = sorted(p for p in self.folder.iterdir() if not p.name.startswith("."))
        names = {path.name for path in there}
        for path in there:
            if path.name in {PROVENANCE, *SIGNATURES}:
                continue
            if not path.is_file():
                yield _result(path.name, "attested", "is no file", is_wrong=True)
                continue
            yield self.check_file(path.name, known.get(path) or _digest(path))
        for name in sorted(self.statement.subjects.keys() - names):
            detail = f"{PROVENANCE} names it, it is not there"
            yield _result(name, "attested", detail, is_wrong=True)

    def _add(
        self,
        subject: str,
        check: str,
        detail: str,
        *,
        is_wrong: bool = False,
        status: Status | None = None,
    ) -> None:
        found = _result(subject, check, detail, is_wrong=is_wrong)
        if status is not None:
            found = Result(subject=subject, check=check, status=status, detail=detail)
        self.results.append(found)


def _read(path: Path) -> bytes | None:
    if not path.is_file():
        return None
    with files.reported("read", path):
        if path.stat().st_size > 2 * provenance.MAX_BYTES:
            return b""
        return path.read_bytes()


def _digest(path: Path) -> Digest:
    with files.reported("read", path):
        return digest_of(path)


def _result(subject: str, check: str, detail: str, *, is_wrong: bool) -> Result:
    status: Status = "failed" if is_wrong else "passed"
    return Result(subject=subject, check=check, status=status, detail=detail)

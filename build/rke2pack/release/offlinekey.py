"""Offline key: signatures for sites without sigstore, as DSSE envelopes (Ed25519 or ECDSA).

Sources: DSSE v1.0 (secure-systems-lab/dsse), by securesystemslib; keys are PEM as
``openssl genpkey`` writes them. A public key may come as an X.509 certificate, whose
validity counts then.
"""

from __future__ import annotations

import json
from dataclasses import dataclass
from datetime import datetime
from typing import TYPE_CHECKING, Any, Final

from rke2pack import strictjson
from rke2pack.errors import ConfigError, IntegrityError, PackError
from rke2pack.release.asset import OFFLINE
from rke2pack.release.provenance import MAX_BYTES, PAYLOAD_TYPE

if TYPE_CHECKING:
    from cryptography.hazmat.primitives.asymmetric.ec import EllipticCurvePrivateKey
    from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey
    from cryptography.x509 import Certificate
    from securesystemslib.dsse import Envelope
    from securesystemslib.signer import SSlibKey

    Private = Ed25519PrivateKey | EllipticCurvePrivateKey

_KINDS: Final = "an Ed25519 or ECDSA (P-256, P-384) key as PEM"
_MAKE: Final = "make one with 'openssl genpkey -algorithm ed25519 -out release.key'"
_CURVES: Final = {"secp256r1": "SHA256", "secp384r1": "SHA384"}


class WrongKeyError(PackError):
    """The signature was not made with this key, or it or the payload was altered."""

    exit_code = IntegrityError.exit_code


@dataclass(frozen=True, slots=True, kw_only=True)
class SigningKey:
    """A private key; it has no readable form, so that no message can hold it."""

    _private: Private

    @classmethod
    def parse(cls, pem: bytes, *, password: str | None, what: str) -> SigningKey:
        """Read a private key; raises ConfigError that names ``what`` and nothing of its content."""
        from cryptography.exceptions import UnsupportedAlgorithm  # noqa: PLC0415 - slow
        from cryptography.hazmat.primitives import serialization  # noqa: PLC0415

        is_locked = b"ENCRYPTED" in pem
        if is_locked and not password:
            msg = f"{what}: the key has a password"
            raise ConfigError(msg, hint="set RKE2PACK_SIGNING_PASSWORD in the environment")
        secret = password.encode() if password and is_locked else None
        try:
            key: Any = serialization.load_pem_private_key(pem, secret)
        except (ValueError, TypeError, UnsupportedAlgorithm):
            why = "wrong password, or not a key" if is_locked else f"not {_KINDS}"
            msg = f"{what}: {why}"
            raise ConfigError(msg, hint=_MAKE) from None
        if not _is_fit(key.public_key()):
            msg = f"{what}: not {_KINDS}"
            raise ConfigError(msg, hint=_MAKE)
        return cls(_private=key)

    @property
    def public(self) -> PublicKey:
        """The key that proves what this one signs."""
        return PublicKey(key=_known(self._private.public_key()), certificate=None)

    def sign(self, payload: bytes) -> bytes:
        """Return the envelope of a statement; the same key and payload give the same bytes."""
        from securesystemslib.dsse import Envelope  # noqa: PLC0415 - slow
        from securesystemslib.signer import Signature  # noqa: PLC0415

        envelope = Envelope(payload, PAYLOAD_TYPE, {})
        raw = self._signature(envelope.pae())
        keyid = self.public.keyid
        envelope.signatures[keyid] = Signature(keyid, raw.hex())
        return _text(envelope)

    def _signature(self, data: bytes) -> bytes:
        from cryptography.hazmat.primitives import hashes  # noqa: PLC0415 - slow
        from cryptography.hazmat.primitives.asymmetric import ec  # noqa: PLC0415

        private = self._private
        if not isinstance(private, ec.EllipticCurvePrivateKey):
            return private.sign(data)
        algorithm = getattr(hashes, _CURVES[private.curve.name])()
        # RFC 6979: a signature that can be made again can be sent again.
        return private.sign(data, ec.ECDSA(algorithm, deterministic_signing=True))


@dataclass(frozen=True, slots=True, kw_only=True)
class PublicKey:
    """What an envelope is proved with; ``certificate`` where the key came in one."""

    key: SSlibKey
    certificate: Certificate | None

    @classmethod
    def parse(cls, pem: bytes, *, what: str) -> PublicKey:
        """Read a public key or a certificate; raises ConfigError naming ``what``."""
        from cryptography import x509  # noqa: PLC0415 - slow
        from cryptography.exceptions import UnsupportedAlgorithm  # noqa: PLC0415
        from cryptography.hazmat.primitives import serialization  # noqa: PLC0415

        if b"PRIVATE KEY" in pem:
            msg = f"{what}: a private key; verifying takes the public one"
            raise ConfigError(msg, hint="write it with 'openssl pkey -in release.key -pubout'")
        try:
            is_certificate = b"BEGIN CERTIFICATE" in pem
            certificate = x509.load_pem_x509_certificate(pem) if is_certificate else None
            found: Any = (
                certificate.public_key() if certificate else serialization.load_pem_public_key(pem)
            )
        except (ValueError, UnsupportedAlgorithm) as exc:
            msg = f"{what}: neither a public key nor a certificate as PEM"
            raise ConfigError(msg) from exc
        if not _is_fit(found):
            msg = f"{what}: not {_KINDS}"
            raise ConfigError(msg)
        return cls(key=_known(found), certificate=certificate)

    @property
    def keyid(self) -> str:
        """The SHA-256 of the key as securesystemslib writes it."""
        return str(self.key.keyid)

    def validity_problem(self, now: datetime) -> str:
        """Say why a certificate does not count at a time; empty for a plain key."""
        if self.certificate is None:
            return ""
        start, end = self.certificate.not_valid_before_utc, self.certificate.not_valid_after_utc
        if now < start:
            return f"the certificate is valid from {start:%Y-%m-%dT%H:%M:%SZ}; compare the clocks"
        return f"the certificate expired on {end:%Y-%m-%dT%H:%M:%SZ}" if now > end else ""

    def verify(self, raw: bytes, *, what: str = OFFLINE) -> bytes:
        """Return the payload of an envelope that this key has signed.

        Raises IntegrityError for what is no envelope as `SigningKey.sign` writes it,
        WrongKeyError where the signature does not fit.
        """
        from securesystemslib.exceptions import VerificationError  # noqa: PLC0415 - slow

        envelope = _envelope(raw, what)
        if self.keyid not in envelope.signatures:
            theirs = ", ".join(sorted(envelope.signatures))[:200]
            msg = f"{what}: signed with another key ({theirs}), not with {self.keyid}"
            raise WrongKeyError(msg)
        try:
            envelope.verify([self.key], 1)
        except VerificationError as exc:
            msg = f"{what}: the signature does not fit; it or what it signs was altered"
            raise WrongKeyError(msg) from exc
        return bytes(envelope.payload)


def payload(raw: bytes, *, what: str = OFFLINE) -> bytes:
    """Return the payload of an envelope without proving anything."""
    return bytes(_envelope(raw, what).payload)


def _envelope(raw: bytes, what: str) -> Envelope:
    from securesystemslib.dsse import Envelope  # noqa: PLC0415 - slow
    from securesystemslib.exceptions import FormatError  # noqa: PLC0415

    document = dict(strictjson.load_object(raw, what=what, max_bytes=2 * MAX_BYTES))
    try:
        envelope = Envelope.from_dict(document)
        text = _text(envelope)
    except (KeyError, ValueError, TypeError, AttributeError, FormatError) as exc:
        msg = f"{what}: not a DSSE envelope"
        raise IntegrityError(msg) from exc
    if envelope.payload_type != PAYLOAD_TYPE or len(envelope.signatures) != 1:
        msg = f"{what}: not an envelope of one signature over an in-toto statement"
        raise IntegrityError(msg)
    if text != raw:
        msg = f"{what}: not byte for byte as 'rke2pack release' writes it"
        raise IntegrityError(msg)
    return envelope


def _text(envelope: Envelope) -> bytes:
    return f"{json.dumps(envelope.to_dict(), sort_keys=True)}\n".encode()


def _known(public: Any) -> SSlibKey:  # noqa: ANN401 - of cryptography
    from securesystemslib.signer import SSlibKey  # noqa: PLC0415 - slow

    return SSlibKey.from_crypto(public)


def _is_fit(public: object) -> bool:
    from cryptography.hazmat.primitives.asymmetric import ec, ed25519  # noqa: PLC0415 - slow

    if isinstance(public, ec.EllipticCurvePublicKey):
        return public.curve.name in _CURVES
    return isinstance(public, ed25519.Ed25519PublicKey)


def generate() -> tuple[bytes, bytes]:
    """Make an Ed25519 key for trying things out; returns the private and the public PEM."""
    from cryptography.hazmat.primitives import serialization  # noqa: PLC0415 - slow
    from cryptography.hazmat.primitives.asymmetric import ed25519  # noqa: PLC0415

    private = ed25519.Ed25519PrivateKey.generate()
    pem = serialization.Encoding.PEM
    form = serialization.PrivateFormat.PKCS8
    plain = serialization.NoEncryption()
    return (
        private.private_bytes(pem, form, plain),
        private.public_key().public_bytes(pem, serialization.PublicFormat.SubjectPublicKeyInfo),
    )

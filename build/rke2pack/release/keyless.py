"""Keyless: signatures by sigstore, for a workflow that can prove who it is (OIDC).

The certificate names the workflow, a public log keeps the signature; there is no key
to keep. Signing needs the network and an identity that the machine itself has, such as
a job on GitHub with ``id-token: write``. Proving needs neither: the roots of trust are
those that the library carries, or a file.
"""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

from rke2pack import files, strictjson
from rke2pack.errors import ConfigError, IntegrityError, PackError, ReleaseError
from rke2pack.release.asset import KEYLESS
from rke2pack.release.offlinekey import WrongKeyError
from rke2pack.release.provenance import MAX_BYTES, PAYLOAD_TYPE

if TYPE_CHECKING:
    from sigstore.models import Bundle, ClientTrustConfig
    from sigstore.oidc import IdentityToken
    from sigstore.verify import Verifier

_PERMISSION = "give the job 'id-token: write', or sign with --sign-key"


@dataclass(frozen=True, slots=True, kw_only=True)
class KeylessSigner:
    """Signs with the identity of this machine; ``trust_config`` is of a sigstore of one's own."""

    trust_config: Path | None = None

    def sign(self, payload: bytes) -> bytes:
        """Return a sigstore bundle over a statement; it differs each time.

        Raises ReleaseError where the machine has no identity or sigstore does not answer.
        """
        from sigstore import dsse  # noqa: PLC0415 - slow
        from sigstore.sign import SigningContext  # noqa: PLC0415

        try:
            token = _token()
            context = SigningContext.from_trust_config(self._config())
            with context.signer(token) as signer:
                return f"{signer.sign_dsse(dsse.Statement(payload)).to_json()}\n".encode()
        except PackError:
            raise
        # The clients of the services have errors of their own, and requests' too.
        except Exception as exc:
            msg = f"sigstore: {_line(exc)}"
            raise ReleaseError(msg, hint=_PERMISSION) from exc

    def _config(self) -> ClientTrustConfig:
        from sigstore.models import ClientTrustConfig  # noqa: PLC0415 - slow

        if self.trust_config is None:
            return ClientTrustConfig.production()
        text = files.read_text(self.trust_config)
        try:
            return ClientTrustConfig.from_json(text)
        except Exception as exc:
            msg = f"{self.trust_config}: not a trust configuration of sigstore"
            raise ConfigError(msg) from exc


@dataclass(frozen=True, slots=True, kw_only=True)
class Identity:
    """Who must have signed: a workflow's address, and who vouches for it."""

    identity: str
    issuer: str
    trusted_root: Path | None = None

    def verify(self, raw: bytes, *, what: str = KEYLESS) -> bytes:
        """Return the payload of a bundle that this identity has signed.

        Raises IntegrityError for what is no bundle, WrongKeyError where certificate, log,
        time, identity or signature do not fit.
        """
        from sigstore.verify import policy  # noqa: PLC0415 - slow

        bundle = _bundle(raw, what)
        wanted = policy.Identity(identity=self.identity, issuer=self.issuer)
        verifier = self._verifier()
        try:
            kind, payload = verifier.verify_dsse(bundle, wanted)
        except Exception as exc:  # what is damaged makes it raise much else than its own errors
            msg = f"{what}: {_line(exc)}"
            raise WrongKeyError(msg) from exc
        if kind != PAYLOAD_TYPE:
            msg = f"{what}: signs {kind[:100]!r}, not an in-toto statement"
            raise IntegrityError(msg)
        return payload

    def _verifier(self) -> Verifier:
        from sigstore.models import TrustedRoot  # noqa: PLC0415 - slow
        from sigstore.verify import Verifier  # noqa: PLC0415

        if self.trusted_root is None:
            return Verifier.production(offline=True)
        files.read_text(self.trusted_root)
        try:
            return Verifier(trusted_root=TrustedRoot.from_file(str(self.trusted_root)))
        except Exception as exc:
            msg = f"{self.trusted_root}: not a trusted root of sigstore"
            raise ConfigError(msg) from exc


def _token() -> IdentityToken:
    from sigstore.oidc import IdentityToken, detect_credential  # noqa: PLC0415 - slow

    token = detect_credential()
    if token is None:
        msg = "sigstore: this machine has no identity of its own"
        raise ReleaseError(msg, hint=_PERMISSION)
    return IdentityToken(token)


def payload(raw: bytes, *, what: str = KEYLESS) -> bytes:
    """Return the payload of a bundle without proving anything."""
    envelope = _bundle(raw, what)._dsse_envelope  # noqa: SLF001 - no public way without a policy
    if envelope is None:
        msg = f"{what}: not a bundle over a statement"
        raise IntegrityError(msg)
    return bytes(envelope._inner.payload)  # noqa: SLF001 - as above


def _bundle(raw: bytes, what: str) -> Bundle:
    from sigstore.models import Bundle  # noqa: PLC0415 - slow

    strictjson.load_object(raw, what=what, max_bytes=2 * MAX_BYTES)
    try:
        bundle = Bundle.from_json(raw)
        text = f"{bundle.to_json()}\n".encode()
    except Exception as exc:
        msg = f"{what}: not a bundle of sigstore"
        raise IntegrityError(msg) from exc
    if text != raw:
        msg = f"{what}: not byte for byte as 'rke2pack release' writes it"
        raise IntegrityError(msg)
    return bundle


def _line(exc: BaseException) -> str:
    return " ".join(str(exc).split())[:300] or type(exc).__name__

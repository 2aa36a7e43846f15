"""Offline keys: what is signed is proved, and nothing else is."""

from __future__ import annotations

import base64
import json
from collections.abc import Callable
from datetime import UTC, datetime, timedelta
from typing import Any

import pytest
from cryptography import x509
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec, ed25519, rsa
from cryptography.x509.oid import NameOID

from rke2pack.errors import ConfigError, IntegrityError, PackError
from rke2pack.release import offlinekey
from rke2pack.release.offlinekey import PublicKey, SigningKey, WrongKeyError

STATEMENT = b'{"_type": "https://in-toto.io/Statement/v1"}\n'
KEYS: dict[str, Callable[[], Any]] = {
    "ed25519": ed25519.Ed25519PrivateKey.generate,
    "p256": lambda: ec.generate_private_key(ec.SECP256R1()),
    "p384": lambda: ec.generate_private_key(ec.SECP384R1()),
}


def pem(key: Any, password: bytes | None = None) -> bytes:  # noqa: ANN401 - any private key
    locked = serialization.BestAvailableEncryption(password) if password else None
    data: bytes = key.private_bytes(
        serialization.Encoding.PEM,
        serialization.PrivateFormat.PKCS8,
        locked or serialization.NoEncryption(),
    )
    return data


def public_pem(key: Any) -> bytes:  # noqa: ANN401 - as above
    data: bytes = key.public_key().public_bytes(
        serialization.Encoding.PEM, serialization.PublicFormat.SubjectPublicKeyInfo
    )
    return data


def parsed(key: Any) -> tuple[SigningKey, PublicKey]:  # noqa: ANN401 - as above
    private = SigningKey.parse(pem(key), password=None, what="key")
    return private, PublicKey.parse(public_pem(key), what="pub")


@pytest.mark.parametrize("kind", KEYS)
def test_signature_is_proved_by_the_public_key_and_always_the_same(kind: str) -> None:
    private, public = parsed(KEYS[kind]())
    raw = private.sign(STATEMENT)
    assert public.verify(raw) == STATEMENT
    assert private.sign(STATEMENT) == raw
    assert offlinekey.payload(raw) == STATEMENT
    assert private.public.keyid == public.keyid


def test_other_key_is_named() -> None:
    private, _ = parsed(KEYS["ed25519"]())
    _, other = parsed(KEYS["ed25519"]())
    with pytest.raises(WrongKeyError, match="signed with another key"):
        other.verify(private.sign(STATEMENT))


def envelope(raw: bytes, **changes: object) -> bytes:
    return f"{json.dumps({**json.loads(raw), **changes}, sort_keys=True)}\n".encode()


def test_key_that_lies_about_its_id_proves_nothing() -> None:
    private, _ = parsed(KEYS["ed25519"]())
    _, other = parsed(KEYS["ed25519"]())
    raw = private.sign(STATEMENT)
    signature = {**json.loads(raw)["signatures"][0], "keyid": other.keyid}
    with pytest.raises(WrongKeyError, match="the signature does not fit"):
        other.verify(envelope(raw, signatures=[signature]))


@pytest.mark.parametrize("kind", KEYS)
def test_altered_payload_is_refused(kind: str) -> None:
    private, public = parsed(KEYS[kind]())
    payload = base64.b64encode(STATEMENT.replace(b"v1", b"v2")).decode()
    with pytest.raises(WrongKeyError, match="it or what it signs was altered"):
        public.verify(envelope(private.sign(STATEMENT), payload=payload))


@pytest.mark.parametrize(
    "changes",
    [
        {"payloadType": "text/plain"},
        {"signatures": []},
        {"signatures": [{"keyid": "a", "sig": "AA=="}, {"keyid": "b", "sig": "AA=="}]},
        {"signatures": [{"keyid": "a", "sig": "AA=="}, {"keyid": "a", "sig": "AA=="}]},
        {"signatures": [{"keyid": 1}]},
        {"signatures": "x"},
        {"payload": 7},
        {"payload": "*"},
        {"extra": 1},
    ],
    ids=["type", "none", "two", "twice", "no-sig", "text", "number", "no-base64", "extra"],
)
def test_what_is_no_envelope_of_ours_is_refused(changes: dict[str, object]) -> None:
    private, public = parsed(KEYS["ed25519"]())
    with pytest.raises(IntegrityError):
        public.verify(envelope(private.sign(STATEMENT), **changes))


@pytest.mark.parametrize("raw", [b"", b"[]", b"{}", b'{"a": 1, "a": 2}', b"[" * 10_000, b"\xff"])
def test_any_bytes_are_refused_with_an_error_of_ours(raw: bytes) -> None:
    _, public = parsed(KEYS["ed25519"]())
    with pytest.raises(IntegrityError):
        public.verify(raw)


def test_every_byte_of_an_envelope_counts() -> None:
    private, public = parsed(KEYS["p256"]())
    raw = private.sign(STATEMENT)
    for place in range(len(raw)):
        altered = bytearray(raw)
        altered[place] ^= 1
        with pytest.raises(PackError):
            public.verify(bytes(altered))


def test_password_is_asked_for_and_never_told() -> None:
    key = pem(KEYS["p256"](), b"open sesame")
    assert SigningKey.parse(key, password="open sesame", what="key")
    with pytest.raises(ConfigError) as caught:
        SigningKey.parse(key, password=None, what="key")
    assert caught.value.message == "key: the key has a password"
    with pytest.raises(ConfigError) as caught:
        SigningKey.parse(key, password="sesame close", what="key")
    assert caught.value.message == "key: wrong password, or not a key"
    assert "sesame" not in repr(caught.value.__context__)


def test_password_for_a_key_without_one_does_no_harm() -> None:
    key = pem(KEYS["ed25519"]())
    assert SigningKey.parse(key, password="open sesame", what="key")


def test_private_key_has_no_readable_form() -> None:
    private, _ = parsed(KEYS["ed25519"]())
    assert pem(private._private).decode().splitlines()[1] not in repr(private)


@pytest.mark.parametrize(
    "key",
    [rsa.generate_private_key(65537, 2048), ec.generate_private_key(ec.SECP256K1())],
    ids=["rsa", "k1"],
)
def test_other_kinds_of_keys_are_refused(key: Any) -> None:  # noqa: ANN401 - any private key
    with pytest.raises(ConfigError, match="not an Ed25519 or ECDSA"):
        SigningKey.parse(pem(key), password=None, what="key")
    with pytest.raises(ConfigError, match="not an Ed25519 or ECDSA"):
        PublicKey.parse(public_pem(key), what="pub")


def test_private_key_is_not_taken_for_the_public_one() -> None:
    with pytest.raises(ConfigError, match="a private key; verifying takes the public one"):
        PublicKey.parse(pem(KEYS["ed25519"]()), what="pub")


def certificate(key: Any, start: datetime, end: datetime) -> bytes:  # noqa: ANN401 - as above
    name = x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, "releases")])
    built = (
        x509.CertificateBuilder()
        .subject_name(name)
        .issuer_name(name)
        .public_key(key.public_key())
        .serial_number(1)
        .not_valid_before(start)
        .not_valid_after(end)
    )
    algorithm = None if isinstance(key, ed25519.Ed25519PrivateKey) else hashes.SHA256()
    return built.sign(key, algorithm).public_bytes(serialization.Encoding.PEM)


@pytest.mark.parametrize(
    ("days", "problem"),
    [
        ((-10, 10), ""),
        ((-10, -1), "the certificate expired on 2025-05-31T00:00:00Z"),
        ((1, 10), "the certificate is valid from 2025-06-02T00:00:00Z; compare the clocks"),
    ],
    ids=["valid", "expired", "early"],
)
@pytest.mark.parametrize("kind", KEYS)
def test_certificate_counts_while_it_is_valid(
    kind: str, days: tuple[int, int], problem: str
) -> None:
    key, now = KEYS[kind](), datetime(2025, 6, 1, tzinfo=UTC)
    start, end = (now + timedelta(days=each) for each in days)
    public = PublicKey.parse(certificate(key, start, end), what="crt")
    private, _ = parsed(key)
    assert public.verify(private.sign(STATEMENT)) == STATEMENT
    assert public.validity_problem(now) == problem

"""Keyless signatures against a sigstore of the test's own: signed by a workflow, proved offline."""

from __future__ import annotations

import base64
import json
from collections.abc import Iterator
from datetime import timedelta
from pathlib import Path

import pytest

from rke2pack.errors import IntegrityError, PackError, ReleaseError
from rke2pack.release import keyless
from rke2pack.release.keyless import Identity, KeylessSigner
from rke2pack.release.offlinekey import WrongKeyError
from tests.contract.github.sigstore import IDENTITY, ISSUER, Sigstore, running

STATEMENT = json.dumps(
    {
        "_type": "https://in-toto.io/Statement/v1",
        "subject": [{"name": "a.txt", "digest": {"sha256": "a" * 64}}],
        "predicateType": "https://slsa.dev/provenance/v1",
        "predicate": {"x": 1},
    },
    indent=2,
).encode()


class Bench:
    """A job on GitHub, and a site that only has the roots of trust."""

    def __init__(self, sigstore: Sigstore, root: Path) -> None:
        self.sigstore = sigstore
        self.config = root / "trust-config.json"
        self.config.write_text(json.dumps(sigstore.trust_config()))
        self.root = root / "trusted-root.json"
        self.root.write_text(json.dumps(sigstore.trusted_root()))

    def sign(self) -> bytes:
        return KeylessSigner(trust_config=self.config).sign(STATEMENT)

    def verify(self, raw: bytes, identity: str = IDENTITY, issuer: str = ISSUER) -> bytes:
        wanted = Identity(identity=identity, issuer=issuer, trusted_root=self.root)
        return wanted.verify(raw)


@pytest.fixture
def bench(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Bench]:
    with running() as sigstore:
        monkeypatch.setenv("GITHUB_ACTIONS", "true")
        monkeypatch.setenv("ACTIONS_ID_TOKEN_REQUEST_TOKEN", "of-the-job")
        monkeypatch.setenv("ACTIONS_ID_TOKEN_REQUEST_URL", f"{sigstore.url}/token?x=1")
        yield Bench(sigstore, tmp_path)


def test_what_a_workflow_signs_is_proved_without_a_network(bench: Bench) -> None:
    raw = bench.sign()
    bench.sigstore.is_down = True
    assert bench.verify(raw) == STATEMENT
    assert keyless.payload(raw) == STATEMENT


def test_other_workflow_is_refused(bench: Bench) -> None:
    raw = bench.sign()
    with pytest.raises(WrongKeyError, match="do not match"):
        bench.verify(raw, identity=f"{IDENTITY}x")
    with pytest.raises(WrongKeyError, match=r"[Ii]ssuer"):
        bench.verify(raw, issuer="https://other.example.com")


def test_other_roots_of_trust_are_refused(bench: Bench) -> None:
    raw = bench.sign()
    with pytest.raises(WrongKeyError):
        Identity(identity=IDENTITY, issuer=ISSUER).verify(raw)


def test_altered_payload_is_refused(bench: Bench) -> None:
    document = json.loads(bench.sign())
    other = base64.b64encode(STATEMENT.replace(b"a.txt", b"b.txt")).decode()
    document["dsseEnvelope"]["payload"] = other
    with pytest.raises(PackError):
        bench.verify(f"{json.dumps(document)}\n".encode())


def test_every_altered_byte_is_noticed(bench: Bench) -> None:
    raw = bench.sign()
    # What nobody signs: how the log calls itself before its signature, and the bits of that
    # signature's base64 which are left over.
    name = raw.index("— ".encode())
    last = len(raw[: raw.index(b"\\n", name)].rstrip(b"=")) - 1
    unsigned = {*range(name, raw.index(b" ", name + 4)), last}
    for place in sorted({*range(0, len(raw), 7)} - unsigned):
        altered = bytearray(raw)
        altered[place] ^= 1
        with pytest.raises(PackError):
            bench.verify(bytes(altered))


def test_certificate_that_had_expired_when_it_signed_is_refused(bench: Bench) -> None:
    bench.sigstore.log_delay = timedelta(hours=1)
    raw = bench.sign()
    with pytest.raises(WrongKeyError):
        bench.verify(raw)


def test_certificate_that_expired_since_is_fine(bench: Bench) -> None:
    """A log's time counts, not that of whoever proves."""
    bench.sigstore.log_delay = -timedelta(seconds=30)
    bench.sigstore.lifetime = timedelta(seconds=1)
    assert bench.verify(bench.sign()) == STATEMENT


def test_entry_of_another_log_is_refused(bench: Bench) -> None:
    raw = bench.sign()
    bench.root.write_text(json.dumps(Sigstore(url=bench.sigstore.url).trusted_root()))
    with pytest.raises(WrongKeyError):
        bench.verify(raw)


def test_job_without_the_permission_is_told(bench: Bench, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv("ACTIONS_ID_TOKEN_REQUEST_TOKEN")
    with pytest.raises(ReleaseError) as caught:
        bench.sign()
    assert caught.value.hint == "give the job 'id-token: write', or sign with --sign-key"


def test_sigstore_that_does_not_answer_is_an_error(bench: Bench) -> None:
    bench.sigstore.is_down = True
    with pytest.raises(ReleaseError, match="sigstore: "):
        bench.sign()


@pytest.mark.parametrize("raw", [b"", b"{}", b"[]", b'{"mediaType": "x"}', b"\xff"])
def test_what_is_no_bundle_is_refused(bench: Bench, raw: bytes) -> None:
    with pytest.raises(IntegrityError):
        bench.verify(raw)


@pytest.mark.parametrize("text", ["", "{}", "[]", "x"])
def test_roots_of_trust_that_are_none_are_refused(bench: Bench, text: str) -> None:
    raw = bench.sign()
    bench.root.write_text(text)
    with pytest.raises(PackError, match="not a trusted root of sigstore"):
        bench.verify(raw)
    bench.config.write_text(text)
    with pytest.raises(PackError, match="not a trust configuration of sigstore"):
        bench.sign()

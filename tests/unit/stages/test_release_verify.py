"""verify on a release: signatures, provenance, files; wrong keys, clocks, and altered bytes."""

from __future__ import annotations

import base64
import hashlib
import json
from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest

from rke2pack.release import offlinekey
from rke2pack.release.offlinekey import SigningKey
from tests.contract.github.sigstore import IDENTITY, ISSUER, running
from tests.unit.release.benches import Bench, bench, made
from tests.unit.release.test_offlinekey import KEYS, certificate, pem, public_pem
from tests.unit.stages.conftest import Answer

__all__ = ["bench", "made"]
FILES = (
    "rke2-images-core.linux-amd64.tar.zst",
    "rke2-images-core.linux-amd64.txt",
    "rke2-coredns.yaml",
    "sbom.cdx.json",
    "release-notes.md",
    "sha256sum-arm64.txt",
)


@pytest.fixture
def key(bench: Bench) -> Path:
    """Release the tree, signed; return the public key's file."""
    private, public = offlinekey.generate()
    bench.monkeypatch.setenv("RKE2PACK_SIGNING_KEY", private.decode())
    assert bench.release().code == 0
    path = bench.root / "release.pub"
    path.write_bytes(public)
    return path


def failed(answer: Answer) -> dict[tuple[str, str], str]:
    return {
        (each["subject"], each["check"]): each["detail"]
        for each in answer.json["results"]
        if each["status"] == "failed"
    }


def status(answer: Answer, subject: str, check: str) -> str:
    found = {(each["subject"], each["check"]): each["status"] for each in answer.json["results"]}
    return str(found[subject, check])


def test_release_is_proved_by_its_key(bench: Bench, key: Path) -> None:
    answer = bench.verify(bench.output, "--key", key, "--json")
    assert (answer.code, failed(answer)) == (0, {})
    assert status(answer, "provenance.dsse.json", "signature") == "passed"
    for name in FILES:
        assert status(answer, name, "attested") == "passed"


def test_without_a_key_the_signature_is_said_to_be_unproved(bench: Bench, key: Path) -> None:
    assert key.is_file()
    answer = bench.verify(bench.output, "--json")
    assert (answer.code, failed(answer)) == (0, {})
    assert status(answer, "provenance.dsse.json", "signature") == "skipped"
    assert "  skipped  signature    provenance.dsse.json: " in bench.verify(bench.output).err


def test_one_of_several_keys_is_enough(bench: Bench, key: Path) -> None:
    other = bench.root / "other.pub"
    other.write_bytes(offlinekey.generate()[1])
    assert bench.verify(bench.output, "--key", other, "--key", key).code == 0


def test_wrong_key_is_an_error(bench: Bench, key: Path) -> None:
    key.write_bytes(offlinekey.generate()[1])
    answer = bench.verify(bench.output, "--key", key, "--json")
    assert answer.code == 5
    assert list(failed(answer)) == [("provenance.dsse.json", "signature")]
    assert "signed with another key" in failed(answer)["provenance.dsse.json", "signature"]


def test_release_without_a_signature_is_an_error_when_a_key_is_named(
    bench: Bench, key: Path
) -> None:
    (bench.output / "provenance.dsse.json").unlink()
    answer = bench.verify(bench.output, "--key", key, "--json")
    assert failed(answer) == {("provenance.dsse.json", "signature"): "is not there"}
    assert answer.code == 5


def test_folder_without_anything_that_vouches_is_an_error_when_a_key_is_named(
    bench: Bench, key: Path
) -> None:
    answer = bench.verify(bench.artifacts, "--key", key, "--json")
    assert failed(answer) == {
        ("provenance.dsse.json", "signature"): "is not there",
        ("provenance.json", "provenance"): "is not there",
    }


def test_statement_of_another_release_is_caught(bench: Bench, key: Path) -> None:
    """A signature that fits a payload that is not provenance.json."""
    other = bench.output / "provenance.json"
    other.write_text(other.read_text().replace("v1.32.4+rke2r1", "v1.32.9+rke2r1"))
    answer = bench.verify(bench.output, "--key", key, "--json")
    assert failed(answer) == {
        ("provenance.json", "provenance"): "is not what provenance.dsse.json has"
    }


def test_signature_that_nobody_proves_does_not_speak_for_the_files(
    bench: Bench, tmp_path: Path
) -> None:
    """Beside a genuine bundle, an envelope by anybody over other files."""
    root, config = tmp_path / "root.json", tmp_path / "config.json"
    with running() as sigstore:
        config.write_text(json.dumps(sigstore.trust_config()))
        root.write_text(json.dumps(sigstore.trusted_root()))
        bench.monkeypatch.setenv("GITHUB_ACTIONS", "true")
        bench.monkeypatch.setenv("ACTIONS_ID_TOKEN_REQUEST_TOKEN", "of-the-job")
        bench.monkeypatch.setenv("ACTIONS_ID_TOKEN_REQUEST_URL", f"{sigstore.url}/token?x=1")
        assert bench.release("--keyless", "--trust-config", config).code == 0
    chart, written = bench.output / "rke2-coredns.yaml", bench.output / "provenance.json"
    old = chart.read_bytes()
    chart.unlink()
    chart.write_bytes(old + b"# more\n")
    digests = [hashlib.sha256(data).hexdigest() for data in (old, chart.read_bytes())]
    evil = written.read_text().replace(digests[0], digests[1]).encode()
    signer = SigningKey.parse(offlinekey.generate()[0], password=None, what="key")
    (bench.output / "provenance.dsse.json").write_bytes(signer.sign(evil))
    options = ("--identity", IDENTITY, "--issuer", ISSUER, "--trusted-root", root, "--json")
    for is_written in (True, False):
        if is_written:
            written.write_bytes(evil)
        else:
            written.unlink()
        answer = bench.verify(bench.output, *options)
        assert answer.code == 5
        assert (chart.name, "attested") in failed(answer)
        assert ("provenance.dsse.json", "provenance") in failed(answer)


def test_payload_that_was_altered_with_its_files_is_caught(bench: Bench, key: Path) -> None:
    """Whoever alters a file, the statement and the envelope alike, lacks the key."""
    chart = bench.output / "rke2-coredns.yaml"
    old = json.loads((bench.output / "provenance.json").read_text())
    chart.write_bytes(chart.read_bytes() + b"# more\n")
    for each in old["subject"]:
        if each["name"] == chart.name:
            each["digest"]["sha256"] = hashlib.sha256(chart.read_bytes()).hexdigest()
    text = json.dumps(old).encode()
    (bench.output / "provenance.json").write_bytes(text)
    path = bench.output / "provenance.dsse.json"
    envelope = json.loads(path.read_text()) | {"payload": base64.b64encode(text).decode()}
    path.write_text(f"{json.dumps(envelope, sort_keys=True)}\n")
    answer = bench.verify(bench.output, "--key", key, "--json")
    assert answer.code == 5
    assert ("provenance.dsse.json", "signature") in failed(answer)


@pytest.mark.parametrize("name", FILES)
def test_altered_file_is_caught_by_name_without_a_key_too(
    bench: Bench, key: Path, name: str
) -> None:
    assert key.is_file()
    path = bench.output / name
    data = bytearray(path.read_bytes())
    data[len(data) // 2] ^= 1
    path.unlink()
    path.write_bytes(data)
    answer = bench.verify(bench.output, "--json")
    assert answer.code == 5
    assert (name, "attested") in failed(answer)


def test_missing_and_extra_files_are_named(bench: Bench, key: Path) -> None:
    (bench.output / "sbom.cdx.json").unlink()
    (bench.output / "install.sh").write_text("x\n")
    (bench.output / "folder").mkdir()
    found = failed(bench.verify(bench.output, "--key", key, "--json"))
    assert found["sbom.cdx.json", "attested"] == "provenance.json names it, it is not there"
    assert found["install.sh", "attested"] == "nothing vouches for it"
    assert found["folder", "attested"] == "is no file"


def test_statement_from_the_future_tells_of_the_clocks(bench: Bench) -> None:
    later = datetime.now(UTC) + timedelta(hours=1)
    bench.monkeypatch.setenv("SOURCE_DATE_EPOCH", str(int(later.timestamp())))
    assert bench.release().code == 0
    answer = bench.verify(bench.output, "--json")
    assert answer.code == 5
    ((subject, check), detail) = next(iter(failed(answer).items()))
    assert (subject, check) == ("provenance.json", "time")
    assert detail.endswith("one of two clocks is wrong")


@pytest.mark.parametrize(
    ("days", "said"),
    [((-2, -1), "the certificate expired on "), ((1, 2), "the certificate is valid from ")],
    ids=["expired", "early"],
)
def test_certificate_out_of_its_time_is_an_error(
    bench: Bench, days: tuple[int, int], said: str
) -> None:
    private = KEYS["p256"]()
    bench.monkeypatch.setenv("RKE2PACK_SIGNING_KEY", pem(private).decode())
    assert bench.release().code == 0
    path = bench.root / "release.crt"
    start, end = (datetime.now(UTC) + timedelta(days=each) for each in days)
    path.write_bytes(certificate(private, start, end))
    answer = bench.verify(bench.output, "--key", path, "--json")
    assert answer.code == 5
    assert failed(answer)["provenance.dsse.json", "signature"].startswith(said)
    path.write_bytes(certificate(private, start - timedelta(days=9), end + timedelta(days=9)))
    assert bench.verify(bench.output, "--key", path).code == 0


def test_signature_of_what_is_no_provenance_is_an_error(bench: Bench, key: Path) -> None:
    private = KEYS["ed25519"]()
    key.write_bytes(public_pem(private))
    signer = SigningKey.parse(pem(private), password=None, what="key")
    (bench.output / "provenance.dsse.json").write_bytes(signer.sign(b'{"_type": "other"}'))
    answer = bench.verify(bench.output, "--key", key, "--json")
    assert answer.code == 5
    assert ("provenance.json", "provenance") in failed(answer)


@pytest.mark.parametrize(
    ("options", "said"),
    [
        (("--identity", "x"), "--identity and --issuer"),
        (("--issuer", "x"), "--identity and --issuer"),
        (("--trusted-root", "x"), "--trusted-root: goes with --identity"),
        (("--key", "/nowhere.pub"), "/nowhere.pub: no such file"),
    ],
)
def test_options_that_say_nothing_are_refused(
    bench: Bench, options: tuple[str, ...], said: str
) -> None:
    answer = bench.verify(bench.artifacts, *options)
    assert answer.code == 2
    assert said in answer.err


def test_identity_without_a_bundle_is_an_error(bench: Bench, key: Path) -> None:
    assert key.is_file()
    answer = bench.verify(bench.output, "--json", "--identity", "x", "--issuer", "y")
    assert failed(answer) == {("provenance.sigstore.json", "signature"): "is not there"}


def test_bundle_that_is_none_is_an_error(bench: Bench, key: Path) -> None:
    assert key.is_file()
    (bench.output / "provenance.sigstore.json").write_text('{"mediaType": "x"}\n')
    for options in (("--identity", "x", "--issuer", "y"), ()):
        answer = bench.verify(bench.output, "--json", *options)
        assert answer.code == 5
        assert failed(answer) == {
            ("provenance.sigstore.json", "signature"): "not a bundle of sigstore"
        }

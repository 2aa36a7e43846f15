"""A sigstore of the test's own on loopback: identity, certificates (Fulcio) and a log (Rekor).

It does what the real ones do as far as a client checks it: certificates with an
embedded signed timestamp of a CT log, entries with a promise and a proof of inclusion.
``lifetime`` and ``log_delay`` make certificates that are too old when they are logged.
"""

from __future__ import annotations

import base64
import contextlib
import hashlib
import http.server
import json
import struct
import threading
import time
from collections.abc import Iterator
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from typing import Any

from cryptography import x509
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.x509.oid import ExtendedKeyUsageOID, NameOID, ObjectIdentifier

IDENTITY = "https://github.example.com/example/tree/.github/workflows/release.yml@refs/tags/v1"
ISSUER = "https://token.example.com"
_SCT = ObjectIdentifier("1.3.6.1.4.1.11129.2.4.2")
_ISSUER_V1 = ObjectIdentifier("1.3.6.1.4.1.57264.1.1")
_ISSUER_V2 = ObjectIdentifier("1.3.6.1.4.1.57264.1.8")
_SHA = ec.ECDSA(hashes.SHA256())


def der(public: ec.EllipticCurvePublicKey) -> bytes:
    form = serialization.PublicFormat.SubjectPublicKeyInfo
    return public.public_bytes(serialization.Encoding.DER, form)


def text(value: bytes) -> str:
    return base64.b64encode(value).decode()


@dataclass(kw_only=True)
class Sigstore:
    """The services' keys and state; tests change it while they run."""

    url: str = ""
    identity: str = IDENTITY
    lifetime: timedelta = timedelta(minutes=10)
    log_delay: timedelta = timedelta()
    is_down: bool = False
    authority: ec.EllipticCurvePrivateKey = field(
        default_factory=lambda: ec.generate_private_key(ec.SECP256R1())
    )
    ct_log: ec.EllipticCurvePrivateKey = field(
        default_factory=lambda: ec.generate_private_key(ec.SECP256R1())
    )
    log: ec.EllipticCurvePrivateKey = field(
        default_factory=lambda: ec.generate_private_key(ec.SECP256R1())
    )

    def __post_init__(self) -> None:
        name = x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, "test authority")])
        now, public = datetime.now(UTC), self.authority.public_key()
        usage = dict.fromkeys(
            (
                "content_commitment", "key_encipherment", "data_encipherment", "key_agreement",
                "encipher_only", "decipher_only", "digital_signature",
            ),
            False,
        )  # fmt: skip
        self.root = (
            x509.CertificateBuilder()
            .subject_name(name)
            .issuer_name(name)
            .public_key(public)
            .serial_number(1)
            .not_valid_before(now - timedelta(days=2))
            .not_valid_after(now + timedelta(days=2))
            .add_extension(x509.BasicConstraints(ca=True, path_length=0), critical=True)
            .add_extension(x509.KeyUsage(key_cert_sign=True, crl_sign=True, **usage), critical=True)
            .add_extension(x509.SubjectKeyIdentifier.from_public_key(public), critical=False)
            .sign(self.authority, hashes.SHA256())
        )

    def token(self) -> str:
        now = int(time.time())
        claims = {"iss": ISSUER, "sub": self.identity, "aud": "sigstore", "iat": now,
                  "nbf": now - 5, "exp": now + 300}  # fmt: skip
        parts = [{"alg": "HS256", "typ": "JWT"}, claims]
        encoded = [base64.urlsafe_b64encode(json.dumps(p).encode()).rstrip(b"=") for p in parts]
        return b".".join([*encoded, b"c2lnbmF0dXJl"]).decode()

    def certificate(self, request: dict[str, Any]) -> dict[str, Any]:
        pem = base64.b64decode(request["certificateSigningRequest"])
        public = x509.load_pem_x509_csr(pem).public_key()
        assert isinstance(public, ec.EllipticCurvePublicKey)
        start = datetime.now(UTC)
        draft = self._certificate(public, start, b"\0" * 8)
        stamp = struct.pack(">Q", int(time.time() * 1000))
        tbs = draft.tbs_precertificate_bytes
        issuer = hashlib.sha256(der(self.authority.public_key())).digest()
        signed = b"\0\0" + stamp + b"\0\1" + issuer + struct.pack(">I", len(tbs))[1:] + tbs
        signature = self.ct_log.sign(signed + b"\0\0", _SHA)
        log_id = hashlib.sha256(der(self.ct_log.public_key())).digest()
        sct = b"\0" + log_id + stamp + b"\0\0" + b"\4\3" + struct.pack(">H", len(signature))
        made = self._certificate(public, start, sct + signature)
        chain = [each.public_bytes(serialization.Encoding.PEM).decode() for each in
                 (made, self.root)]  # fmt: skip
        return {"signedCertificateEmbeddedSct": {"chain": {"certificates": chain}}}

    def _certificate(
        self, public: ec.EllipticCurvePublicKey, start: datetime, sct: bytes
    ) -> x509.Certificate:
        listed = struct.pack(">HH", len(sct) + 2, len(sct)) + sct
        stamps = b"\4" + _length(listed) + listed
        issuer = ISSUER.encode()
        usage = dict.fromkeys(
            (
                "content_commitment", "key_encipherment", "data_encipherment", "key_agreement",
                "encipher_only", "decipher_only", "key_cert_sign", "crl_sign",
            ),
            False,
        )  # fmt: skip
        authority = x509.AuthorityKeyIdentifier.from_issuer_public_key(self.authority.public_key())
        extensions: list[tuple[x509.ExtensionType, bool]] = [
            (x509.KeyUsage(digital_signature=True, **usage), True),
            (x509.ExtendedKeyUsage([ExtendedKeyUsageOID.CODE_SIGNING]), False),
            (x509.SubjectKeyIdentifier.from_public_key(public), False),
            (authority, False),
            (
                x509.SubjectAlternativeName([x509.UniformResourceIdentifier(self.identity)]),
                True,
            ),
            (x509.UnrecognizedExtension(_ISSUER_V1, issuer), False),
            (x509.UnrecognizedExtension(_ISSUER_V2, b"\x0c" + _length(issuer) + issuer), False),
            (x509.UnrecognizedExtension(_SCT, stamps), False),
        ]
        builder = (
            x509.CertificateBuilder()
            .subject_name(x509.Name([]))
            .issuer_name(self.root.subject)
            .public_key(public)
            .serial_number(7)
            .not_valid_before(start - timedelta(minutes=1))
            .not_valid_after(start + self.lifetime)
        )
        for extension, is_critical in extensions:
            builder = builder.add_extension(extension, critical=is_critical)
        return builder.sign(self.authority, hashes.SHA256())

    def entry(self, proposed: dict[str, Any]) -> dict[str, Any]:
        content = proposed["spec"]["proposedContent"]
        envelope = json.loads(content["envelope"])
        payload = base64.b64decode(envelope["payload"])
        signature = {"signature": envelope["signatures"][0]["sig"],
                     "verifier": content["verifiers"][0]}  # fmt: skip
        body = canonical({
            "apiVersion": "0.0.1", "kind": "dsse",
            "spec": {
                "envelopeHash": sha(content["envelope"].encode()),
                "payloadHash": sha(payload),
                "signatures": [signature],
            },
        })  # fmt: skip
        moment = int((datetime.now(UTC) + self.log_delay).timestamp())
        log_id = hashlib.sha256(der(self.log.public_key())).digest()
        entry = {"body": text(body), "integratedTime": moment, "logID": log_id.hex(),
                 "logIndex": 0}  # fmt: skip
        root = hashlib.sha256(b"\0" + body).digest()
        note = f"log.example.com - 1\n1\n{text(root)}\n"
        signed = text(log_id[:4] + self.log.sign(note.encode(), _SHA))
        proof = {"checkpoint": f"{note}\n\u2014 log.example.com {signed}\n", "hashes": [],
                 "logIndex": 0, "rootHash": root.hex(), "treeSize": 1}  # fmt: skip
        promise = text(self.log.sign(canonical(entry), _SHA))
        verification = {"inclusionProof": proof, "signedEntryTimestamp": promise}
        return {"0" * 64: {**entry, "verification": verification}}

    def trusted_root(self) -> dict[str, Any]:
        since = {"start": "2020-01-01T00:00:00Z"}

        def instance(key: ec.EllipticCurvePrivateKey) -> dict[str, Any]:
            raw = der(key.public_key())
            return {
                "baseUrl": self.url,
                "hashAlgorithm": "SHA2_256",
                "publicKey": {"rawBytes": text(raw), "keyDetails": "PKIX_ECDSA_P256_SHA_256",
                              "validFor": since},
                "logId": {"keyId": text(hashlib.sha256(raw).digest())},
            }  # fmt: skip

        raw = self.root.public_bytes(serialization.Encoding.DER)
        return {
            "mediaType": "application/vnd.dev.sigstore.trustedroot+json;version=0.1",
            "tlogs": [instance(self.log)],
            "certificateAuthorities": [{
                "subject": {"organization": "example", "commonName": "test authority"},
                "uri": self.url,
                "certChain": {"certificates": [{"rawBytes": text(raw)}]},
                "validFor": since,
            }],
            "ctlogs": [instance(self.ct_log)],
            "timestampAuthorities": [],
        }  # fmt: skip

    def trust_config(self) -> dict[str, Any]:
        service = {"url": self.url, "majorApiVersion": 1, "operator": "example",
                   "validFor": {"start": "2020-01-01T00:00:00Z"}}  # fmt: skip
        return {
            "mediaType": "application/vnd.dev.sigstore.clienttrustconfig.v0.1+json",
            "trustedRoot": self.trusted_root(),
            "signingConfig": {
                "mediaType": "application/vnd.dev.sigstore.signingconfig.v0.2+json",
                "caUrls": [service],
                "oidcUrls": [service],
                "rekorTlogUrls": [service],
                "rekorTlogConfig": {"selector": "ANY"},
                "tsaUrls": [],
                "tsaConfig": {"selector": "ANY"},
            },
        }


def canonical(document: object) -> bytes:
    return json.dumps(document, sort_keys=True, separators=(",", ":")).encode()


def sha(data: bytes) -> dict[str, str]:
    return {"algorithm": "sha256", "value": hashlib.sha256(data).hexdigest()}


def _length(data: bytes) -> bytes:
    size = len(data)
    return bytes([size]) if size < 128 else b"\x81" + bytes([size])


class _Handler(http.server.BaseHTTPRequestHandler):
    protocol_version = "HTTP/1.1"
    wbufsize = 65536
    sigstore: Sigstore

    def do_GET(self) -> None:
        self._reply(200, {"value": self.sigstore.token()})

    def do_POST(self) -> None:
        body = json.loads(self.rfile.read(int(self.headers["Content-Length"])))
        if self.sigstore.is_down:
            self._reply(503, {"message": "down"})
        elif self.path.endswith("/signingCert"):
            self._reply(201, self.sigstore.certificate(body))
        else:
            self._reply(201, self.sigstore.entry(body))

    def _reply(self, status: int, document: object) -> None:
        body = json.dumps(document).encode()
        self.send_response(status)
        self.send_header("Content-Type", "application/json")
        self.send_header("Content-Length", str(len(body)))
        self.end_headers()
        self.wfile.write(body)

    def log_message(self, *_: object) -> None:
        pass


@contextlib.contextmanager
def running() -> Iterator[Sigstore]:
    """Run all services at one address on loopback."""
    state = Sigstore()
    handler = type("Handler", (_Handler,), {"sigstore": state})
    server = http.server.ThreadingHTTPServer(("127.0.0.1", 0), handler)
    server.daemon_threads = True
    thread = threading.Thread(target=server.serve_forever, args=(0.02,))
    thread.start()
    state.url = f"http://127.0.0.1:{server.server_port}"
    try:
        yield state
    finally:
        server.shutdown()
        server.server_close()
        thread.join()

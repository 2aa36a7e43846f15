"""Real registries on loopback, each stopped by its own process, and skopeo."""

from __future__ import annotations

import contextlib
import http.client
import json
import shutil
import socket
import ssl
import subprocess
import sys
import time
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import NoReturn

import pytest

USER, PASSWORD = "tester", "pass word"
# bcrypt of the password, four rounds.
HTPASSWD = "$2b$04$UhHOlg.LLou5anWlxige2ej4TWmHczcu2eLFwcpw3gyfL3ETIAT.K"
RUNNER = Path(__file__).parents[2] / "contract/oci/runner.py"
Missing = Callable[[str, str], NoReturn]


@dataclass(frozen=True, kw_only=True)
class RealRegistry:
    """A docker-registry; ``certs`` is a certs.d folder for it."""

    host: str
    root: Path
    certs: Path | None = None
    has_users: bool = False


@dataclass(frozen=True, kw_only=True)
class Certificates:
    """Files of a private CA, a server, and a client that it vouches for."""

    folder: Path

    def file(self, name: str) -> Path:
        return self.folder / name


@pytest.fixture(scope="session")
def certificates(tmp_path_factory: pytest.TempPathFactory, missing: Missing) -> Certificates:
    if shutil.which("openssl") is None:
        missing("openssl", "openssl is not on PATH")
    folder = tmp_path_factory.mktemp("certificates")
    make = ["openssl", "req", "-x509", "-nodes", "-days", "2", "-newkey", "ec"]
    make += ["-pkeyopt", "ec_paramgen_curve:prime256v1"]
    signed = ["-CA", "ca.pem", "-CAkey", "ca.key", "-addext", "basicConstraints=critical,CA:FALSE"]
    names = ["-addext", "subjectAltName=IP:127.0.0.1"]
    for name, more in (
        ("ca", ["-addext", "keyUsage=critical,keyCertSign"]),
        ("server", [*signed, *names]),
        ("client", [*signed, "-addext", "extendedKeyUsage=clientAuth"]),
    ):
        own = ["-subj", f"/CN={name}", "-keyout", f"{name}.key", "-out", f"{name}.pem"]
        subprocess.run([*make, *own, *more], cwd=folder, check=True, capture_output=True)
    return Certificates(folder=folder)


@pytest.fixture(scope="session")
def skopeo(missing: Missing) -> Callable[..., bytes]:
    """Run skopeo with a policy that accepts everything; returns what it writes."""
    if shutil.which("skopeo") is None:
        missing("skopeo", "skopeo is not on PATH")

    def run(*arguments: str | Path) -> bytes:
        command = ["skopeo", "--insecure-policy", *map(str, arguments)]
        done = subprocess.run(command, capture_output=True, check=False)
        assert done.returncode == 0, done.stderr.decode()
        return done.stdout

    return run


def free_port() -> int:
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        port: int = probe.getsockname()[1]
        return port


@contextlib.contextmanager
def running(
    root: Path,
    missing: Missing,
    environment: Mapping[str, str] | None = None,
    context: ssl.SSLContext | None = None,
) -> Iterator[str]:
    """Run one docker-registry for the length of a block; give its address."""
    program = shutil.which("docker-registry")
    if program is None:
        missing("docker-registry", "docker-registry is not on PATH")
    host = f"127.0.0.1:{free_port()}"
    root.mkdir(parents=True, exist_ok=True)
    config = root / "config.yml"
    settings = {
        "version": 0.1,
        "log": {"level": "error"},
        "storage": {"filesystem": {"rootdirectory": str(root / "data")}},
        "http": {"addr": host},
    }
    config.write_text(json.dumps(settings))
    with (root / "log").open("wb") as log:
        server = subprocess.Popen(
            [program, "serve", config], stdout=log, stderr=log, env=dict(environment or {})
        )
        try:
            _wait_for(server, host, context, root / "log")
            yield host
        finally:
            server.terminate()
            server.wait(10)


def _wait_for(
    server: subprocess.Popen[bytes], host: str, context: ssl.SSLContext | None, log: Path
) -> None:
    for _ in range(200):
        assert server.poll() is None, log.read_text()
        connection = (
            http.client.HTTPSConnection(host, context=context)
            if context
            else http.client.HTTPConnection(host)
        )
        with contextlib.closing(connection), contextlib.suppress(OSError):
            connection.request("GET", "/v2/")
            connection.getresponse().read()
            return
        time.sleep(0.05)
    pytest.fail(f"docker-registry does not answer: {log.read_text()}")


@pytest.fixture(scope="module")
def plain(tmp_path_factory: pytest.TempPathFactory, missing: Missing) -> Iterator[RealRegistry]:
    root = tmp_path_factory.mktemp("plain")
    with running(root, missing) as host:
        yield RealRegistry(host=host, root=root)


@pytest.fixture(scope="module")
def private(
    tmp_path_factory: pytest.TempPathFactory, certificates: Certificates, missing: Missing
) -> Iterator[RealRegistry]:
    """TLS with a private CA, a client certificate and a password."""
    root = tmp_path_factory.mktemp("private")
    (root / "htpasswd").write_text(f"{USER}:{HTPASSWD}\n")
    environment = {
        "REGISTRY_AUTH": "htpasswd",
        "REGISTRY_AUTH_HTPASSWD_REALM": "it",
        "REGISTRY_AUTH_HTPASSWD_PATH": str(root / "htpasswd"),
        "REGISTRY_HTTP_TLS_CERTIFICATE": str(certificates.file("server.pem")),
        "REGISTRY_HTTP_TLS_KEY": str(certificates.file("server.key")),
        "REGISTRY_HTTP_TLS_CLIENTCAS_0": str(certificates.file("ca.pem")),
    }
    context = ssl.create_default_context(cafile=certificates.file("ca.pem"))
    context.load_cert_chain(certificates.file("client.pem"), certificates.file("client.key"))
    with running(root, missing, environment, context) as host:
        own = root / "certs" / host
        own.mkdir(parents=True)
        for source, name in (
            ("ca.pem", "ca.crt"),
            ("client.pem", "client.cert"),
            ("client.key", "client.key"),
        ):
            shutil.copyfile(certificates.file(source), own / name)
        yield RealRegistry(host=host, root=root, certs=root / "certs", has_users=True)


def start(
    arguments: list[str | Path],
    environment: Mapping[str, str],
    program: tuple[str, str] = ("-m", "tests.contract.oci.runner"),
) -> subprocess.Popen[bytes]:
    """Start the command line as a process of its own."""
    root = RUNNER.parents[3]
    return subprocess.Popen(
        [sys.executable, *program, *map(str, arguments)],
        cwd=root,
        env={"PYTHONPATH": f"{root / 'build'}:{root}", "PATH": "/usr/bin:/bin", **environment},
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
    )

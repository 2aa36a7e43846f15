"""A certificate of its own for each session."""

from __future__ import annotations

import shutil
import ssl
import subprocess
from collections.abc import Callable
from pathlib import Path
from typing import NoReturn

import pytest


@pytest.fixture(scope="session")
def certificate(
    tmp_path_factory: pytest.TempPathFactory, missing: Callable[[str, str], NoReturn]
) -> tuple[Path, ssl.SSLContext]:
    """A file of certificate and key for 127.0.0.1, and a client that trusts it."""
    if shutil.which("openssl") is None:
        missing("openssl", "openssl is not on PATH")
    folder = tmp_path_factory.mktemp("certificate")
    make = ["openssl", "req", "-x509", "-nodes", "-days", "2", "-newkey", "ec"]
    make += ["-pkeyopt", "ec_paramgen_curve:prime256v1", "-subj", "/CN=it"]
    make += ["-addext", "subjectAltName=IP:127.0.0.1", "-keyout", "key.pem", "-out", "cert.pem"]
    subprocess.run(make, cwd=folder, check=True, capture_output=True)
    path = folder / "both.pem"
    path.write_bytes((folder / "cert.pem").read_bytes() + (folder / "key.pem").read_bytes())
    return path, ssl.create_default_context(cafile=str(folder / "cert.pem"))

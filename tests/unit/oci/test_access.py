from __future__ import annotations

from pathlib import Path

import pytest

from rke2pack.errors import ConfigError
from rke2pack.oci.registry import access, certs
from rke2pack.oci.registry.access import Access
from rke2pack.oci.registry.certs import Trust
from rke2pack.oci.registry.keychain import Keychain


@pytest.mark.parametrize(
    ("authority", "plain"),
    [
        ("localhost", True),
        ("localhost:5000", True),
        ("127.0.0.1:5000", True),
        ("127.9.9.9", True),
        ("[::1]:5000", True),
        ("lab.example.com:5000", True),
        ("lab.example.com", False),
        ("10.0.0.1:5000", False),
        ("localhost.example.com", False),
        ("docker.io", False),
    ],
)
def test_plain_http_is_for_loopback_and_named_hosts(authority: str, *, plain: bool) -> None:
    assert access.may_be_plain(authority, {"lab.example.com:5000"}) is plain


def test_docker_hub_answers_elsewhere_and_over_tls() -> None:
    registry = Access(keychain=Keychain({})).registry("docker.io")
    assert registry.base == "https://registry-1.docker.io"
    assert registry.host == "docker.io"


def test_other_hosts_are_https_and_clients_are_kept() -> None:
    clients = Access(keychain=Keychain({}))
    registry = clients.registry("registry.example.com:5000")
    assert registry.base == "https://registry.example.com:5000"
    assert clients.registry("registry.example.com:5000") is registry


def test_endpoints_are_read() -> None:
    texts = ["docker.io=https://mirror.example.com/hub", "a.example.com=http://127.0.0.1:5000"]
    assert access.endpoints(texts, insecure=()) == {
        "docker.io": "https://mirror.example.com/hub",
        "a.example.com": "http://127.0.0.1:5000",
    }


@pytest.mark.parametrize(
    "text",
    [
        "docker.io",
        "docker.io=mirror.example.com",
        "=https://mirror.example.com",
        "docker.io=ftp://mirror.example.com",
        "docker.io=https://user:pass@mirror.example.com",
        "docker.io=http://mirror.example.com",
        "docker.io=https://[",
    ],
)
def test_anything_else_is_no_endpoint(text: str) -> None:
    with pytest.raises(ConfigError) as caught:
        access.endpoints([text], insecure=())
    assert "pass" not in caught.value.message


def test_certificates_are_found_by_host(tmp_path: Path) -> None:
    own = tmp_path / "registry.example.com:5000"
    own.mkdir()
    for name in ("ca.crt", "client.cert", "client.key"):
        (own / name).touch()
    folders = certs.folders({}, own=tmp_path)
    assert certs.find("registry.example.com:5000", folders) == Trust(
        ca_file=own / "ca.crt", certificate=own / "client.cert", key=own / "client.key"
    )
    usual = Path("/usual.pem")
    assert certs.find("other.example.com", folders, ca_file=usual) == Trust(ca_file=usual)


def test_folders_are_the_usual_ones(tmp_path: Path) -> None:
    found = certs.folders({"HOME": str(tmp_path)})
    assert found == (tmp_path / ".config/containers/certs.d", *certs.SYSTEM_FOLDERS)
    with pytest.raises(ConfigError, match="no such folder"):
        certs.folders({}, own=tmp_path / "none")


@pytest.mark.parametrize(
    ("names", "message"),
    [
        (["client.cert"], r"its key client\.key is missing"),
        (["a.cert", "a.key", "b.cert", "b.key"], "more than one client certificate"),
        (["a.crt", "b.crt"], r"more than one \.crt file"),
    ],
)
def test_unclear_certificates_are_errors(tmp_path: Path, names: list[str], message: str) -> None:
    own = tmp_path / "example.com"
    own.mkdir()
    for name in names:
        (own / name).touch()
    with pytest.raises(ConfigError, match=message):
        certs.find("example.com", (tmp_path,))

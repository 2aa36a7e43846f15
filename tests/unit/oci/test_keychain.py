from __future__ import annotations

import base64
import json
import stat
from pathlib import Path

import pytest

from rke2pack.errors import AuthError, ConfigError
from rke2pack.oci.registry.keychain import Credential, Keychain

SECRET = "s3cret"


def auth(user: str, password: str = SECRET) -> dict[str, str]:
    return {"auth": base64.b64encode(f"{user}:{password}".encode()).decode()}


def docker(tmp_path: Path, **document: object) -> Keychain:
    (tmp_path / "config.json").write_text(json.dumps(document))
    return Keychain({"DOCKER_CONFIG": str(tmp_path)})


def user(keychain: Keychain, host: str, repository: str = "a/b") -> str | None:
    found = keychain.find(host, repository)
    return found.username if found else None


@pytest.fixture
def helper(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """docker-credential-demo, whose answers are files; it notes what it is asked."""
    folder = tmp_path / "bin"
    folder.mkdir()
    program = folder / "docker-credential-demo"
    program.write_text(
        f"""#!/bin/sh
read server
echo "$1 $server" >> {tmp_path}/asked
case $server in
  fails*) echo boom {SECRET}; exit 3;;
  garbage*) echo {SECRET};;
  token*) echo '{{"Username": "<token>", "Secret": "{SECRET}"}}';;
  known*|*index.docker.io*) echo '{{"Username": "helped", "Secret": "{SECRET}"}}';;
  *) echo 'credentials not found in native keychain'; exit 1;;
esac
"""
    )
    program.chmod(program.stat().st_mode | stat.S_IXUSR)
    monkeypatch.setenv("PATH", f"{folder}:/usr/bin:/bin")
    return tmp_path / "asked"


def test_secrets_are_not_in_the_repr() -> None:
    credential = Credential(username="me", password=SECRET, identity_token=SECRET)
    assert SECRET not in repr(credential)
    assert "me" in repr(credential)
    assert credential.basic == "Basic " + auth("me")["auth"]


def test_environment_comes_first(tmp_path: Path) -> None:
    environment = {
        "RKE2PACK_REGISTRY_REGISTRY_EXAMPLE_COM_5000_USERNAME": "env",
        "RKE2PACK_REGISTRY_REGISTRY_EXAMPLE_COM_5000_PASSWORD": SECRET,
        "DOCKER_CONFIG": str(tmp_path),
    }
    (tmp_path / "config.json").write_text(
        json.dumps({"auths": {"registry.example.com:5000": auth("file")}})
    )
    assert user(Keychain(environment), "registry.example.com:5000") == "env"
    assert user(Keychain(environment), "registry.example.com") is None


@pytest.mark.parametrize(("given", "absent"), [("USERNAME", "PASSWORD"), ("PASSWORD", "USERNAME")])
def test_half_a_credential_is_an_error(given: str, absent: str) -> None:
    keychain = Keychain({f"RKE2PACK_REGISTRY_EXAMPLE_COM_{given}": SECRET})
    with pytest.raises(ConfigError) as caught:
        keychain.find("example.com")
    assert caught.value.message == f"RKE2PACK_REGISTRY_EXAMPLE_COM_{absent}: not set"


def test_longest_path_counts(tmp_path: Path) -> None:
    keychain = docker(
        tmp_path,
        auths={
            "example.com": auth("host"),
            "example.com/team": auth("team"),
            "example.com/team/one": auth("one"),
        },
    )
    assert user(keychain, "example.com", "other/x") == "host"
    assert user(keychain, "example.com", "team/x") == "team"
    assert user(keychain, "example.com", "team/one") == "one"
    assert user(keychain, "example.com", "team/one/more") == "one"
    assert user(keychain, "example.com", "team/oneself") == "team"
    assert user(keychain, "example.com.evil", "team/one") is None
    assert user(keychain, "example.com:5000", "team/one") is None


@pytest.mark.parametrize(
    "key",
    ["https://index.docker.io/v1/", "index.docker.io", "docker.io", "https://registry-1.docker.io"],
)
def test_docker_hub_has_many_names(tmp_path: Path, key: str) -> None:
    assert user(docker(tmp_path, auths={key: auth("hub")}), "docker.io", "library/x") == "hub"


@pytest.mark.parametrize(
    "key",
    ["https://example.com", "https://example.com/v1/", "http://example.com/v2/", "example.com/"],
)
def test_addresses_of_hosts_are_hosts(tmp_path: Path, key: str) -> None:
    assert user(docker(tmp_path, auths={key: auth("me")}), "example.com") == "me"


def test_all_forms_of_an_entry(tmp_path: Path) -> None:
    keychain = docker(
        tmp_path,
        auths={
            "a.example.com": {"username": "plain", "password": SECRET},
            "b.example.com": {**auth("<token>", ""), "identitytoken": SECRET},
            "c.example.com": {},
            "d.example.com": {"auth": base64.b64encode(b"nul:pass\0\0").decode()},
            "e.example.com": auth("colons", "a:b:c"),
        },
    )
    assert user(keychain, "a.example.com") == "plain"
    assert (keychain.find("b.example.com") or Credential()).identity_token == SECRET
    assert keychain.find("c.example.com") is None
    assert (keychain.find("d.example.com") or Credential()).password == "pass"
    assert (keychain.find("e.example.com") or Credential()).password == "a:b:c"


def test_order_of_the_files(tmp_path: Path) -> None:
    places = {
        "auth.json": "first",
        "docker/config.json": "second",
        "run/containers/auth.json": "third",
        "home/.config/containers/auth.json": "fourth",
    }
    for place, name in places.items():
        (tmp_path / place).parent.mkdir(parents=True, exist_ok=True)
        (tmp_path / place).write_text(json.dumps({"auths": {"example.com": auth(name)}}))
    environment = {
        "REGISTRY_AUTH_FILE": str(tmp_path / "auth.json"),
        "DOCKER_CONFIG": str(tmp_path / "docker"),
        "XDG_RUNTIME_DIR": str(tmp_path / "run"),
        "HOME": str(tmp_path / "home"),
    }
    for place, name in places.items():
        assert user(Keychain(environment), "example.com") == name
        (tmp_path / place).unlink()
        environment.pop("REGISTRY_AUTH_FILE", None)
    assert user(Keychain(environment), "example.com") is None


def test_home_has_docker_s_file(tmp_path: Path) -> None:
    (tmp_path / ".docker").mkdir()
    (tmp_path / ".docker/config.json").write_text(
        json.dumps({"auths": {"example.com": auth("me")}})
    )
    assert user(Keychain({"HOME": str(tmp_path)}), "example.com") == "me"


def test_named_file_must_be_there(tmp_path: Path) -> None:
    with pytest.raises(ConfigError, match="REGISTRY_AUTH_FILE: no such file"):
        Keychain({"REGISTRY_AUTH_FILE": str(tmp_path / "none")}).find("example.com")


@pytest.mark.parametrize(
    "text",
    [
        "not json",
        "[]",
        '{"auths": [1]}',
        '{"auths": {"example.com": "x"}}',
        '{"auths": {"example.com": {"auth": "%%%"}}}',
        '{"auths": {"example.com": {"auth": "bm9jb2xvbg=="}}}',
        '{"auths": {"example.com": {"username": 1}}}',
        '{"credsStore": "../../bin/sh"}',
        '{"credHelpers": {"example.com": "a b"}}',
        '{"credHelpers": {"example.com": 1}}',
    ],
)
def test_wrong_file_is_named(tmp_path: Path, text: str) -> None:
    (tmp_path / "config.json").write_text(text)
    with pytest.raises(ConfigError, match=r"config\.json"):
        Keychain({"DOCKER_CONFIG": str(tmp_path)}).find("example.com")


def test_helpers_come_before_auths_and_are_asked_once(tmp_path: Path, helper: Path) -> None:
    keychain = docker(
        tmp_path,
        auths={"known.example.com": auth("file"), "other.example.com": auth("file")},
        credHelpers={"known.example.com": "demo"},
        credsStore="demo",
    )
    for _ in range(3):
        assert user(keychain, "known.example.com") == "helped"
        assert user(keychain, "other.example.com") == "file"
        assert user(keychain, "docker.io") == "helped"
    assert helper.read_text().splitlines() == [
        "get known.example.com",
        "get other.example.com",
        "get https://index.docker.io/v1/",
    ]


def test_helper_may_give_an_identity_token(tmp_path: Path, helper: Path) -> None:
    keychain = docker(tmp_path, credsStore="demo")
    found = keychain.find("token.example.com")
    assert found == Credential(identity_token=SECRET)
    assert helper.exists()


@pytest.mark.parametrize("host", ["fails.example.com", "garbage.example.com"])
def test_failing_helper_is_named_and_its_words_are_not(
    tmp_path: Path, helper: Path, host: str
) -> None:
    with pytest.raises(AuthError, match="docker-credential-demo") as caught:
        docker(tmp_path, credsStore="demo").find(host)
    assert SECRET not in caught.value.message
    assert helper.exists()

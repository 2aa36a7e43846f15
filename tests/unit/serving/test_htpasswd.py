from __future__ import annotations

import base64
from http import HTTPStatus
from pathlib import Path

import bcrypt
import pytest

from rke2pack.errors import ConfigError
from rke2pack.serving.htpasswd import Users, guarded
from rke2pack.serving.message import Answer, Request

# bcrypt of "pass word", four rounds.
HASH = "$2b$04$UhHOlg.LLou5anWlxige2ej4TWmHczcu2eLFwcpw3gyfL3ETIAT.K"


@pytest.fixture
def users(tmp_path: Path) -> Users:
    path = tmp_path / "htpasswd"
    path.write_text(f"# people\n\ntester:{HASH}\nother:{HASH.replace('$2b$', '$2y$')}\n")
    return Users.read(path)


def ask(users: Users, header: str | None) -> Answer:
    headers = {} if header is None else {"authorization": header}
    answer = guarded(lambda _: Answer(status=HTTPStatus.OK), users)
    return answer(Request(method="GET", path="/", headers=headers))


def basic(text: str) -> str:
    return f"Basic {base64.b64encode(text.encode()).decode()}"


@pytest.mark.parametrize("name", ["tester", "other"])
def test_known_user_gets_in(users: Users, name: str) -> None:
    for _ in range(2):
        assert ask(users, basic(f"{name}:pass word")).status is HTTPStatus.OK


@pytest.mark.parametrize(
    "header",
    [
        None,
        "",
        "Basic",
        "Basic !!!",
        basic("tester"),
        basic("tester:wrong"),
        basic("tester:pass word\0"),
        basic("nobody:pass word"),
        basic(":pass word"),
        basic("tester:" + "x" * 5000),
        f"Bearer {basic('tester:pass word')[6:]}",
    ],
)
def test_everybody_else_gets_401(users: Users, header: str | None) -> None:
    for _ in range(2):
        reply = ask(users, header)
        assert reply.status is HTTPStatus.UNAUTHORIZED
        assert reply.headers["WWW-Authenticate"].startswith('Basic realm="rke2pack"')
        assert b"UNAUTHORIZED" in bytes(reply.body)  # type: ignore[arg-type] # is bytes here


def test_an_unknown_name_costs_a_hash_as_a_wrong_password_does(
    users: Users, monkeypatch: pytest.MonkeyPatch
) -> None:
    asked: list[bytes] = []

    def check(password: bytes, hashed: bytes) -> bool:
        asked.append(hashed)
        return real(password, hashed)

    real = bcrypt.checkpw
    monkeypatch.setattr(bcrypt, "checkpw", check)
    ask(users, basic("nobody:pass word"))
    ask(users, basic("tester:wrong"))
    assert [hashed[:7] for hashed in asked] == [b"$2b$04$", b"$2b$04$"]


def test_a_right_password_is_hashed_once(users: Users, monkeypatch: pytest.MonkeyPatch) -> None:
    assert users.knows(b"tester", b"pass word")
    monkeypatch.setattr(bcrypt, "checkpw", lambda *_: False)
    assert users.knows(b"tester", b"pass word")
    assert not users.knows(b"other", b"pass word")


def test_long_password_counts_with_its_first_72_bytes(tmp_path: Path) -> None:
    hashed = bcrypt.hashpw(b"x" * 72, bcrypt.gensalt(4)).decode()
    (tmp_path / "file").write_text(f"a:{hashed}\n")
    users = Users.read(tmp_path / "file")
    assert users.knows(b"a", b"x" * 100)
    assert not users.knows(b"a", b"x" * 71)


@pytest.mark.parametrize(
    ("text", "line"),
    [
        ("tester:secret\n", 1),
        (f"a:{HASH}\ntester:$apr1$abc$def\n", 2),
        (f":{HASH}\n", 1),
        ("tester\n", 1),
        (f"a:{HASH.replace('$04$', '$31$')}\n", 1),
    ],
)
def test_line_that_is_no_bcrypt_is_named_and_not_shown(
    tmp_path: Path, text: str, line: int
) -> None:
    path = tmp_path / "htpasswd"
    path.write_text(text)
    with pytest.raises(ConfigError) as caught:
        Users.read(path)
    assert caught.value.message == f"{path}: line {line} is not NAME:HASH with a bcrypt hash"


def test_file_without_users_is_an_error(tmp_path: Path) -> None:
    (tmp_path / "file").write_text("# nobody\n")
    with pytest.raises(ConfigError, match="names no user"):
        Users.read(tmp_path / "file")


def test_secrets_are_in_no_repr(users: Users) -> None:
    users.knows(b"tester", b"pass word")
    assert "$2" not in repr(users)
    assert "secret" not in repr(users)

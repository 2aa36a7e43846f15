"""Who the client says it is: to whom, how often, and never in a message."""

from __future__ import annotations

import json
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import pytest

from rke2pack.errors import AuthError
from rke2pack.oci.registry import token
from rke2pack.oci.registry.certs import Trust
from rke2pack.oci.registry.keychain import Credential, Keychain
from rke2pack.oci.registry.pace import Pace
from rke2pack.oci.registry.token import Authenticator
from rke2pack.oci.registry.wire import Wire
from tests.contract.oci import images
from tests.contract.oci.conftest import MakeAccess
from tests.contract.oci.simulator import Simulator

REPOSITORY = "rancher/demo"
SECRET = "s3cret-pass"


@pytest.fixture
def bearer(registry: Simulator) -> Simulator:
    registry.auth = "bearer"
    registry.credentials = f"user:{SECRET}"
    registry.push(REPOSITORY, images.manifest(), "v1")
    registry.push("rancher/other", images.manifest(), "v1")
    return registry


def variables(registry: Simulator, password: str = SECRET) -> tuple[tuple[str, str], ...]:
    stem = "RKE2PACK_REGISTRY_" + registry.host.replace(".", "_").replace(":", "_")
    return (f"{stem}_USERNAME", "user"), (f"{stem}_PASSWORD", password)


def test_anonymous_token_is_fetched_once_a_repository(
    bearer: Simulator, make_access: MakeAccess
) -> None:
    client = make_access().registry(bearer.host)
    for repository in (REPOSITORY, REPOSITORY, "rancher/other"):
        client.head_manifest(repository, "v1")
    assert bearer.scopes == [f"repository:{REPOSITORY}:pull", "repository:rancher/other:pull"]
    # Only the very first request is refused: later the client knows what is asked for.
    assert [r.status for r in bearer.asked("HEAD")] == [401, 200, 200, 200]


def test_credentials_go_to_the_token_server_only(
    bearer: Simulator, make_access: MakeAccess
) -> None:
    bearer.is_public = False
    client = make_access(*variables(bearer)).registry(bearer.host)
    client.head_manifest(REPOSITORY, "v1")
    given = {r.path: r.headers.get("Authorization", "") for r in bearer.requests}
    assert given["/token"].startswith("Basic ")
    assert given[f"/v2/{REPOSITORY}/manifests/v1"].startswith("Bearer ")


def test_refused_credentials_are_named_without_the_secret(
    bearer: Simulator, make_access: MakeAccess
) -> None:
    client = make_access(*variables(bearer, "wrong-" + SECRET)).registry(bearer.host)
    with pytest.raises(AuthError) as caught:
        client.head_manifest(REPOSITORY, "v1")
    assert caught.value.message.startswith(
        f"{bearer.host}: token for repository:{REPOSITORY}:pull: 401 Unauthorized"
    )
    assert SECRET not in str(vars(caught.value))


def test_private_repository_without_credentials_asks_for_them(
    bearer: Simulator, make_access: MakeAccess
) -> None:
    bearer.is_public = False
    with pytest.raises(AuthError) as caught:
        make_access().registry(bearer.host).head_manifest(REPOSITORY, "v1")
    assert (caught.value.hint or "").startswith("log in with docker, podman or skopeo, or set")


def test_token_that_ends_in_the_middle_is_fetched_anew(
    bearer: Simulator, make_access: MakeAccess
) -> None:
    bearer.token_uses = 2
    client = make_access().registry(bearer.host)
    for _ in range(7):
        client.head_manifest(REPOSITORY, "v1")
    assert len(bearer.asked("GET", "/token")) == 4
    assert [r.status for r in bearer.asked("HEAD")].count(401) == 4


def test_token_is_not_used_beyond_expires_in(bearer: Simulator, make_access: MakeAccess) -> None:
    moment = [0.0]
    client = make_access().registry(bearer.host)
    client._auth._clock = lambda: moment[0]
    bearer.expires_in = 100
    for now, tokens in ((0.0, 1), (80.0, 1), (95.0, 2), (180.0, 2), (300.0, 3)):
        moment[0] = now
        client.head_manifest(REPOSITORY, "v1")
        assert len(bearer.asked("GET", "/token")) == tokens
    assert [r.status for r in bearer.asked("HEAD")].count(401) == 1


def test_token_without_a_time_lives_a_minute(bearer: Simulator, make_access: MakeAccess) -> None:
    moment = [0.0]
    client = make_access().registry(bearer.host)
    client._auth._clock = lambda: moment[0]
    bearer.expires_in = None
    client.head_manifest(REPOSITORY, "v1")
    moment[0] = 61.0
    client.head_manifest(REPOSITORY, "v1")
    assert len(bearer.asked("GET", "/token")) == 2


def test_threads_share_one_token(bearer: Simulator, make_access: MakeAccess) -> None:
    client = make_access().registry(bearer.host)
    client.head_manifest(REPOSITORY, "v1")
    client._auth._tokens.clear()
    with ThreadPoolExecutor(8) as pool:
        list(pool.map(lambda _: client.head_manifest(REPOSITORY, "v1"), range(30)))
    assert len(bearer.asked("GET", "/token")) == 2


def test_identity_token_is_posted(
    bearer: Simulator, make_access: MakeAccess, tmp_path: Path
) -> None:
    bearer.is_public, bearer.identity_token = False, "long-lived"
    entry = {"auth": "PHRva2VuPjo=", "identitytoken": "long-lived"}
    (tmp_path / "config.json").write_text(json.dumps({"auths": {bearer.host: entry}}))
    client = make_access(("DOCKER_CONFIG", str(tmp_path))).registry(bearer.host)
    client.head_manifest(REPOSITORY, "v1")
    assert [r.status for r in bearer.asked("POST", "/token")] == [200]
    assert all("long-lived" not in r.target for r in bearer.requests)


def test_token_server_over_http_is_refused_for_an_https_registry(bearer: Simulator) -> None:
    auth = Authenticator(
        "registry.example.com",
        wire=Wire("registry.example.com", trust=Trust(), pace=Pace()),
        find=lambda _: Credential(username="user", password=SECRET),
        allows_http=False,
    )
    asked = [f'Bearer realm="http://{bearer.host}/token",service="it"']
    with pytest.raises(AuthError, match="not an https address"):
        auth.answer(asked, token.pull(REPOSITORY), None)
    assert bearer.requests == []


def test_basic_is_sent_before_it_is_asked_for_again(
    registry: Simulator, make_access: MakeAccess
) -> None:
    registry.auth = "basic"
    registry.credentials = f"user:{SECRET}"
    registry.push(REPOSITORY, images.manifest(), "v1")
    client = make_access(*variables(registry)).registry(registry.host)
    for _ in range(3):
        client.head_manifest(REPOSITORY, "v1")
    assert [r.status for r in registry.requests] == [401, 200, 200, 200]


def test_basic_without_or_with_wrong_credentials_fails(
    registry: Simulator, make_access: MakeAccess
) -> None:
    registry.auth = "basic"
    with pytest.raises(AuthError, match=f"{registry.host}: needs credentials"):
        make_access().registry(registry.host).head_manifest(REPOSITORY, "v1")
    with pytest.raises(AuthError, match="401 Unauthorized"):
        make_access(*variables(registry)).registry(registry.host).head_manifest(REPOSITORY, "v1")


def test_netrc_is_not_for_registries(
    registry: Simulator, make_access: MakeAccess, isolated_env: Path
) -> None:
    (isolated_env / ".netrc").write_text("machine 127.0.0.1 login user password other\n")
    registry.push(REPOSITORY, images.manifest(), "v1")
    make_access().registry(registry.host).head_manifest(REPOSITORY, "v1")
    assert "Authorization" not in registry.requests[0].headers


def test_another_thread_s_answer_is_used(bearer: Simulator) -> None:
    auth = Authenticator(
        bearer.host,
        wire=Wire(bearer.host, trust=Trust(), pace=Pace()),
        find=lambda _: None,
        allows_http=True,
    )
    asked = [f'Bearer realm="http://{bearer.host}/token",service="it"']
    first = auth.answer(asked, token.pull(REPOSITORY), None)
    assert auth.answer(asked, token.pull(REPOSITORY), "Bearer old") == first
    assert auth.answer(asked, token.pull(REPOSITORY), first) != first
    assert Keychain({}).find(bearer.host) is None

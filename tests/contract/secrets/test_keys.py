"""Keys, tokens and passwords that are no registry's: where they go, and nowhere else."""

from __future__ import annotations

import base64
import json
import shutil
import ssl
import subprocess
from collections.abc import Iterator
from functools import partial
from pathlib import Path
from typing import NoReturn
from urllib.error import HTTPError
from urllib.request import Request, urlopen

import bcrypt
import pytest
from cryptography.hazmat.primitives import serialization
from cryptography.hazmat.primitives.asymmetric import ec

from rke2pack.cli import run
from rke2pack.github.client import GitHub
from rke2pack.oci.registry import wire
from tests.contract.conftest import Authority
from tests.contract.github import sigstore, simulator
from tests.contract.github.simulator import REPOSITORY, Simulator, simulated, status
from tests.contract.oci import images
from tests.contract.oci import simulator as registries
from tests.contract.secrets import witness
from tests.contract.secrets.bench import IMAGE, MADE, Bench, machine
from tests.contract.secrets.witness import CANARY
from tests.contract.serving.serving import serving
from tests.unit.release import benches
from tests.unit.release.benches import made

__all__ = ["made"]
PASSWORD = "RKE2PACK_SIGNING_PASSWORD"


def lines(pem: str) -> list[str]:
    """The lines of a key that are its own."""
    return [line for line in pem.splitlines() if len(line) > 40 and "-----" not in line]


def leaks(roots: list[Path], own: set[Path], said: str, secrets: list[str]) -> list[str]:
    found = ["output"] if witness.told([said], secrets) else []
    found += ["arguments"] if witness.told(witness.started, secrets) else []
    texts = witness.written(roots, own)
    return found + [str(path) for path, text in texts if witness.told([text], secrets)]


# ---- a client certificate's key


@pytest.fixture
def mutual(  # noqa: PLR0917 - fixtures
    authority: Authority,
    tree: Path,
    charts: Path,
    isolated_env: Path,
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
) -> Iterator[Bench]:
    """A registry that wants a certificate, and a client that has one with its key."""
    folder = authority.ca_file.parent
    make = ["openssl", "req", "-x509", "-nodes", "-days", "2", "-newkey", "ec", "-subj", "/CN=me"]
    make += ["-pkeyopt", "ec_paramgen_curve:prime256v1", "-keyout", "me.key", "-out", "me.cert"]
    make += ["-CA", "ca.pem", "-CAkey", "ca.key", "-addext", "basicConstraints=critical,CA:FALSE"]
    subprocess.run(make, cwd=folder, check=True, capture_output=True)
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    context.load_cert_chain(folder / "server.pem", folder / "server.key")
    context.load_verify_locations(authority.ca_file)
    context.verify_mode = ssl.CERT_REQUIRED
    with machine(
        tree=tree, home=isolated_env, charts=charts, monkeypatch=monkeypatch, capsys=capsys,
        registry=partial(registries.serving, context=context),
    ) as bench:  # fmt: skip
        certs = bench.home / ".config/containers/certs.d" / bench.host
        bench.plant(certs / "ca.crt", authority.ca_file.read_text())
        bench.plant(certs / "me.cert", (folder / "me.cert").read_text())
        bench.plant(certs / "me.key", (folder / "me.key").read_text())
        bench.secrets = lines((folder / "me.key").read_text())
        assert bench.secrets
        yield bench


def pull_by_tls(bench: Bench) -> int:
    where = ("--endpoint", f"docker.io=https://{bench.host}", "--tree", bench.tree)
    return bench.run("pull", IMAGE, "--platform", "linux/amd64", *where)


@pytest.mark.parametrize("fate", ["works", "refused", "away", "bug"])
def test_key_of_a_client_certificate_stays_here(mutual: Bench, fate: str) -> None:
    code = {"works": 0, "refused": 4, "away": 4, "bug": 70}[fate]
    if fate == "refused":
        mutual.registry.statuses = [(403, {})] * 20
    elif fate == "away":  # from https to http
        mutual.registry.redirect = f"http://{mutual.other_registry.host}"
    elif fate == "bug":

        def fail(self: wire.Wire, url: str, at: wire.Origin) -> None:
            raise RuntimeError(f"{self.trust} {vars(self)} {url} {at}")

        mutual.monkeypatch.setattr(wire.Wire, "_road", fail)
    assert pull_by_tls(mutual) == code, mutual.said
    assert fate == "bug" or mutual.registry.requests
    assert mutual.leaks() == []


# ---- GitHub's token


@pytest.fixture
def github(monkeypatch: pytest.MonkeyPatch) -> Iterator[Simulator]:
    monkeypatch.setattr(simulator, "TOKEN", CANARY)
    with simulated() as state:
        yield state


def api_bug(self: GitHub, *arguments: object, **options: object) -> NoReturn:
    raise RuntimeError(f"{vars(self)} {self!r} {arguments} {options}")


@pytest.fixture
def desk(
    made: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> benches.Bench:
    """A tree that is ready to be released; what runs on GitHub has a summary as well."""
    root = Path(shutil.copytree(made, tmp_path / "bench"))
    monkeypatch.setenv("SOURCE_DATE_EPOCH", benches.EPOCH)
    monkeypatch.setenv("GITHUB_ACTIONS", "true")
    monkeypatch.setenv("GITHUB_STEP_SUMMARY", str(tmp_path / "summary.md"))
    bench = benches.Bench(root=root, capsys=capsys, monkeypatch=monkeypatch)
    bench.write_report()
    witness.started.clear()
    return bench


@pytest.mark.parametrize("variable", ["GITHUB_TOKEN", "GH_TOKEN"])
@pytest.mark.parametrize(("fate", "code"), [("works", 0), ("refused", 8), ("bug", 70)], ids=str)
def test_token_of_a_release_goes_to_the_api_alone(  # noqa: PLR0917 - fixtures
    variable: str, fate: str, code: int, desk: benches.Bench, github: Simulator, isolated_env: Path
) -> None:
    desk.monkeypatch.setenv(variable, CANARY)
    if fate == "refused":
        for kind in ("repo", "releases", "release", "commit", "upload"):
            for method in ("GET", "POST"):
                github.fail(f"{method} {kind}", status(401, "Bad credentials"), times=20)
        github.may_write = False
    elif fate == "bug":
        desk.monkeypatch.setattr(GitHub, "create_draft", api_bug)
    publish = ("--publish", "--repo", REPOSITORY, "--api", github.url, "--json", "-v")
    answer = desk.release(*publish)
    assert answer.code == code, answer.err
    assert github.requests
    assert github.tokens_elsewhere == []
    roots = [desk.root.parent, isolated_env]
    assert leaks(roots, set(), answer.out + answer.err, [CANARY]) == []


@pytest.fixture
def checkout(tmp_path: Path) -> Path:
    """A checkout with a bump's branch and a remote in a folder."""
    folder, remote = tmp_path / "checkout", tmp_path / "remote.git"
    branch = "bump/demo-1.0/release-1.32"
    for words in (
        ["init", "--quiet", "--bare", str(remote)],
        ["init", "--quiet", "--initial-branch", "release-1.32", str(folder)],
        ["-C", str(folder), "commit", "--quiet", "--allow-empty", "--message", "begin"],
        ["-C", str(folder), "switch", "--quiet", "--create", branch],
        ["-C", str(folder), "commit", "--quiet", "--allow-empty", "--message", "demo: bump"],
        ["-C", str(folder), "remote", "add", "origin", str(remote)],
    ):
        subprocess.run(["git", *words], check=True)
    return folder


@pytest.mark.parametrize("fate", ["works", "refused", "bug"])
def test_token_of_a_proposal_is_not_git_s(  # noqa: PLR0917 - fixtures
    fate: str,
    checkout: Path,
    github: Simulator,
    isolated_env: Path,
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
) -> None:
    monkeypatch.setenv("GITHUB_TOKEN", CANARY)
    # git writes down what it starts, with all arguments.
    monkeypatch.setenv("GIT_TRACE", str(checkout.parent / "trace"))
    github.may_write = fate != "refused"
    if fate == "bug":
        monkeypatch.setattr(GitHub, "pull_request", api_bug)
    witness.started.clear()
    where = ["--repo", REPOSITORY, "--api", github.url, "--tree", str(checkout)]
    code = run(["propose", "bump/demo-1.0", *where, "--json", "-v"])
    captured = capsys.readouterr()
    assert code == {"works": 0, "refused": 8, "bug": 70}[fate], captured.err
    assert "push" in (checkout.parent / "trace").read_text()
    said = captured.out + captured.err
    assert leaks([checkout.parent, isolated_env], set(), said, [CANARY]) == []


def test_remote_with_a_password_is_refused(
    checkout: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    witness.started.clear()
    remote = f"https://user:{CANARY}@git.example.com/it.git"
    assert run(["propose", "bump/demo-1.0", "--tree", str(checkout), "--remote", remote]) == 2
    captured = capsys.readouterr()
    assert "--remote: https://git.example.com/it.git carries a password" in captured.err
    assert leaks([checkout.parent], set(), captured.out + captured.err, [CANARY]) == []


# ---- what signs


def signing_key() -> str:
    """A key behind the canary as its password."""
    return (
        ec.generate_private_key(ec.SECP256R1())
        .private_bytes(
            serialization.Encoding.PEM,
            serialization.PrivateFormat.PKCS8,
            serialization.BestAvailableEncryption(CANARY.encode()),
        )
        .decode()
    )


@pytest.mark.parametrize("place", ["file", "variable"])
@pytest.mark.parametrize("password", [CANARY, f"not-{CANARY}"], ids=["right", "wrong"])
def test_signing_key_and_its_password_are_written_nowhere(
    place: str, password: str, desk: benches.Bench, isolated_env: Path
) -> None:
    pem, own, option = signing_key(), isolated_env / "signing.pem", list[str | Path]()
    if place == "file":
        own.write_text(pem)
        option = ["--sign-key", own]
    else:
        desk.monkeypatch.setenv("RKE2PACK_SIGNING_KEY", pem)
    desk.monkeypatch.setenv(PASSWORD, password)
    answer = desk.release(*option, "--json", "-v")
    assert answer.code == (0 if password == CANARY else 2), answer.err
    assert (desk.output / "provenance.dsse.json").exists() == (password == CANARY)
    secrets = [CANARY, *lines(pem)]
    roots = [desk.root.parent, isolated_env]
    assert leaks(roots, {own}, answer.out + answer.err, secrets) == []


@pytest.mark.parametrize("fate", ["works", "refused"])
def test_identity_of_a_job_goes_to_sigstore_alone(
    fate: str, desk: benches.Bench, isolated_env: Path
) -> None:
    tokens: list[str] = []
    real = sigstore.Sigstore.token

    def token(self: sigstore.Sigstore) -> str:
        tokens.append(real(self))
        return tokens[-1]

    def refuse(*_: object) -> NoReturn:
        raise ConnectionError

    desk.monkeypatch.setattr(sigstore.Sigstore, "token", token)
    if fate == "refused":
        desk.monkeypatch.setattr(sigstore.Sigstore, "certificate", refuse)
    with sigstore.running() as state:
        config = isolated_env / "trust-config.json"
        config.write_text(json.dumps(state.trust_config()))
        desk.monkeypatch.setenv("ACTIONS_ID_TOKEN_REQUEST_TOKEN", CANARY)
        desk.monkeypatch.setenv("ACTIONS_ID_TOKEN_REQUEST_URL", f"{state.url}/token?x=1")
        answer = desk.release("--keyless", "--trust-config", config, "--json", "-v")
    assert answer.code == (0 if fate == "works" else 8), answer.err
    assert tokens
    secrets = [CANARY, *(each.split(".")[1] for each in tokens)]
    roots = [desk.root.parent, isolated_env]
    assert leaks(roots, set(), answer.out + answer.err, secrets) == []


# ---- those who ask us


def test_passwords_of_those_whom_we_serve_are_logged_nowhere(tmp_path: Path) -> None:
    images.write(tmp_path / "store", {IMAGE: MADE})
    hashed = bcrypt.hashpw(CANARY.encode(), bcrypt.gensalt(4)).decode()
    users = tmp_path / "htpasswd"
    users.write_text(f"user:{hashed}\n")
    statuses = []
    with serving("--store", tmp_path / "store", "--htpasswd", users, "-v") as serve:
        for given in (f"user:{CANARY}", f"other:{CANARY}"):
            told = base64.b64encode(given.encode()).decode()
            address = f"http://{serve.host}/v2/rancher/demo/manifests/v1?token={CANARY}"
            asked = Request(address, headers={"Authorization": f"Basic {told}"})
            try:
                with urlopen(asked) as reply:  # noqa: S310 - our own address
                    statuses.append(reply.status)
            except HTTPError as exc:
                statuses.append(exc.code)
    assert statuses == [200, 401]
    said = serve.out.getvalue() + serve.err.getvalue()
    assert leaks([tmp_path], {users}, said, [CANARY, hashed]) == []


# ---- where none belongs


@pytest.mark.parametrize(
    "call",
    [
        ("pull", IMAGE, "--endpoint", f"docker.io=https://user:{CANARY}@mirror.example.com"),
        ("pull", IMAGE, "--endpoint", f"docker.io=https://:{CANARY}@mirror.example.com"),
        ("mirror", f"https://user:{CANARY}@registry.example.com/team", IMAGE),
        ("cache", "push", f"https://user:{CANARY}@registry.example.com/team:v1"),
        ("pull", f"https://user:{CANARY}@registry.example.com/team:v1"),
        ("charts", "--charts-repo", f"ftp://user:{CANARY}@charts.example.com"),
        ("charts", "--charts-repo", f"https://user:{CANARY}@charts.example.com:x"),
        ("propose", "x", "--repo", REPOSITORY, "--api", f"ftp://user:{CANARY}@api.example.com"),
    ],
    ids=lambda call: " ".join(call).replace(CANARY, "SECRET"),
)
def test_wrong_call_is_refused_without_the_secret(
    call: tuple[str, ...], tree: Path, isolated_env: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    where = ("--tree", str(tree), "--json")
    code = run([*call, *(() if call[:2] == ("cache", "push") else where)])
    captured = capsys.readouterr()
    assert code not in {0, 70}
    assert leaks([tree.parent, isolated_env], set(), captured.out + captured.err, [CANARY]) == []

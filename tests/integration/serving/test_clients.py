"""docker, skopeo, containerd and our own pull read what ``serve`` serves."""

from __future__ import annotations

import base64
import json
import shutil
from collections.abc import Callable, Iterable
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import pytest

from rke2pack.digest import Digest
from rke2pack.oci.store.layout import Layout
from tests.compatibility import reads
from tests.contract.oci.images import Made
from tests.contract.oci.runner import Answer, run
from tests.integration.archives.conftest import Consumer
from tests.integration.oci.conftest import PASSWORD, USER
from tests.integration.serving.conftest import OWN, Served, serving

Skopeo = Callable[..., bytes]
PARALLEL = 50


def paths(made: Iterable[str]) -> dict[str, str]:
    """Full name -> the path that it has on our server; without the second host's."""
    return {name: name.removeprefix("docker.io/") for name in made if name != OWN}


def skopeo_options(served: Served, cert_dir: Path, side: str = "") -> list[str | Path]:
    if served.authority is None:
        return [f"--{side}tls-verify=false"]
    cert_dir.mkdir(exist_ok=True)
    shutil.copyfile(served.authority, cert_dir / "ca.crt")
    return [f"--{side}cert-dir", cert_dir, f"--{side}creds", f"{USER}:{PASSWORD}"]


@reads("skopeo docker://", "serve")
def test_skopeo_reads_every_image_by_its_digest(
    served: Served, skopeo: Skopeo, made: dict[str, Made], tmp_path: Path
) -> None:
    options = skopeo_options(served, tmp_path / "certs")
    for name, path in paths(made).items():
        raw = skopeo("inspect", "--raw", *options, f"docker://{served.host}/{path}")
        assert Digest.of(raw) == made[name].digest
        tags = json.loads(
            skopeo("list-tags", *options, f"docker://{served.host}/{path.partition(':')[0]}")
        )
        assert tags["Tags"] == [path.partition(":")[2]]


def test_skopeo_copies_whole_images(
    served: Served, skopeo: Skopeo, made: dict[str, Made], tmp_path: Path
) -> None:
    options = skopeo_options(served, tmp_path / "certs", "src-")
    for name, path in paths(made).items():
        target = tmp_path / name.rpartition("/")[2].replace(":", "-")
        source = f"docker://{served.host}/{path}"
        skopeo("copy", "--all", "--preserve-digests", *options, source, f"dir:{target}")
        assert Digest.of((target / "manifest.json").read_bytes()) == made[name].digest
        for digest, data in made[name].all_blobs.items():
            assert (target / digest.hex).read_bytes() == data


@reads("docker pull", "serve")
def test_docker_pulls(
    served: Served, docker: Consumer, made: dict[str, Made], tmp_path: Path
) -> None:
    told = base64.b64encode(f"{USER}:{PASSWORD}".encode()).decode()
    auths = {served.host: {"auth": told}} if served.authority else {}
    (tmp_path / "config.json").write_text(json.dumps({"auths": auths}))
    client = Consumer(command=(docker.command[0], "--config", str(tmp_path), *docker.command[1:]))
    for name, path in paths(made).items():
        said = client.run("pull", f"{served.host}/{path}")
        assert f"Digest: {made[name].digest}\n" in said
        config = json.loads(client.run("image", "inspect", f"{served.host}/{path}"))[0]
        assert config["Architecture"] == "amd64"
        client.run("image", "rm", f"{served.host}/{path}")


def test_docker_without_a_password_is_refused(private: Served, docker: Consumer) -> None:
    tried = docker.tried("pull", f"{private.host}/rancher/alpha:v1")
    assert tried.returncode != 0
    # docker takes loopback for a host that may be plain, and tells of its last attempt.
    assert "this server speaks TLS, use https" in tried.stderr


@reads("ctr images pull", "serve")
def test_containerd_pulls(
    served: Served, containerd: Consumer, made: dict[str, Made], tmp_path: Path
) -> None:
    options: list[str | Path] = ["--plain-http"]
    if served.authority is not None:
        # For loopback ctr takes plain HTTP, unless it is told.
        server = f'[host."https://{served.host}"]\n  ca = "{served.authority}"\n'
        (tmp_path / served.host).mkdir()
        (tmp_path / served.host / "hosts.toml").write_text(server)
        options = ["--hosts-dir", tmp_path, "--user", f"{USER}:{PASSWORD}"]
    for name, path in paths(made).items():
        place = f"{served.host}/{path}"
        containerd.run("images", "pull", "--snapshotter", "native", *options, place)
        assert str(made[name].digest) in containerd.run("images", "ls", f"name=={place}")
        assert "complete" in containerd.run("images", "check", f"name=={place}")


def test_containerd_takes_it_as_a_mirror_of_several_hosts(
    plain: Served, containerd: Consumer, made: dict[str, Made], tmp_path: Path
) -> None:
    for host in ("docker.io", "registry.example.com"):
        folder = tmp_path / host
        folder.mkdir()
        (folder / "hosts.toml").write_text(
            f'server = "https://{host}"\n'
            f'[host."http://{plain.host}"]\n  capabilities = ["pull", "resolve"]\n'
        )
    for name, image in made.items():
        containerd.run("images", "pull", "--snapshotter", "native", "--hosts-dir", tmp_path, name)
        assert str(image.digest) in containerd.run("images", "ls", f"name=={name}")


def pull(served: Served, cache: Path, names: Iterable[str], *more: str | Path) -> Answer:
    scheme = "https" if served.authority else "http"
    arguments = ["pull", *names, "--tree", cache, "--cache-dir", cache, "--json", *more]
    arguments += ["--endpoint", f"docker.io={scheme}://{served.host}"]
    key = f"RKE2PACK_REGISTRY_{served.host.replace('.', '_').replace(':', '_')}"
    credentials = {f"{key}_USERNAME": USER, f"{key}_PASSWORD": PASSWORD}
    if served.authority is not None:
        arguments += ["--ca-file", served.authority]
    return run(arguments, credentials if served.authority else {})


@reads("rke2pack pull", "serve")
def test_our_own_pull_brings_the_same_store(
    served: Served, store: Layout, made: dict[str, Made], tmp_path: Path
) -> None:
    names = list(paths(made))
    answer = pull(served, tmp_path / "one", names, "--all-platforms")
    assert answer.code == 0, answer.err
    pulled = Layout(tmp_path / "one/store")
    for name in names:
        assert pulled.find(name) == store.find(name)
        for each in made[name].documents:
            assert pulled.read(each.digest) == each.raw
        for digest, data in made[name].all_blobs.items():
            assert pulled.path(digest).read_bytes() == data


def test_a_served_pull_can_be_served_again(
    plain: Served, made: dict[str, Made], tmp_path: Path
) -> None:
    names = list(paths(made))
    assert pull(plain, tmp_path / "one", names).code == 0
    with serving("--store", tmp_path / "one/store") as host:
        answer = pull(Served(host=host), tmp_path / "two", names, "--platform", "linux/amd64")
    assert answer.code == 0, answer.err
    digests = {each["reference"]: each["digest"] for each in answer.json["images"]}
    assert digests == {name: str(made[name].digest) for name in names}


@pytest.mark.slow
def test_fifty_clients_at_once_get_the_same(
    served: Served, skopeo: Skopeo, made: dict[str, Made], tmp_path: Path
) -> None:
    options = skopeo_options(served, tmp_path / "certs", "src-")
    name = "docker.io/rancher/alpha:v1"

    def copy(number: int) -> Path:
        target = tmp_path / str(number)
        source = f"docker://{served.host}/rancher/alpha:v1"
        skopeo("copy", "--quiet", *options, source, f"dir:{target}")
        return target

    with ThreadPoolExecutor(PARALLEL) as pool:
        targets = list(pool.map(copy, range(PARALLEL)))
    child = made[name].children[0]
    for target in targets:
        assert Digest.of((target / "manifest.json").read_bytes()) == child.digest
        for digest in child.blobs:
            assert Digest.of((target / digest.hex).read_bytes()) == digest

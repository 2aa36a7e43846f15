from __future__ import annotations

import base64
import http.client
import json
import os
import signal
import ssl
import subprocess
import sys
from collections.abc import Mapping
from pathlib import Path
from urllib.request import urlopen

import pytest

from rke2pack import cli
from rke2pack.helm.archive import Member, pack
from rke2pack.oci import model
from rke2pack.oci.pack.packer import Found, Packer
from rke2pack.oci.platform import Platform
from rke2pack.oci.reference import Reference
from rke2pack.oci.store.layout import Layout
from tests.contract.oci import images
from tests.contract.oci.images import Made
from tests.contract.serving.serving import Serve, serving
from tests.unit.oci.archives import OWN, image_files, tar, write

# bcrypt of "pass word", four rounds.
HASH = "$2b$04$UhHOlg.LLou5anWlxige2ej4TWmHczcu2eLFwcpw3gyfL3ETIAT.K"
ALPHA, BETA = images.multi(1), images.multi(2)
NAME = "docker.io/rancher/alpha:v1"


@pytest.fixture
def store(tmp_path: Path) -> Path:
    root = tmp_path / "cache/store"
    images.write(root, {NAME: ALPHA, "docker.io/rancher/beta:v1": BETA, "No Name": BETA})
    return root


def get(serve: Serve, path: str, headers: Mapping[str, str] | None = None) -> tuple[int, bytes]:
    connection = http.client.HTTPConnection(serve.host, timeout=10)
    connection.request("GET", path, headers=dict(headers or {}))
    reply = connection.getresponse()
    found = reply.status, reply.read()
    connection.close()
    return found


def test_the_image_store_is_served(store: Path, tmp_path: Path) -> None:
    with serving("--cache-dir", tmp_path / "cache", "-v") as serve:
        assert serve.document == {
            "address": f"http://{serve.host}",
            "registry": serve.host,
            "charts": None,
            "store": str(store),
            "images": 2,
            "repositories": 2,
        }
        assert get(serve, "/v2/rancher/alpha/manifests/v1") == (200, ALPHA.raw)
        assert get(serve, "/charts/index.yaml")[0] == 404
        assert get(serve, "/")[0] == 200
        assert get(serve, "/other")[0] == 404
    assert serve.code == 0
    said = serve.err.getvalue()
    assert f"serve: 2 images of {store} at http://{serve.host}\n" in said
    assert "left out  No Name: a registry has no place for this name\n" in said
    assert "127.0.0.1 GET /v2/rancher/alpha/manifests/v1 200 " in said
    assert "serve: SIGTERM, finishing what is under way" in said


def test_ctrl_c_ends_it_as_well(store: Path) -> None:
    with serving("--store", store, end=signal.SIGINT) as serve:
        assert get(serve, "/v2/")[0] == 200
    assert serve.code == 0


def test_signal_that_another_thread_was_given_ends_it_as_well(
    store: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    def given(_: object) -> None:
        raise KeyboardInterrupt

    monkeypatch.setattr(signal, "sigwait", given)
    assert cli.run(["serve", "--store", str(store), "--listen", "127.0.0.1:0"]) == 0
    assert "serve: SIGINT, finishing what is under way" in capsys.readouterr().err


def test_store_must_be_there(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    code = cli.run(["serve", "--listen", "127.0.0.1:0", "--store", str(tmp_path / "none")])
    assert (code, capsys.readouterr().err) == (
        4,
        f"error: {tmp_path}/none: no image store\nhint: fill it with 'rke2pack pull'\n",
    )


def test_gc_leaves_a_store_that_is_served(store: Path, capsys: pytest.CaptureFixture[str]) -> None:
    layout = Layout(store)
    layout.put(b"needed by nobody")
    gc = ["cache", "gc", "--older-than", "0", "--store", str(store)]
    with serving("--store", store) as serve:
        assert cli.run(gc) == 6
        assert get(serve, "/v2/rancher/alpha/manifests/v1")[0] == 200
    assert "another rke2pack is using this image store" in serve.err.getvalue()
    capsys.readouterr()
    assert cli.run(gc) == 0


# ---- charts


def write_chart(folder: Path) -> bytes:
    folder.mkdir(parents=True, exist_ok=True)
    text = b"apiVersion: v2\nname: rke2-one\nversion: 1.0.0\n"
    data = pack([Member("rke2-one/Chart.yaml", text)])
    (folder / f"{'0' * 64}.tgz").write_bytes(data)
    (folder / "broken.tgz").write_bytes(b"x")
    return data


@pytest.mark.parametrize("is_named", [True, False])
def test_charts_are_served_beside_images(store: Path, tmp_path: Path, *, is_named: bool) -> None:
    data = write_chart(tmp_path / "cache/charts")
    charts: list[str | Path] = ["--charts", tmp_path / "cache/charts"] if is_named else []
    with serving("--cache-dir", tmp_path / "cache", *charts) as serve:
        assert serve.document["charts"] == f"http://{serve.host}/charts"
        index = json.loads(get(serve, "/charts/index.yaml")[1])
        (entry,) = index["entries"]["rke2-one"]
        assert get(serve, f"/charts/{entry['urls'][0]}") == (200, data)
        connection = http.client.HTTPConnection(serve.host, timeout=10)
        connection.request("PUT", "/charts/index.yaml", body=b"x")
        assert connection.getresponse().status == 405
        connection.close()
    assert "broken.tgz" in serve.err.getvalue()
    assert store.is_dir()


def test_folder_of_charts_must_be_there(
    store: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    code = cli.run(["serve", "--store", str(store), "--charts", str(tmp_path / "none")])
    assert code == 2
    assert f"error: {tmp_path}/none: no such folder\n" in capsys.readouterr().err


# ---- archives


def pack_archive(path: Path, layout: Layout, name: str, made: Made, platform: str) -> Path:
    from rke2pack.files import Cache  # noqa: PLC0415 - only here
    from rke2pack.oci.pack import recipes  # noqa: PLC0415 - only here
    from rke2pack.oci.store.names import Store  # noqa: PLC0415 - only here

    reference, store = Reference.parse(name), Store(layout=layout)
    manifest, own = store.manifest(reference, Platform.parse(platform))
    recipe = recipes.recipe("fast", "gz")
    packer = Packer(store=store, cache=Cache(path.parent / "frames"), recipe=recipe)
    packer.pack(path, [Found(reference=reference, manifest=manifest, platform=own)])
    assert made.children
    return path


@pytest.fixture
def archives(store: Path, tmp_path: Path) -> list[Path]:
    layout = Layout(store)
    return [
        pack_archive(tmp_path / f"{p.replace('/', '-')}.tar.gz", layout, NAME, ALPHA, p)
        for p in ("linux/amd64", "linux/arm64")
    ]


def test_archives_are_served_from_a_temporary_store(archives: list[Path], tmp_path: Path) -> None:
    cache = tmp_path / "other"
    left = cache / "serve-left"
    Layout.open(left)
    os.utime(left, (1000, 1000))
    with serving(archives[0], "--cache-dir", cache) as serve:
        manifest = ALPHA.children[0]
        assert get(serve, "/v2/rancher/alpha/manifests/v1") == (200, manifest.raw)
        assert get(serve, "/v2/rancher/beta/manifests/v1")[0] == 404
        assert not left.exists()
        assert len(list(cache.glob("serve-*"))) == 1
    assert serve.code == 0
    assert list(cache.glob("serve-*")) == []


def test_archives_of_two_platforms_are_one_image(archives: list[Path], tmp_path: Path) -> None:
    with serving(*archives, "--cache-dir", tmp_path / "other") as serve:
        index = json.loads(get(serve, "/v2/rancher/alpha/manifests/v1")[1])
        digests = [each["digest"] for each in index["manifests"]]
        assert digests == [str(child.digest) for child in ALPHA.children[:2]]
        for child in ALPHA.children[:2]:
            assert get(serve, f"/v2/rancher/alpha/manifests/{child.digest}") == (200, child.raw)
            for digest, data in child.blobs.items():
                assert get(serve, f"/v2/rancher/alpha/blobs/{digest}") == (200, data)


def test_named_store_keeps_what_archives_had(archives: list[Path], tmp_path: Path) -> None:
    with serving(archives[1], "--store", tmp_path / "kept", "--cache-dir", tmp_path / "o") as serve:
        assert get(serve, "/v2/rancher/alpha/manifests/v1")[0] == 200
    found = Layout(tmp_path / "kept").find(NAME)
    assert found is not None
    assert found.digest == ALPHA.children[1].digest


def test_archive_in_parts_is_served_by_the_name_of_the_whole(
    archives: list[Path], tmp_path: Path
) -> None:
    data = archives[0].read_bytes()
    for number, part in enumerate((data[:900], data[900:]), start=1):
        archives[0].with_name(f"{archives[0].name}.part0{number}").write_bytes(part)
    archives[0].unlink()
    with serving(archives[0], "--cache-dir", tmp_path / "other") as serve:
        assert get(serve, "/v2/rancher/alpha/manifests/v1") == (200, ALPHA.children[0].raw)


def test_folder_of_archives_is_served(archives: list[Path], tmp_path: Path) -> None:
    folder = tmp_path / "artifacts"
    folder.mkdir()
    (folder / "sha256sum-amd64.txt").write_text("")
    for path in archives:
        path.rename(folder / path.name)
    with serving(folder, folder / archives[0].name, "--cache-dir", tmp_path / "other") as serve:
        index = json.loads(get(serve, "/v2/rancher/alpha/manifests/v1")[1])
        assert len(index["manifests"]) == 2
    assert serve.err.getvalue().count("serve: reading") == 2


def test_folder_that_is_a_layout_stays_one(store: Path, tmp_path: Path) -> None:
    with serving(store, "--cache-dir", tmp_path / "other") as serve:
        assert get(serve, "/v2/rancher/alpha/manifests/v1") == (200, ALPHA.raw)


def test_images_without_a_name_are_left_out_and_told(
    archives: list[Path], tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    path = write(tmp_path / "unnamed.tar", tar(image_files(OWN, name="").items()))
    with serving(path, archives[0], "--cache-dir", tmp_path / "other") as serve:
        assert serve.document["images"] == 1
    assert f" of {path}: it has no name\n" in serve.err.getvalue()
    assert "left out  sha256:" in serve.err.getvalue()
    capsys.readouterr()
    assert cli.run(["serve", str(path), "--cache-dir", str(tmp_path / "other")]) == 2
    assert f"error: {path}: holds no image with a name\n" in capsys.readouterr().err


@pytest.mark.parametrize("name", ["none.tar.zst", "empty"])
def test_archive_that_is_not_there_is_an_error(
    tmp_path: Path, capsys: pytest.CaptureFixture[str], name: str
) -> None:
    (tmp_path / "empty").mkdir()
    assert cli.run(["serve", str(tmp_path / name), "--cache-dir", str(tmp_path / "other")]) == 2
    assert f"error: {tmp_path / name}: " in capsys.readouterr().err


def test_damaged_archive_is_an_error_and_nothing_stays(
    archives: list[Path], tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    data = bytearray(archives[0].read_bytes())
    data[len(data) // 2] ^= 1
    archives[0].write_bytes(data)
    cache = tmp_path / "other"
    code = cli.run(["serve", str(archives[0]), "--cache-dir", str(cache)])
    assert code == 5
    assert "error: " in capsys.readouterr().err
    assert list(cache.glob("serve-*")) == []


# ---- who may come in


def test_users_need_their_password(store: Path, tmp_path: Path) -> None:
    (tmp_path / "htpasswd").write_text(f"tester:{HASH}\n")
    write_chart(tmp_path / "charts")
    told = base64.b64encode(b"tester:pass word").decode()
    with serving(
        "--store", store, "--charts", tmp_path / "charts", "--htpasswd", tmp_path / "htpasswd", "-v"
    ) as serve:
        for path in ("/v2/", "/v2/rancher/alpha/manifests/v1", "/charts/index.yaml", "/"):
            assert get(serve, path)[0] == 401
            assert get(serve, path, {"Authorization": f"Basic {told}"})[0] == 200
    assert "pass word" not in serve.err.getvalue()
    assert told not in serve.err.getvalue()


def test_tls_is_spoken(store: Path, certificate: tuple[Path, ssl.SSLContext]) -> None:
    path, context = certificate
    with serving("--store", store, "--tls-cert", path, "--tls-key", path) as serve:
        address = serve.document["address"]
        assert address == f"https://{serve.host}"
        with urlopen(f"{address}/v2/rancher/alpha/manifests/v1", context=context) as reply:  # noqa: S310 - our own address
            assert reply.read() == ALPHA.raw


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (["--listen", "0.0.0.0:0"], "--listen 0.0.0.0:0: other machines reach it, and there is no"),
        (["--listen", "5000"], "not an address to listen on: '5000'"),
        (["--tls-cert", "x.pem"], "--tls-cert and --tls-key go together"),
        (["--tls-cert", "x.pem", "--tls-key", "y.pem"], "x.pem: no such file"),
        (["--htpasswd", "x"], "x: no such file"),
    ],
)
def test_wrong_call_is_an_error(
    arguments: list[str], message: str, store: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    assert cli.run(["serve", "--store", str(store), *arguments]) == 2
    assert capsys.readouterr().err.startswith(f"error: {message}")


def test_key_with_a_password_is_refused_without_asking(
    store: Path, certificate: tuple[Path, ssl.SSLContext], capsys: pytest.CaptureFixture[str]
) -> None:
    path, _ = certificate
    locked = path.parent / "locked.pem"
    command: list[str | Path] = [
        "openssl",
        "pkey",
        "-in",
        path,
        "-aes128",
        "-passout",
        "pass:secret",
        "-out",
        locked,
    ]
    subprocess.run(command, check=True, capture_output=True)
    call = ["serve", "--store", str(store), "--tls-cert", str(path), "--tls-key", str(locked)]
    assert cli.run(call) == 2
    assert f"error: {locked}: the key has a password\n" in capsys.readouterr().err


def test_another_address_is_allowed_on_request(store: Path) -> None:
    with serving("--store", store, "--listen", "0.0.0.0:0", "--insecure") as serve:
        port = serve.host.rpartition(":")[2]
        assert serve.document["address"] == f"http://0.0.0.0:{port}"
        with urlopen(f"http://127.0.0.1:{port}/v2/", timeout=10) as reply:
            assert reply.status == 200


def test_a_process_ends_by_signals_and_writes_its_address_first(store: Path) -> None:
    command = [sys.executable, "-m", "rke2pack", "serve", "--json", "--listen", "127.0.0.1:0"]
    for number in (signal.SIGINT, signal.SIGTERM):
        with subprocess.Popen(
            [*command, "--store", str(store)], stdout=subprocess.PIPE, stderr=subprocess.PIPE
        ) as process:
            assert process.stdout is not None
            lines = [process.stdout.readline() for _ in range(8)]
            address = json.loads(b"".join(lines))["address"]
            with urlopen(f"{address}/v2/_catalog", timeout=10) as reply:  # noqa: S310 - our own address
                assert b"rancher/alpha" in reply.read()
            process.send_signal(number)
            rest, said = process.communicate(timeout=60)
        assert (process.returncode, rest) == (0, b"")
        assert number.name.encode() in said


def test_second_ctrl_c_ends_a_process_at_once(tmp_path: Path) -> None:
    made = images.manifest(images.AMD64, [bytes(64 * 1024 * 1024)])
    layout = images.write(tmp_path / "store", {NAME: made})
    blob = layout.put(os.urandom(64 * 1024 * 1024))
    raw = json.loads(made.raw)
    raw["layers"][0] |= {"digest": str(blob), "size": 64 * 1024 * 1024}
    document = model.parse(json.dumps(raw).encode(), media_type=made.media_type, what="it")
    layout.put(document.raw)
    layout.tag({NAME: document.descriptor})
    command = [sys.executable, "-m", "rke2pack", "serve", "--json", "--listen", "127.0.0.1:0"]
    with subprocess.Popen(
        [*command, "--store", str(tmp_path / "store")],
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
    ) as process:
        assert process.stdout is not None
        assert process.stderr is not None
        address = json.loads(b"".join(process.stdout.readline() for _ in range(8)))["address"]
        with urlopen(f"{address}/v2/rancher/alpha/blobs/{blob}", timeout=10) as reply:  # noqa: S310 - our own address
            reply.read(1000)
            process.send_signal(signal.SIGINT)
            while b"finishing what is under way" not in process.stderr.readline():
                assert process.poll() is None
            process.send_signal(signal.SIGINT)
            assert process.wait(60) == 130

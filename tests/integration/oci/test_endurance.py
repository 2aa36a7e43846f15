"""A pull that is killed at any moment is finished by the next; memory does not follow size."""

from __future__ import annotations

import os
import random
import signal
import time
from collections.abc import Iterator
from pathlib import Path

import pytest

from rke2pack.digest import Digest
from rke2pack.oci import media, model
from rke2pack.oci.model import Descriptor
from rke2pack.oci.registry.access import Access
from rke2pack.oci.registry.keychain import Keychain
from rke2pack.oci.registry.upload import Uploader
from rke2pack.oci.store.layout import Layout
from tests.contract.loopback import wait_for
from tests.contract.oci import images
from tests.contract.oci.images import Made
from tests.contract.oci.runner import listing
from tests.contract.oci.simulator import serving
from tests.integration.oci.conftest import Missing, RealRegistry, running, start
from tests.integration.oci.test_registries import send

KILLS = 20
LARGE = 300 * 1024 * 1024
CEILING = 120 * 1024 * 1024
# The kernel's own count of this program's memory; rusage would count its parent's too.
MEASURED = """
import os, re, sys
from pathlib import Path
from tests.contract.oci.runner import _run

code = _run(sys.argv[1:], os.environ)
print(re.search(r"VmHWM:\\s+(\\d+) kB", Path("/proc/self/status").read_text())[1])
sys.exit(code)
"""


@pytest.fixture(scope="module")
def registry(tmp_path_factory: pytest.TempPathFactory, missing: Missing) -> Iterator[RealRegistry]:
    root = tmp_path_factory.mktemp("registry")
    with running(root, missing) as host:
        yield RealRegistry(host=host, root=root)


def arguments(registry: RealRegistry, names: list[str], cache: Path) -> list[str | Path]:
    references = [f"docker.io/rancher/{name}:v1" for name in names]
    endpoint = f"docker.io=http://{registry.host}"
    return ["pull", *references, "--endpoint", endpoint, "--tree", cache, "--cache-dir", cache]


def finish(call: list[str | Path]) -> None:
    process = start(call, {})
    _, err = process.communicate(timeout=120)
    assert process.returncode == 0, err.decode()


@pytest.mark.slow
def test_kill_at_any_moment_and_the_next_run_ends_byte_identical(
    registry: RealRegistry, tmp_path: Path
) -> None:
    made: dict[str, Made] = {f"image{n}": images.multi(n, 6_000_000) for n in range(1, 5)}
    source = images.write(tmp_path / "source", made)
    uploader = Uploader(Access(keychain=Keychain({})).registry(registry.host))
    for name, image in made.items():
        send(uploader, source, image, f"rancher/{name}")
    finish(arguments(registry, list(made), tmp_path / "clean"))
    expected = listing(tmp_path / "clean/store")
    chance = random.Random(3)  # noqa: S311 - the same moments each time
    killed = partial = 0
    span = 0.12
    call = arguments(registry, list(made), tmp_path / "killed")
    store = tmp_path / "killed/store"
    for number in range(KILLS):
        if number % 4 == 3:
            finish(call)
            assert listing(store) == expected
            for path in (store / "blobs/sha256").iterdir():
                path.unlink()
            (store / "index.json").unlink()
        process = start(call, {})
        # The start of Python is none of the moments.
        while process.poll() is None and not _has_begun(store):
            time.sleep(0.002)
        time.sleep(chance.uniform(0.0, span))
        os.kill(process.pid, signal.SIGKILL)
        process.communicate()
        was_killed = process.returncode == -signal.SIGKILL
        killed += was_killed
        span *= 1.02 if was_killed else 0.85  # as quick as this machine is just now
        partial += any((store / "partial").iterdir()) if (store / "partial").is_dir() else 0
        for path in (store / "blobs/sha256").iterdir():
            assert Digest.of(path.read_bytes()).hex == path.name
    assert killed > KILLS // 2
    assert partial > 3
    finish(call)
    assert listing(store) == expected
    assert list((store / "partial").iterdir()) == []


def _has_begun(store: Path) -> bool:
    folder = store / "partial"
    return folder.is_dir() and any(folder.iterdir())


@pytest.mark.slow
def test_interrupt_ends_soon_and_keeps_what_came(registry: RealRegistry, tmp_path: Path) -> None:
    with serving() as slow:
        made = images.manifest(layers=[images.noise(3_000_000, 77)])
        slow.push("rancher/slow", made, "v1")
        layer = list(made.blobs)[1]
        slow.silence[layer] = 60.0
        call = arguments(registry, ["slow"], tmp_path)
        call[call.index("--endpoint") + 1] = f"docker.io=http://{slow.host}"
        process = start(call, {})
        wait_for(lambda: slow.asked("GET", str(layer)))
        began = time.monotonic()
        process.send_signal(signal.SIGINT)
        process.communicate(timeout=30)
        assert process.returncode != 0
        assert time.monotonic() - began < 10
        slow.silence.clear()
        finish(call)
    assert Layout.open(tmp_path / "store").path(layer).read_bytes() == made.blobs[layer]


@pytest.mark.slow
@pytest.mark.parametrize("is_silent", ["source", "target"])
def test_interrupt_ends_a_mirror_soon_and_the_next_one_finishes_it(
    tmp_path: Path, is_silent: str
) -> None:
    with serving() as source, serving(address="127.0.0.2") as target:
        made = [images.manifest(layers=[images.noise(3_000_000, 80 + n)]) for n in range(12)]
        for number, image in enumerate(made):
            source.push(f"rancher/image{number}", image, "v1")
            if is_silent == "source":
                source.silence[list(image.blobs)[1]] = 60.0
        target.closing_silence = 60.0 if is_silent == "target" else 0.0
        names = [f"docker.io/rancher/image{number}:v1" for number in range(len(made))]
        call: list[str | Path] = ["mirror", target.host, *names]
        call += ["--endpoint", f"docker.io=http://{source.host}"]
        call += ["--endpoint", f"{target.host}=http://{target.host}"]
        call += ["--tree", tmp_path, "--cache-dir", tmp_path]
        process = start(call, {})
        wait_for(lambda: len(source.asked("GET", "/blobs/")) > 3, 20.0)
        began = time.monotonic()
        process.send_signal(signal.SIGINT)
        process.communicate(timeout=30)
        assert process.returncode != 0
        assert time.monotonic() - began < 10
        source.silence.clear()
        target.closing_silence = 0.0
        finish(call)
        for number, image in enumerate(made):
            assert target.manifests[f"rancher/image{number}", "v1"] == (image.media_type, image.raw)


@pytest.mark.slow
def test_two_pulls_share_one_store(registry: RealRegistry, tmp_path: Path) -> None:
    made: dict[str, Made] = {f"both{n}": images.multi(20 + n, 3_000_000) for n in range(4)}
    source = images.write(tmp_path / "source", made)
    uploader = Uploader(Access(keychain=Keychain({})).registry(registry.host))
    for name, image in made.items():
        send(uploader, source, image, f"rancher/{name}")
    call = arguments(registry, list(made), tmp_path / "shared")
    processes = [start(call, {}) for _ in range(3)]
    for process in processes:
        _, err = process.communicate(timeout=120)
        assert process.returncode == 0, err.decode()
    finish(arguments(registry, list(made), tmp_path / "clean"))
    assert listing(tmp_path / "shared/store") == listing(tmp_path / "clean/store")


@pytest.mark.slow
def test_memory_does_not_follow_the_size_of_a_layer(
    registry: RealRegistry, tmp_path: Path, large: tuple[Made, Layout]
) -> None:
    image, layout = large
    uploader = Uploader(Access(keychain=Keychain({})).registry(registry.host))
    document = model.parse(image.raw, media_type=image.media_type, what="it")
    assert isinstance(document, model.Manifest)
    for blob in document.blobs:
        uploader.push_blob("rancher/large", blob, layout.path(blob.digest))
    uploader.push_manifest("rancher/large", document, "v1")
    process = start(arguments(registry, ["large"], tmp_path), {}, ("-c", MEASURED))
    out, err = process.communicate(timeout=120)
    assert process.returncode == 0, err.decode()
    assert Layout.open(tmp_path / "store").has(document.layers[0])
    assert int(out) * 1024 < CEILING


@pytest.fixture
def large(tmp_path: Path) -> tuple[Made, Layout]:
    """One image with one layer of 300 MiB."""
    layout = Layout.open(tmp_path / "made")
    block = images.noise(1024 * 1024, 5)
    staged = layout.stage(block for _ in range(LARGE // len(block)))
    layout.adopt(staged)
    small = images.manifest(layers=[])
    layer = Descriptor(media_type=media.OCI_LAYER, digest=staged.digest, size=staged.size)
    made = images.manifest(layers=[], extra={"layers": [layer.to_json()]})
    for data in small.blobs.values():
        layout.put(data)
    return made, layout

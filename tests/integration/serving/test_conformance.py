"""OCI's own conformance test, against ``serve`` and the lab's registry.

sha512 is left out: rke2pack knows sha256 alone, as docker and containerd's stores do.
"""

from __future__ import annotations

import os
import re
import shutil
import subprocess
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Final, NoReturn

import pytest

from rke2pack.lab import registry
from rke2pack.lab.registry import LabImages
from rke2pack.oci.store.layout import Layout
from tests.contract.oci import images
from tests.contract.oci.images import AMD64, Made
from tests.integration.serving.conftest import serving

PROGRAM: Final = (
    "github.com/opencontainers/distribution-spec/conformance@v0.0.0-20260831232431-97274622c111"
)
# Read before `isolated_env` gives the test another home; what go has cached is there.
HOME: Final = os.environ.get("HOME", "")
ALWAYS: Final = {
    "OCI_TLS": "disabled",
    "OCI_REPO1": "conformance/one",
    "OCI_REPO2": "conformance/two",
    "OCI_DATA_SHA512": "false",
}


@pytest.fixture(scope="module")
def conformance(
    missing: Callable[[str, str], NoReturn], tmp_path_factory: pytest.TempPathFactory
) -> Callable[[str, Mapping[str, str]], None]:
    """Run the test against HOST:PORT; nothing may fail, and not all may be left out."""
    if shutil.which("go") is None:
        missing("go", "go is not on PATH")
    folder = tmp_path_factory.mktemp("conformance")
    environment = {**os.environ, "HOME": HOME, "GOBIN": str(folder), "GOTOOLCHAIN": "local"}
    built = subprocess.run(
        ["go", "install", PROGRAM],
        env=environment, cwd=folder, capture_output=True, text=True, check=False,
    )  # fmt: skip
    if built.returncode:
        missing("conformance", f"OCI's conformance test cannot be built: {built.stderr[-300:]}")

    def run(host: str, settings: Mapping[str, str]) -> None:
        results = folder / host.replace(":", "-")
        results.mkdir()
        done = subprocess.run(
            [folder / "conformance"],
            env={**ALWAYS, "OCI_REGISTRY": host, "OCI_RESULTS_DIR": str(results), **settings},
            cwd=results, capture_output=True, text=True, check=False,
        )  # fmt: skip
        # Its report for people; the others, written afterwards, crash on read-only data.
        said = done.stdout + done.stderr
        counts = dict(re.findall(r"^ *(Pass|FAIL|Error)\.+: +(\d+)$", done.stdout, re.MULTILINE))
        assert (counts["FAIL"], counts["Error"]) == ("0", "0"), said
        assert int(counts["Pass"]) > 0, said

    return run


def test_the_labs_registry_conforms(
    conformance: Callable[[str, Mapping[str, str]], None], tmp_path: Path
) -> None:
    made = LabImages(tmp_path / "lab", tuple, sources=())
    with registry.serve(made) as address:
        names = ("BLOBS_UPLOAD_CANCEL", "BLOBS_DIGEST_HEADER", "MANIFESTS_DIGEST_HEADER")
        more = {f"OCI_API_{name}": "true" for name in names}
        conformance(address.removeprefix("http://"), more)


def test_serve_conforms_as_far_as_reading_goes(
    conformance: Callable[[str, Mapping[str, str]], None], tmp_path: Path
) -> None:
    one, two = images.multi(1), images.manifest(AMD64, [b"base", b"own"])
    subject = {"subject": one.descriptor.to_json(), "artifactType": "example/signature"}
    signature = images.manifest(AMD64, [b"signature"], extra=subject)
    names: dict[str, Made] = {
        "docker.io/conformance/one:v1": one,
        "docker.io/conformance/one:v2": two,
        f"docker.io/conformance/one@{signature.digest}": signature,
    }
    layout: Layout = images.write(tmp_path / "store", names)
    documents = [each for made in names.values() for each in made.documents]
    blobs = [digest for made in names.values() for digest in made.all_blobs]
    preloaded = {
        "OCI_RO_DATA_TAGS": "v1 v2",
        "OCI_RO_DATA_MANIFESTS": " ".join(str(each.digest) for each in documents),
        "OCI_RO_DATA_BLOBS": " ".join(map(str, blobs)),
        "OCI_RO_DATA_REFERRERS": str(one.digest),
    }
    writes = ("PUSH", "BLOBS_DELETE", "MANIFESTS_DELETE", "TAGS_DELETE")
    with serving("--store", layout.root) as host:
        conformance(host, {**preloaded, **{f"OCI_API_{each}": "false" for each in writes}})

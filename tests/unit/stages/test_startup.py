"""What commands load: a run that has nothing to do is over as soon as Python has started."""

from __future__ import annotations

import json
import subprocess
import sys
from pathlib import Path
from typing import Final

import pytest

from rke2pack.cli import run
from rke2pack.oci.store.layout import Layout
from tests.unit.oci.imaging import layer, put_image
from tests.unit.stages.conftest import Rke2pack, write_tree

NETWORK: Final = ("requests", "urllib3", "tenacity", "docker", "kubernetes", "cryptography", "ssl")
TERMINAL: Final = ("rich", "jinja2")
CHARTS: Final = ("helm_python", "ruamel", "semver", "deflate", "rke2pack.helm.chart")
CODINGS: Final = ("isal", "backports.zstd", "compression.zstd")
RARE: Final = ("difflib", "traceback", "rke2pack.helm.constraint", "rke2pack.shards.record")
LOCKS: Final = ("rke2pack.lists.lock", "rke2pack.lists.lockdiff")
IMAGE: Final = "docker.io/example/app:v1"
PROGRAM: Final = """
import json, sys
from rke2pack.cli import run
code = run(json.loads(sys.argv[1]))
print(json.dumps([code, sorted(name for name in json.loads(sys.argv[2]) if name in sys.modules)]))
"""


def loaded(arguments: list[str], *names: str) -> list[str]:
    """Run a command line in a Python of its own; return which of the modules it has loaded."""
    done = subprocess.run(
        [sys.executable, "-c", PROGRAM, json.dumps(arguments), json.dumps(names)],
        capture_output=True, text=True, check=True,
    )  # fmt: skip
    code, found = json.loads(done.stdout.splitlines()[-1])
    assert code == 0, done.stderr
    return list(found)


def put_tree(root: Path, cache: Path) -> list[str]:
    """Make a tree with one image, which the store has; return the options that name them."""
    tree = write_tree(root, {})
    (tree / "images.txt").write_text(f"# component: core\n{IMAGE}\n")
    put_image(Layout.open(cache / "store"), IMAGE, [(layer({"name": b"app"}), "gzip")])
    return ["--tree", str(tree), "--cache-dir", str(cache), "--platform", "linux/amd64"]


@pytest.mark.parametrize("word", ["pull", "mirror"])
def test_help_of_what_copies_images_loads_nothing_heavy(word: str) -> None:
    heavy = (*NETWORK, *TERMINAL, *CHARTS, *CODINGS, "yaml", "platformdirs")
    assert loaded([word, "--help"], *heavy) == []


@pytest.mark.parametrize("word", ["airgap", "delta"])
def test_help_of_what_handles_archives_loads_nothing_heavy(word: str) -> None:
    assert loaded([word, "--help"], *NETWORK, *TERMINAL, *CHARTS, "yaml", "platformdirs") == []


def test_help_of_images_loads_neither_registries_nor_layers() -> None:
    assert loaded(["images", "--help"], *NETWORK, *TERMINAL, *CODINGS) == []


def test_airgap_with_nothing_changed_loads_nothing_to_build_with(
    rke2pack: Rke2pack, tmp_path: Path
) -> None:
    where = put_tree(tmp_path / "tree", tmp_path / "cache")
    assert rke2pack("airgap", *where).code == 0
    building = ("rke2pack.oci.pack.splice", "rke2pack.oci.pack.imagetar", "concurrent.futures")
    again = ["airgap", "--quiet", *where]
    assert loaded(again, *NETWORK, *TERMINAL, *CHARTS, *building, "platformdirs") == []
    assert loaded(again, *RARE, *LOCKS) == []
    (tmp_path / "tree" / "images.lock").write_text('{"version": 1, "images": {}}')
    assert LOCKS[0] in loaded(again, *LOCKS)


def test_what_a_run_would_load_is_noticed(tmp_path: Path) -> None:
    where = put_tree(tmp_path / "tree", tmp_path / "cache")
    building = ("rke2pack.oci.pack.splice", "rke2pack.oci.pack.imagetar")
    assert loaded(["airgap", "--quiet", *where], *building) == sorted(building)


def test_airgap_that_pulls_nothing_new_loads_nothing_to_build_with(
    rke2pack: Rke2pack, tmp_path: Path
) -> None:
    where = put_tree(tmp_path / "tree", tmp_path / "cache")
    assert rke2pack("airgap", *where).code == 0
    building = ("rke2pack.oci.pack.splice", "rke2pack.oci.pack.imagetar")
    assert loaded(["airgap", "--pull", "--offline", "--quiet", *where], *building) == []


def test_pull_offline_asks_nobody_and_loads_no_client(tmp_path: Path) -> None:
    where = put_tree(tmp_path / "tree", tmp_path / "cache")
    assert loaded(["pull", "--offline", *where], *NETWORK, *CHARTS, *CODINGS) == []


def test_command_lines_that_are_wrong_are_told_all_the_same(
    capsys: pytest.CaptureFixture[str],
) -> None:
    assert run(["airgap", "--profile", "none"]) != 0
    assert "none" in capsys.readouterr().err

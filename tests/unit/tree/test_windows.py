from __future__ import annotations

from pathlib import Path

import pytest

from rke2pack.tree import windows
from tests.unit.lists.surveying import make_chart, pod

CALICO = make_chart({"p.yaml": pod("acme/a:v1")}, name="rke2-calico", version="v3.29.300")
FLANNEL = make_chart({"p.yaml": pod("acme/a:v1")}, name="rke2-flannel", version="v0.26.701")


def write(root: Path, text: str) -> Path:
    path = root / "Dockerfile.windows"
    path.write_bytes(text.encode())
    return path


@pytest.mark.parametrize("form", ['ENV {}="{}"', "ENV {}={}", "ENV {} {}", "  ARG {}={}"])
@pytest.mark.parametrize("newline", ["\n", "\r\n"])
def test_versions_without_a_checksum_move_along(tmp_path: Path, form: str, newline: str) -> None:
    lines = ["FROM base", form.format("CALICO_VERSION", "v3.24.1"), "# é", ""]
    text = newline.join(lines)
    path = write(tmp_path, text)
    change = windows.moved(tmp_path, {"rke2-calico": CALICO})
    assert change.files == {path: text.replace("v3.24.1", "v3.29.3").encode()}
    (found,) = change.findings
    assert (found.severity, found.check) == ("info", "windows-version")
    assert (found.subject, found.expected, found.got) == (
        "Dockerfile.windows, line 2",
        "CALICO_VERSION v3.29.3",
        "v3.24.1, moved along",
    )


def test_every_stage_that_names_the_version_moves(tmp_path: Path) -> None:
    text = "FROM a\nARG FLANNEL_VERSION=v0.1.0\nFROM b\nARG FLANNEL_VERSION=v0.1.0\n"
    path = write(tmp_path, text)
    change = windows.moved(tmp_path, {"rke2-flannel": FLANNEL})
    assert change.files == {path: text.replace("v0.1.0", "v0.26.7").encode()}
    assert [found.subject[-1] for found in change.findings] == ["2", "4"]


def test_a_version_with_a_checksum_is_left_and_told(tmp_path: Path) -> None:
    write(tmp_path, 'ENV FLANNEL_VERSION="v0.1.0"\nENV FLANNEL_SHA256="abc"\n')
    change = windows.moved(tmp_path, {"rke2-flannel": FLANNEL})
    assert change.files == {}
    (found,) = change.findings
    assert found.severity == "warning"
    assert found.expected == "FLANNEL_VERSION v0.26.7 with a new FLANNEL_SHA256"
    assert found.got == "v0.1.0; the checksum needs the archive, change both by hand"


@pytest.mark.parametrize(
    "text",
    [
        'ENV CALICO_VERSION="v3.29.3"\n',
        "FROM base\n",
        "# ENV CALICO_VERSION=v1\n",
        "ENV XCALICO_VERSION=v1\n",
    ],
)
def test_nothing_to_do_is_nothing_told(tmp_path: Path, text: str) -> None:
    write(tmp_path, text)
    change = windows.moved(tmp_path, {"rke2-calico": CALICO})
    assert (change.files, change.findings) == ({}, ())


def test_other_charts_and_removed_ones_change_nothing(tmp_path: Path) -> None:
    write(tmp_path, "ENV CALICO_VERSION=v1\n")
    other = make_chart({"p.yaml": pod("acme/a:v1")}, name="rke2-canal")
    change = windows.moved(tmp_path, {"rke2-calico": None, "rke2-canal": other})
    assert (change.files, change.findings) == ({}, ())


def test_a_checkout_without_the_file_has_nothing_to_do(tmp_path: Path) -> None:
    assert windows.moved(tmp_path, {"rke2-calico": CALICO}).files == {}

from __future__ import annotations

import subprocess
import tempfile
from pathlib import Path

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from rke2pack.patch import unified_diff

LINES = st.lists(st.sampled_from(["a\n", "b\n", "c\r\n", "é\n", "\n", "d\fe\n", "f\u2028g\n"]))
TEXT = st.tuples(LINES, st.sampled_from(["", "end"])).map(
    lambda found: "".join([*found[0], found[1]])
)


def test_nothing_changed_is_no_diff() -> None:
    assert unified_diff("a\n", "a\n", path="f") == ""


def test_diff_shows_the_changed_line_alone() -> None:
    old = "charts:\n  - version: 0.2.900\n"
    assert unified_diff(old, old.replace("0.2.900", "0.2.1000"), path="d/f.yaml") == (
        "--- a/d/f.yaml\n+++ b/d/f.yaml\n@@ -1,2 +1,2 @@\n charts:\n"
        "-  - version: 0.2.900\n+  - version: 0.2.1000\n"
    )


def test_new_and_removed_files_name_dev_null() -> None:
    assert unified_diff("", "a\n", path="f").startswith("--- /dev/null\n+++ b/f\n")
    assert unified_diff("a\n", "", path="f").startswith("--- a/f\n+++ /dev/null\n")


def test_missing_last_newline_is_told() -> None:
    assert unified_diff("a", "b\n", path="f").endswith(
        "@@ -1 +1 @@\n-a\n\\ No newline at end of file\n+b\n"
    )


def applied(old: str, patch: str) -> bytes:
    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder) / "f"
        if old:
            path.write_bytes(old.encode())
        subprocess.run(["git", "apply", "-"], cwd=folder, input=patch.encode(), check=True)
        return path.read_bytes() if path.exists() else b""


@settings(max_examples=25)
@given(TEXT, TEXT)
def test_git_applies_every_diff(old: str, new: str) -> None:
    patch = unified_diff(old, new, path="f")
    assert bool(patch) == (old != new)
    if patch:
        assert applied(old, patch) == new.encode()


@pytest.mark.parametrize("end", ["\n", "\r\n"])
def test_git_keeps_line_ends(end: str) -> None:
    old, new = f"a{end}b{end}", f"a{end}c{end}"
    assert applied(old, unified_diff(old, new, path="f")) == new.encode()

"""Unified diffs of text files, as ``patch`` and ``git apply`` read them."""

from __future__ import annotations

import difflib


def unified_diff(old: str, new: str, *, path: str) -> str:
    """Return the diff of one file below the tree, empty where nothing changes."""
    lines = difflib.unified_diff(
        old.splitlines(keepends=True),
        new.splitlines(keepends=True),
        f"a/{path}" if old else "/dev/null",
        f"b/{path}" if new else "/dev/null",
    )
    return "".join(
        line if line.endswith("\n") else f"{line}\n\\ No newline at end of file\n" for line in lines
    )

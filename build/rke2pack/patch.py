"""Unified diffs of text files, as ``patch`` and ``git apply`` read them."""

from __future__ import annotations

import difflib
import re


def unified_diff(old: str, new: str, *, path: str) -> str:
    """Return the diff of one file below the tree, empty where nothing changes."""
    lines = difflib.unified_diff(
        _lines(old),
        _lines(new),
        f"a/{path}" if old else "/dev/null",
        f"b/{path}" if new else "/dev/null",
    )
    return "".join(
        line if line.endswith("\n") else f"{line}\n\\ No newline at end of file\n" for line in lines
    )


def _lines(text: str) -> list[str]:
    """Split at line feeds alone: ``patch`` knows no other line end."""
    return [line for line in re.split(r"(?<=\n)", text) if line]

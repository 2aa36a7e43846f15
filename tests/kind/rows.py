"""Writes the rows of the tree's support matrix as the matrix of a workflow's job."""

from __future__ import annotations

import json
from pathlib import Path

from rke2pack.files import read_text
from rke2pack.tree.native import NativeTree
from rke2pack.validate.matrix import NAME, Matrix


def main() -> None:
    """Print ``{"include": [{"row": NAME, "rke2": VERSION}, ...]}`` in one line."""
    tree = NativeTree.open(Path())
    path = tree.path(NAME)
    rows = Matrix.parse(read_text(path), what=str(path), components=tree.components).rows
    found = [{"row": row.name, "rke2": row.rke2} for row in rows]
    print(json.dumps({"include": found}, separators=(",", ":")))  # noqa: T201 - it is what is asked


if __name__ == "__main__":
    main()

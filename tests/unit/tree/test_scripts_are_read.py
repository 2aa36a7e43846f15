"""The scripts of a rancher/rke2 checkout are read; nothing in them is run."""

from __future__ import annotations

import subprocess
from pathlib import Path

import pytest

from tests.unit.tree.scripts import document, listed


@pytest.mark.parametrize(
    "line",
    [
        "touch {file}\n",
        "X=$(touch {file})\n",
        "X=`touch {file}`\n",
        "eval 'touch {file}'\n",
        "trap 'touch {file}' EXIT\n",
        "exec 3> {file}\n",
        "cat <<EOF\n$(touch {file})\nEOF\n",
        "for x in $(touch {file}); do :; done\n",
    ],
)
def test_no_command_of_a_script_is_run(
    line: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    file = tmp_path / "made"
    monkeypatch.chdir(tmp_path)
    script = line.format(file=file) + document("acme/a:v1")
    assert listed(script) == ["acme/a:v1"]
    assert not file.exists()
    # The same line does it where it is run.
    subprocess.run(["bash", "-c", line.format(file=file)], check=True, capture_output=True)
    assert file.exists()

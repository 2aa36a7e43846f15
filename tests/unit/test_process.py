from __future__ import annotations

import sys
from pathlib import Path

import pytest

from rke2pack import process
from rke2pack.errors import ToolError


def test_output_and_exit_code_are_returned() -> None:
    program = "import sys; sys.stdout.write(sys.stdin.read() * 2); sys.exit(3)"
    done = process.run([sys.executable, "-c", program], stdin=b"ab")
    assert (done.returncode, done.stdout, done.stderr) == (3, b"abab", b"")


def test_slow_program_is_ended() -> None:
    with pytest.raises(ToolError, match=r": not finished after 0 s$"):
        process.run([sys.executable, "-c", "import time; time.sleep(60)"], timeout=0.2)


def test_program_that_is_not_there_is_named(tmp_path: Path) -> None:
    with pytest.raises(ToolError) as error:
        process.run([tmp_path / "none"])
    assert error.value.message == f"cannot run {tmp_path}/none: No such file or directory"
    with pytest.raises(ToolError) as absent:
        process.find("no-such-program")
    assert absent.value.message == "no-such-program: no such program"
    assert absent.value.hint == "install it, or name its path"


def test_program_is_found_by_name_and_by_path() -> None:
    assert process.find("git").name == "git"
    assert process.find(sys.executable) == Path(sys.executable)

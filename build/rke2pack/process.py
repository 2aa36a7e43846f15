"""The door to other programs."""

from __future__ import annotations

import shutil
import subprocess
from collections.abc import Sequence
from pathlib import Path

from rke2pack.errors import ToolError


def find(program: str) -> Path:
    """Return a program's path; raises ToolError when it is not there."""
    found = shutil.which(program)
    if found is None:
        msg = f"{program}: no such program"
        raise ToolError(msg, hint="install it, or name its path")
    return Path(found)


def run(
    command: Sequence[str | Path], *, stdin: bytes = b"", timeout: float = 120.0
) -> subprocess.CompletedProcess[bytes]:
    """Run a program to its end and return its output, whatever its exit code.

    Raises ToolError when it cannot be started or takes longer than ``timeout`` seconds.
    """
    try:
        return subprocess.run(  # noqa: S603 - a fixed argument list, no shell
            [str(part) for part in command],
            input=stdin,
            capture_output=True,
            timeout=timeout,
            check=False,
        )
    except OSError as exc:
        msg = f"cannot run {command[0]}: {exc.strerror or exc}"
        raise ToolError(msg) from exc
    except subprocess.TimeoutExpired as exc:
        msg = f"{command[0]}: not finished after {timeout:.0f} s"
        raise ToolError(msg) from exc

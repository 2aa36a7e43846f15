"""The door to other programs."""

from __future__ import annotations

import contextlib
import shutil
import subprocess
import tempfile
from collections.abc import Iterable, Iterator, Sequence
from pathlib import Path

from rke2pack.errors import ToolError

_MAX_SAID = 1024 * 1024
_END_SECONDS = 10.0


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


def feed(
    command: Sequence[str | Path], chunks: Iterable[bytes], *, timeout: float = 120.0
) -> subprocess.CompletedProcess[bytes]:
    """Run a program and give it ``chunks`` on its standard input; else as `run`.

    It has ``timeout`` seconds from the last chunk on. What the chunks raise ends
    the program and goes on to the caller. One that stops reading is given no more;
    of what it says the first MiB is kept.
    """
    with tempfile.TemporaryFile() as out, tempfile.TemporaryFile() as err:
        with _started(command, out.fileno(), err.fileno()) as program:
            if program.stdin is None:
                raise TypeError
            with contextlib.suppress(BrokenPipeError), program.stdin as stdin:
                for chunk in chunks:
                    stdin.write(chunk)
            try:
                code = program.wait(timeout)
            except subprocess.TimeoutExpired as exc:
                msg = f"{command[0]}: not finished after {timeout:.0f} s"
                raise ToolError(msg) from exc
        said = []
        for file in (out, err):
            file.seek(0)
            said.append(file.read(_MAX_SAID))
    return subprocess.CompletedProcess([*command], code, *said)


@contextlib.contextmanager
def _started(
    command: Sequence[str | Path], out: int, err: int
) -> Iterator[subprocess.Popen[bytes]]:
    """Start a program; at the end of the block it is stopped where it still runs."""
    try:
        program = subprocess.Popen(  # noqa: S603 - a fixed argument list, no shell
            [str(part) for part in command], stdin=subprocess.PIPE, stdout=out, stderr=err
        )
    except OSError as exc:
        msg = f"cannot run {command[0]}: {exc.strerror or exc}"
        raise ToolError(msg) from exc
    try:
        yield program
    finally:
        if program.poll() is None:
            program.terminate()
            try:
                program.wait(_END_SECONDS)
            except subprocess.TimeoutExpired:
                program.kill()
                program.wait()

"""The door to other programs."""

from __future__ import annotations

import contextlib
import os
import resource
import shutil
import signal
import subprocess
import sys
import tempfile
import threading
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


class Programs:
    """Programs of several threads that are ended together, with what they have started.

    Each runs in a session of its own, so that a Ctrl-C in the terminal reaches
    them through `end` alone. What clears up runs in a set that nobody ends.
    """

    def __init__(self) -> None:
        """Begin with none."""
        self._running: set[subprocess.Popen[bytes]] = set()
        self._lock = threading.Lock()
        self._is_ended = False

    @property
    def is_ended(self) -> bool:
        """Whether `end` was called."""
        return self._is_ended

    def end(self) -> None:
        """End those that run, and start no more; who waits for one gets its exit code."""
        with self._lock:
            self._is_ended = True
            for program in self._running:
                _signal(program, signal.SIGTERM)

    @contextlib.contextmanager
    def started(
        self, command: Sequence[str | Path], *, stdin: int, stdout: int, stderr: int
    ) -> Iterator[subprocess.Popen[bytes]]:
        """Start a program; what of it still runs at the end of the block is killed.

        Raises ToolError after `end`.
        """
        with self._lock:
            if self._is_ended:
                msg = f"{command[0]}: not started, as the run was ended"
                raise ToolError(msg)
            program = _start(command, stdin, stdout, stderr, in_session=True)
            self._running.add(program)
        try:
            yield program
        finally:
            with self._lock:
                self._running.discard(program)
            _finish(program, in_session=True)


def run(
    command: Sequence[str | Path],
    *,
    stdin: bytes = b"",
    timeout: float = 120.0,
    among: Programs | None = None,
) -> subprocess.CompletedProcess[bytes]:
    """Run a program to its end and return its output, whatever its exit code.

    Raises ToolError when it cannot be started or takes longer than ``timeout`` seconds.
    """
    if among is not None:
        return _run_among(among, command, stdin, timeout)
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


def _run_among(
    among: Programs, command: Sequence[str | Path], stdin: bytes, timeout: float
) -> subprocess.CompletedProcess[bytes]:
    pipe = subprocess.PIPE
    with among.started(command, stdin=pipe, stdout=pipe, stderr=pipe) as program:
        try:
            out, said = program.communicate(stdin, timeout)
        except subprocess.TimeoutExpired as exc:
            msg = f"{command[0]}: not finished after {timeout:.0f} s"
            raise ToolError(msg) from exc
    return subprocess.CompletedProcess([*command], program.returncode, out, said)


def feed(
    command: Sequence[str | Path],
    chunks: Iterable[bytes],
    *,
    timeout: float = 120.0,
    max_output: int | None = None,
    among: Programs | None = None,
) -> subprocess.CompletedProcess[bytes]:
    """Run a program and give it ``chunks`` on its standard input; else as `run`.

    It has ``timeout`` seconds from the last chunk on. What the chunks raise ends
    the program and goes on to the caller. One that stops reading is given no more;
    of what it says the first MiB is kept, or ``max_output`` bytes, after which the kernel
    lets it write no more.
    """
    with tempfile.TemporaryFile() as out, tempfile.TemporaryFile() as err:
        start = among.started if among is not None else _started
        files = {"stdin": subprocess.PIPE, "stdout": out.fileno(), "stderr": err.fileno()}
        with start(command, **files) as program:
            if max_output is not None:
                _limit_files(program, max_output)
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
            said.append(file.read(max_output or _MAX_SAID))
    return subprocess.CompletedProcess([*command], code, *said)


def _limit_files(program: subprocess.Popen[bytes], size: int) -> None:
    """Have the kernel end or refuse a program that writes more into a file."""
    if sys.platform == "linux":
        with contextlib.suppress(ProcessLookupError):
            resource.prlimit(program.pid, resource.RLIMIT_FSIZE, (size, size))


def start(command: Sequence[str | Path], *, stderr: int) -> subprocess.Popen[bytes]:
    """Start a program that is asked by pipes, in a session of its own; `finish` ends it.

    Raises ToolError.
    """
    return _start(command, subprocess.PIPE, subprocess.PIPE, stderr, in_session=True)


def finish(program: subprocess.Popen[bytes]) -> None:
    """End what `start` has started, and all that it has started, and close its pipes."""
    _finish(program, in_session=True)


@contextlib.contextmanager
def _started(
    command: Sequence[str | Path], *, stdin: int, stdout: int, stderr: int
) -> Iterator[subprocess.Popen[bytes]]:
    """Start a program; at the end of the block it is stopped where it still runs."""
    program = _start(command, stdin, stdout, stderr, in_session=False)
    try:
        yield program
    finally:
        _finish(program, in_session=False)


def _start(
    command: Sequence[str | Path], stdin: int, stdout: int, stderr: int, *, in_session: bool
) -> subprocess.Popen[bytes]:
    try:
        return subprocess.Popen(  # noqa: S603 - a fixed argument list, no shell
            [str(part) for part in command],
            stdin=stdin,
            stdout=stdout,
            stderr=stderr,
            start_new_session=in_session,
        )
    except OSError as exc:
        msg = f"cannot run {command[0]}: {exc.strerror or exc}"
        raise ToolError(msg) from exc


def _finish(program: subprocess.Popen[bytes], *, in_session: bool) -> None:
    """End a program that still runs, and close what reads from it."""
    if program.poll() is None:
        _signal(program, signal.SIGTERM, in_session=in_session)
        try:
            program.wait(_END_SECONDS)
        except subprocess.TimeoutExpired:
            _signal(program, signal.SIGKILL, in_session=in_session)
            program.wait()
    for pipe in (program.stdin, program.stdout, program.stderr):
        if pipe is not None:
            with contextlib.suppress(BrokenPipeError):
                pipe.close()


def _signal(
    program: subprocess.Popen[bytes], number: signal.Signals, *, in_session: bool = True
) -> None:
    with contextlib.suppress(ProcessLookupError):
        if in_session:
            os.killpg(program.pid, number)
        else:
            program.send_signal(number)

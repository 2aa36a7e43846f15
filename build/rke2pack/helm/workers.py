"""Workers: the processes in which Helm renders, as many as are asked at once.

A chart from outside may loop for ever, fill the memory, or end Helm's process. Then
its worker is gone, within the limits here, and the command has an error to tell.
"""

from __future__ import annotations

import atexit
import contextlib
import json
import re
import signal
import subprocess
import sys
import tempfile
from collections import deque
from collections.abc import Mapping
from dataclasses import dataclass
from typing import IO, Any, Final

from rke2pack import process
from rke2pack.errors import ToolError, ValidationError
from rke2pack.helm import worker

SECONDS: Final = 60
MAX_MEMORY: Final = 2 * 1024**3
MAX_OUTPUT: Final = 64 * 1024 * 1024
_DISTRUST: Final = "do not trust the chart, or render it with --helm PROGRAM"
_FATAL: Final = re.compile(rb"^fatal error: (.{1,100})$", re.MULTILINE)
_MAX_SAID: Final = 64 * 1024


def render(
    data: bytes, values: Mapping[str, Any], options: Mapping[str, str], *, what: str
) -> Mapping[str, str]:
    """Render a chart archive; returns output by template path.

    Raises ValidationError with Helm's message or for too much output, ToolError for a
    chart that does not end within 60 s or needs more than 2 GiB.
    """
    head = {"values": values, "options": options, "seconds": SECONDS, "max_output": MAX_OUTPUT}
    kind, text = _ask(json.dumps(head).encode(), data, what=what)
    if kind == worker.REFUSED:
        msg = f"{what} does not render: {' '.join(text.decode().split())}"
        raise ValidationError(msg)
    if kind == worker.TOO_LARGE:
        msg = f"{what}: renders to {text.decode()} bytes, the limit is {MAX_OUTPUT}"
        raise ValidationError(msg)
    documents: dict[str, str] = json.loads(text)
    return documents


@dataclass(frozen=True, slots=True, kw_only=True)
class _Worker:
    program: subprocess.Popen[bytes]
    said: IO[bytes]

    @classmethod
    def start(cls) -> _Worker:
        said = tempfile.TemporaryFile()  # noqa: SIM115 - closed by `end`
        # -P: the folder of the script holds modules named like others'.
        command = (sys.executable, "-P", worker.__file__, str(MAX_MEMORY))
        try:
            return cls(program=process.start(command, stderr=said.fileno()), said=said)
        except BaseException:
            said.close()
            raise

    def ask(self, head: bytes, data: bytes) -> tuple[bytes, bytes]:
        """Return kind and text; raises EOFError or BrokenPipeError where the worker is gone."""
        stdin, stdout = self.program.stdin, self.program.stdout
        if stdin is None or stdout is None:
            raise TypeError
        stdin.write(worker.HEAD.pack(len(head), len(data)))
        stdin.write(head)
        stdin.write(data)
        stdin.flush()
        start = stdout.read(worker.ANSWER.size)
        if len(start) < worker.ANSWER.size:
            raise EOFError
        kind, size = worker.ANSWER.unpack(start)
        text = stdout.read(size)
        if len(text) < size:
            raise EOFError
        return kind, text

    def death(self, what: str) -> ToolError:
        """Say why the worker is gone."""
        code = self.program.wait()
        self.said.seek(0)
        said = self.said.read(_MAX_SAID)
        if code == -signal.SIGALRM:
            msg = f"{what}: rendering does not end within {SECONDS} s"
            return ToolError(msg, hint=_DISTRUST)
        fatal = _FATAL.search(said)
        if fatal is not None or b"MemoryError" in said:
            why = fatal[1].decode(errors="replace") if fatal else "out of memory"
            msg = f"{what}: rendering ended Helm: {why} (the limit is {MAX_MEMORY} bytes)"
            return ToolError(msg, hint=_DISTRUST)
        last = said.decode(errors="replace").strip().rpartition("\n")[2][:200]
        msg = f"{what}: Helm's process ended with {code}: {last or 'it said nothing'}"
        return ToolError(msg)

    def end(self) -> None:
        process.finish(self.program)
        self.said.close()


_idle: deque[_Worker] = deque()


def _ask(head: bytes, data: bytes, *, what: str) -> tuple[bytes, bytes]:
    try:
        found = _idle.pop()
    except IndexError:
        found = _Worker.start()
    try:
        answer = found.ask(head, data)
    except (EOFError, BrokenPipeError, ConnectionError):
        error = found.death(what)
        found.end()
        raise error from None
    except BaseException:
        found.end()
        raise
    _idle.append(found)
    return answer


def end() -> None:
    """End the workers that nobody asks."""
    with contextlib.suppress(IndexError):
        while True:
            _idle.pop().end()


atexit.register(end)

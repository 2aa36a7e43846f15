"""Command lines that run at once, each in a process of its own, and what must be so after it.

Processes are forked from one that has imported everything, so that what overlaps is the
work and not the start.
"""

from __future__ import annotations

import multiprocessing
import os
import random
import re
import sys
import tempfile
import time
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from multiprocessing.synchronize import Barrier
from pathlib import Path

from rke2pack import cli

BUSY = re.compile(
    r"error: [^\n]*another rke2pack [^\n]*\n([^\n]*\n)*?hint: wait until it has finished"
)
TOOL_ERROR = 6
TIMEOUT = 120
STAGES = (
    *("airgap", "bump", "cache", "charts", "delta", "diff", "images", "merge", "mirror", "pull"),
    *("release", "report", "serve", "validate", "verify"),
)
PROCESSES = multiprocessing.get_context("forkserver")
PROCESSES.set_forkserver_preload(
    ["requests", "jinja2", "git", *(f"rke2pack.stages.{name}" for name in STAGES)]
)


@dataclass(frozen=True, kw_only=True)
class Ended:
    """A command line that has ended."""

    words: tuple[str, ...]
    code: int | None
    err: str

    @property
    def is_done(self) -> bool:
        return self.code == 0

    @property
    def is_refused(self) -> bool:
        """Whether it says what is busy, and what to do next."""
        return self.code == TOOL_ERROR and BUSY.search(self.err) is not None


def race(
    calls: Sequence[Sequence[str | Path]],
    chance: random.Random,
    *,
    longest: float = 0.1,
    may_say: str | None = None,
) -> tuple[Ended, ...]:
    """Run command lines side by side, each begun within ``longest`` seconds by chance.

    Each has to end well, or to be refused with the next step; or to say what the pattern
    ``may_say`` has, where another may have been done before it.
    """
    ended = run([(chance.uniform(0, longest), call) for call in calls])
    for each in ended:
        is_told = may_say is not None and each.code != cli.EXIT_BUG and re.search(may_say, each.err)
        assert each.is_done or each.is_refused or is_told, f"{each.words}: {each.code}\n{each.err}"
    return ended


def run(calls: Sequence[tuple[float, Sequence[str | Path]]]) -> tuple[Ended, ...]:
    """Run command lines, each so many seconds after the others' start; tell how they ended."""
    with tempfile.TemporaryDirectory() as folder:
        barrier = PROCESSES.Barrier(len(calls))
        told = [Path(folder) / str(number) for number in range(len(calls))]
        every = [tuple(map(str, call)) for _, call in calls]
        started = [
            PROCESSES.Process(
                target=_work, args=(words, pause, barrier, str(err), dict(environment()))
            )
            for words, (pause, _), err in zip(every, calls, told, strict=True)
        ]
        for process in started:
            process.start()
        for process in started:
            process.join(TIMEOUT)
            if process.exitcode is None:
                process.kill()
        return tuple(
            Ended(words=words, code=process.exitcode, err=err.read_text())
            for words, process, err in zip(every, started, told, strict=True)
        )


def again(ended: Iterable[Ended]) -> None:
    """Do what the hint says: run what was refused again, with nobody else at work."""
    for each in ended:
        if each.is_refused:
            alone(*each.words)


def alone(*words: str | Path) -> Ended:
    """Run one command line, which has to end well."""
    (ended,) = run([(0.0, words)])
    assert ended.is_done, f"{words}: {ended.code}\n{ended.err}"
    return ended


def environment() -> Mapping[str, str]:
    """Return the environment of every run: what is in no git says no date by itself."""
    return {**os.environ, "SOURCE_DATE_EPOCH": "1750000000"}


def bytes_below(folder: Path) -> dict[str, bytes]:
    """Every file below a folder; what belongs to a run alone must be gone by now."""
    found = {p.relative_to(folder).as_posix(): p for p in sorted(folder.rglob("*")) if p.is_file()}
    assert [name for name in found if name.endswith((".tmp", ".partial", ".txt.lock"))] == []
    return {name: path.read_bytes() for name, path in found.items() if not _is_lock(path)}


def _is_lock(path: Path) -> bool:
    return ".rke2pack" in path.parts or path.name in {".lock", ".index.lock"}


def _work(
    words: tuple[str, ...], pause: float, barrier: Barrier, err: str, variables: Mapping[str, str]
) -> None:
    """Be one process: wait for the others, and a little longer, then do as it was told."""
    os.environ.clear()
    os.environ.update(variables)
    with Path(err).open("w", encoding="utf-8") as told, Path(os.devnull).open("w") as nothing:
        sys.stderr, sys.stdout = told, nothing
        barrier.wait(TIMEOUT)
        time.sleep(pause)
        code = cli.run(list(words))
    sys.exit(code)

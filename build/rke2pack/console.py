"""What people see (stderr) and what programs read (stdout).

On a terminal lines are coloured; in CI and with NO_COLOR they are plain, and on
GitHub findings and errors are annotations as well. With ``--json`` stdout
carries exactly one document and nothing else.
"""

from __future__ import annotations

import contextlib
import functools
import json
import os
import re
import sys
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

from rke2pack import progress
from rke2pack.address import hidden
from rke2pack.errors import PackError, ToolError, shown
from rke2pack.finding import Finding
from rke2pack.progress import Lines, Meter, Silence

if TYPE_CHECKING:
    from rich.console import Console as Terminal

# What GitHub's runner takes for a command, wherever in its log a line of somebody's text has it.
_COMMAND = re.compile(r"^(?P<space>[^\S\n]*):(?=:)|#(?=#\[)", re.MULTILINE)
_STYLES = {"error": "bold red", "warning": "yellow", "info": "cyan"}


@dataclass(kw_only=True)
class Console:
    """Writes lines; ``verbosity`` is -1 (quiet), 0, or 1 (details)."""

    is_json: bool = False
    verbosity: int = 0
    is_github: bool = False
    _has_document: bool = field(default=False, init=False)

    def step(self, text: str) -> None:
        """Say what is done now."""
        if self.verbosity >= 0:
            self._styled(text, "bold")

    def line(self, text: str = "") -> None:
        """Write a line of the summary."""
        if self.verbosity >= 0:
            self._styled(text, "")

    def table(self, header: Sequence[str], rows: Iterable[Sequence[str]]) -> None:
        """Write a table: the first column to the left, the others to the right."""
        every = [tuple(header), *map(tuple, rows)]
        widths = [max(map(len, column)) for column in zip(*every, strict=True)]
        for number, row in enumerate(every):
            cells = (cell.rjust(width) for cell, width in zip(row[1:], widths[1:], strict=True))
            text = "  ".join((row[0].ljust(widths[0]), *cells)).rstrip()
            (self.line if number else self.step)(text)

    def detail(self, text: str) -> None:
        """Write a line that only ``-v`` shows."""
        if self.verbosity > 0:
            self._styled(text, "dim")

    def findings(self, findings: Iterable[Finding]) -> None:
        """Write findings, one a line; quiet leaves out all but errors."""
        for finding in findings:
            if self.verbosity >= 0 or finding.severity == "error":
                self._styled(str(finding), _STYLES[finding.severity])
                if self.is_github:
                    self._annotate(finding.severity, str(finding))

    def error(self, error: PackError) -> None:
        """Write an error: what failed, its details, then the next step.

        An address that somebody gave with user and password is shown without them.
        """
        message, details = hidden(error.message), tuple(map(hidden, error.details))
        hint = hidden(error.hint) if error.hint else None
        self._styled(f"error: {message}", _STYLES["error"])
        for each in details:
            self._styled(f"  {each}", "")
        if hint:
            self._styled(f"hint: {hint}", "")
        if self.is_github:
            self._annotate("error", message)
        self.failure(type(error).__name__, error.exit_code, message, hint=hint, details=details)

    def failure(
        self,
        kind: str,
        exit_code: int,
        message: str,
        *,
        hint: str | None = None,
        details: tuple[str, ...] = (),
    ) -> None:
        """Write what failed as the document of ``--json``, unless there has been one."""
        if self._has_document:
            return
        error = {
            "kind": kind,
            "exit_code": exit_code,
            "message": message,
            "hint": hint,
            "details": list(details),
        }
        with contextlib.suppress(ToolError):  # people have read it on stderr already
            self.document({"error": error})

    def data(self, text: str) -> None:
        """Write text that a program may read to stdout; nothing with ``--json``."""
        if not self.is_json:
            _write_stdout(text)

    def document(self, document: Mapping[str, Any]) -> None:
        """Write the one JSON document of ``--json``; nothing without."""
        if self.is_json:
            self._has_document = True
            _write_stdout(json.dumps(document, indent=2, ensure_ascii=False) + "\n")

    @contextlib.contextmanager
    def progress(self, title: str) -> Iterator[Meter]:
        """Show bytes on their way until the end of the block; quiet shows nothing."""
        if self.verbosity < 0:
            yield Silence()
        elif sys.stderr.isatty():
            with progress.bars(title, self._terminal) as meter:
                yield meter
        else:
            yield Lines(title, self.line)

    @functools.cached_property
    def _terminal(self) -> Terminal:
        """The one that everything is written through, so that bars stay below the lines."""
        from rich.console import Console as Terminal  # noqa: PLC0415 - only for a terminal

        return Terminal(stderr=True, highlight=False, soft_wrap=True, emoji=False)

    def _styled(self, text: str, style: str) -> None:
        text = shown(text)
        if self.is_github:
            text = _COMMAND.sub(_spelled, text)
        if not sys.stderr.isatty():
            sys.stderr.write(text + "\n")
            return
        terminal = self._terminal
        # rich takes NO_COLOR for the colours alone and would still write bold and dim.
        is_styled = style and not terminal.no_color
        terminal.print(text, style=style if is_styled else None, markup=False)

    def _annotate(self, severity: str, text: str) -> None:
        """Write a GitHub workflow command (docs: workflow-commands-for-github-actions)."""
        word = {"info": "notice"}.get(severity, severity)
        escaped = text.replace("%", "%25").replace("\r", "%0D").replace("\n", "%0A")
        sys.stderr.write(f"::{word}::{escaped}\n")


def _spelled(command: re.Match[str]) -> str:
    return f"{command['space']}\\x3a" if command["space"] is not None else "\\x23"


def _write_stdout(text: str) -> None:
    try:
        sys.stdout.write(text)
        sys.stdout.flush()
    except OSError as exc:
        # Nothing is left to be flushed at exit, where it could only fail once more.
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
        msg = f"cannot write to stdout: {exc.strerror}"
        raise ToolError(msg) from exc

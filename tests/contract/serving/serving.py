"""``rke2pack serve`` in a thread of its own, ended by a signal as a user does."""

from __future__ import annotations

import contextlib
import io
import json
import signal
import threading
from collections.abc import Iterator
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from rke2pack.cli import run
from tests.contract.loopback import wait_for


@dataclass(kw_only=True)
class Serve:
    """One run: its document, and what it said when it has ended."""

    out: io.StringIO = field(default_factory=io.StringIO)
    err: io.StringIO = field(default_factory=io.StringIO)
    code: int | None = None

    @property
    def document(self) -> dict[str, Any]:
        found: dict[str, Any] = json.loads(self.out.getvalue())
        return found

    @property
    def host(self) -> str:
        host: str = self.document["registry"]
        return host

    def is_up(self) -> bool:
        return self.code is not None or self.out.getvalue().endswith("}\n")


@contextlib.contextmanager
def serving(*arguments: str | Path, end: signal.Signals = signal.SIGTERM) -> Iterator[Serve]:
    """Run the command line for the length of a block."""
    serve = Serve()
    words = ["serve", "--json", "--listen", "127.0.0.1:0", *map(str, arguments)]

    def call() -> None:
        serve.code = run(words)

    with contextlib.redirect_stdout(serve.out), contextlib.redirect_stderr(serve.err):
        thread = threading.Thread(target=call)
        thread.start()
        try:
            wait_for(serve.is_up, 20)
            assert serve.code is None, serve.err.getvalue()
            yield serve
        finally:
            if thread.is_alive() and thread.ident is not None:
                signal.pthread_kill(thread.ident, end)
            thread.join()

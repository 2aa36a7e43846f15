"""The process in which Helm renders: ``python worker.py BYTES``, asked by `helm.workers`.

Helm's library runs in the process that loads it, and what a template does there
cannot be interrupted: loops, memory, and Go's stack, whose overflow ends the
process. So it is one that may end: this one. It imports nothing of the package.

A request is the lengths of a JSON head and of a chart archive, and both; the head
has ``values``, ``options``, ``seconds`` and ``max_output``. An answer is an `ANSWER`, its
kind and the length of its text, and the text.
"""

from __future__ import annotations

import json
import os
import resource
import signal
import struct
import sys
from typing import IO, Final

HEAD: Final = struct.Struct(">QQ")
ANSWER: Final = struct.Struct(">cQ")
RENDERED, REFUSED, TOO_LARGE = b"R", b"E", b"L"


def main() -> None:
    """Answer until nobody asks any more."""
    limit = int(sys.argv[1])
    resource.setrlimit(resource.RLIMIT_DATA, (limit, limit))
    resource.setrlimit(resource.RLIMIT_CORE, (0, 0))
    # What the library writes to its output must not get between the answers.
    answers = os.fdopen(os.dup(1), "wb")
    os.dup2(2, 1)
    serve(sys.stdin.buffer, answers)


def serve(requests: IO[bytes], answers: IO[bytes]) -> None:
    """Answer every request; one that takes longer than its seconds ends the process."""
    while len(start := requests.read(HEAD.size)) == HEAD.size:
        head_size, data_size = HEAD.unpack(start)
        head, data = json.loads(requests.read(head_size)), requests.read(data_size)
        signal.alarm(head["seconds"])
        kind, text = rendered(data, head["values"], head["options"])
        signal.alarm(0)
        if len(text) > head["max_output"]:
            kind, text = TOO_LARGE, str(len(text)).encode()
        answers.write(ANSWER.pack(kind, len(text)))
        answers.write(text)
        answers.flush()


def rendered(data: bytes, values: object, options: object) -> tuple[bytes, bytes]:
    """Return the templates' output as JSON, or Helm's message."""
    from helm_python import Chart, HelmError, _native  # noqa: PLC0415 - after the limits

    try:
        # Loaded anew each time: Helm drops the subcharts that one set of values disables.
        with Chart.load_archive(data) as chart:
            handle = chart._raw()  # noqa: SLF001 - Chart.render cannot set the version
            arguments = json.dumps(values), json.dumps(options)
            output = _native.call_string("helm_render", handle, *arguments)
    except HelmError as exc:
        return REFUSED, str(exc).encode(errors="replace")
    return RENDERED, output.encode(errors="surrogatepass")


if __name__ == "__main__":
    main()

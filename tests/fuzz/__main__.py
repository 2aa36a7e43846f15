"""Fuzz every target, one after the other: ``python -m tests.fuzz --minutes N [TARGET]...``.

Each runs in a process of its own with a deadline for one input and a ceiling for
its memory. What grows of the corpus, and each finding, is kept in dist/fuzz.
"""

from __future__ import annotations

import argparse
import re
import subprocess
import sys
from pathlib import Path
from typing import Final

from tests.fuzz.targets import CORPUS, TARGETS

KEPT: Final = Path("dist/fuzz")
SECONDS_EACH: Final = 10  # for one input
MEMORY_MB: Final = 1024
MAX_BYTES: Final = 16 * 1024
_RUNS: Final = re.compile(r"number_of_executed_units: (\d+)")


def fuzz(name: str, seconds: int) -> tuple[int, str]:
    """Return how many inputs a target was given, and the finding, empty where there is none."""
    grown, findings = KEPT / "corpus" / name, KEPT / "findings"
    grown.mkdir(parents=True, exist_ok=True)
    findings.mkdir(parents=True, exist_ok=True)
    options = (
        f"-max_total_time={seconds}",
        f"-timeout={SECONDS_EACH}",
        f"-rss_limit_mb={MEMORY_MB}",
        f"-max_len={MAX_BYTES}",
        f"-artifact_prefix={findings}/{name}-",
        "-print_final_stats=1",
        "-verbosity=0",
    )
    command = (sys.executable, "-m", "tests.fuzz.one", name, *options)
    done = subprocess.run(
        (*command, str(grown), str(CORPUS / name)),
        check=False,
        capture_output=True,
        text=True,
        errors="replace",
    )
    runs = _RUNS.search(done.stderr)
    return int(runs[1]) if runs else 0, (done.stdout + done.stderr) if done.returncode else ""


def main() -> int:
    """Fuzz what the arguments name; returns 1 where something was found."""
    parser = argparse.ArgumentParser(prog="nox -s fuzz --", description=__doc__)
    parser.add_argument("--minutes", type=float, default=10, help="for all targets together")
    parser.add_argument("target", nargs="*", help=f"of: {', '.join(TARGETS)}")
    given = parser.parse_args()
    unknown = [name for name in given.target if name not in TARGETS]
    if unknown:
        parser.error(f"no such target: {unknown[0]}")
    names = given.target or list(TARGETS)
    seconds = max(1, round(given.minutes * 60 / len(names)))
    found = 0
    for name in names:
        runs, finding = fuzz(name, seconds)
        print(
            f"{name:<20} {seconds:>6} s {runs:>10} runs  {'FOUND' if finding else 'ok'}", flush=True
        )
        if finding:
            found += 1
            print(finding[-4000:], file=sys.stderr, flush=True)
    return 1 if found else 0


if __name__ == "__main__":
    sys.exit(main())

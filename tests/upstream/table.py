"""Prints every recorded bump with its verdict: ``python -m tests.upstream.table DATA``."""

from __future__ import annotations

import sys
import tempfile
from collections import Counter
from pathlib import Path

from tests.upstream.outcome import Outcome, outcomes


def main(data: Path) -> int:
    """Run all bumps; returns 1 where one of them stays open."""
    found: list[Outcome] = []
    with tempfile.TemporaryDirectory() as folder:
        for outcome in outcomes(data, Path(folder)):
            found.append(outcome)
            _tell(outcome)
    counted = Counter(outcome.verdict for outcome in found)
    harvester = [o for o in found if any(name.startswith("harvester-") for name in o.bump.moves)]
    _write(", ".join(f"{count} {verdict}" for verdict, count in sorted(counted.items())))
    for name, group in (("all", found), ("Harvester", harvester)):
        good = sum(outcome.verdict != "open" for outcome in group)
        _write(f"{name}: {good} of {len(group)} equal or explained")
    return 1 if counted["open"] else 0


def _tell(outcome: Outcome) -> None:
    moves = ", ".join(f"{n} {old} -> {new}" for n, (old, new) in outcome.bump.moves.items())
    _write(f"{outcome.bump.commit[:10]} {outcome.bump.date} {outcome.verdict:9} {moves}")
    for line in (*outcome.failures, *map(str, outcome.differences)):
        _write(f"    {line}")


def _write(line: str) -> None:
    sys.stdout.write(f"{line}\n")
    sys.stdout.flush()


if __name__ == "__main__":
    sys.exit(main(Path(sys.argv[1])))

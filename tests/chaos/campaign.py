"""A campaign of kills and faults: ``python -m tests.chaos.campaign --events N [--seed S]``.

Each event starts one of the `SCENARIOS` in its lab folder, hurts it at a random
moment, checks what must be so then, and lets it run again. What it has made in
the end is compared with an undisturbed run's.
"""

from __future__ import annotations

import argparse
import contextlib
import os
import random
import signal
import subprocess
import sys
import tempfile
import time
from collections import Counter
from collections.abc import Iterator
from dataclasses import dataclass, field
from pathlib import Path

from rke2pack.cli import EXIT_BUG
from rke2pack.console import Console
from rke2pack.lab import scratch
from rke2pack.settings import Settings
from tests.chaos.scenarios import SCENARIOS, Bench, Scenario, State, copied, fill, make_stale
from tests.settings import settings as settings_of

TIMEOUT = 180
TOLD_EVERY = 25
_SIGNALS = (signal.SIGKILL, signal.SIGKILL, signal.SIGKILL, signal.SIGTERM, signal.SIGINT)
_FILE_LIMITS = (0, 512, 4_096, 40_000)
_OPEN_LIMITS = (12, 24, 48)


class BrokenError(AssertionError):
    """Something that must hold does not."""


@dataclass(kw_only=True)
class Campaign:
    """Runs events in ``folder``; the lab is open while it does."""

    lab: Settings
    folder: Path
    chance: random.Random
    expected: dict[str, tuple[State, State]] = field(default_factory=dict)
    took: dict[str, float] = field(default_factory=dict)
    told: Counter[str] = field(default_factory=Counter)
    number: int = 0

    def event(self, scenario: Scenario) -> None:
        """Hurt one run of a scenario, one to three times, then let it end."""
        if scenario.name not in self.expected:
            self._learn(scenario)
        before, after = self.expected[scenario.name]
        bench = self._bench(scenario)
        for _ in range(self.chance.randint(1, 3)):
            self._hurt(scenario, bench)
            self._check(scenario, bench, before, after)
        done = self._run(bench, scenario.command)
        if done.returncode:
            msg = f"{scenario.name}: the run after it failed: {done.stderr.decode()}"
            raise BrokenError(msg)
        if scenario.state(bench) != after:
            msg = f"{scenario.name}: ended with something else than an undisturbed run"
            raise BrokenError(msg)
        self.told[scenario.name] += 1

    def _learn(self, scenario: Scenario) -> None:
        bench = self._bench(scenario)
        before = scenario.state(bench)
        started = time.monotonic()
        done = self._run(bench, scenario.command)
        self.took[scenario.name] = time.monotonic() - started
        after = scenario.state(bench)
        if done.returncode or before == after:
            msg = f"{scenario.name}: an undisturbed run does nothing: {done.stderr.decode()}"
            raise BrokenError(msg)
        self.expected[scenario.name] = before, after

    def _bench(self, scenario: Scenario) -> Bench:
        self.number += 1
        bench = copied(self.lab, self.folder / f"{self.number}-{scenario.name}", self.number)
        for command in scenario.needs:
            if command == ("stale-list",):
                make_stale(bench)
                continue
            done = self._run(bench, command)
            if done.returncode:
                msg = f"{scenario.name}: {' '.join(command)}: {done.stderr.decode()}"
                raise BrokenError(msg)
        return bench

    def _run(self, bench: Bench, command: tuple[str, ...]) -> subprocess.CompletedProcess[bytes]:
        call = bench.call(*fill(bench, command))
        return subprocess.run(
            call, check=False, capture_output=True, timeout=TIMEOUT, env=_environment()
        )

    def _hurt(self, scenario: Scenario, bench: Bench) -> None:
        kind = self.chance.choice(("signal", "signal", "signal", "file", "open"))
        call = bench.call(*fill(bench, scenario.command))
        process = subprocess.Popen(
            [*_limited(kind, self.chance), *call],
            stdout=subprocess.DEVNULL,
            stderr=subprocess.PIPE,
            env=_environment(),
        )
        if kind == "signal":
            self._kill(scenario, process)
        _, err = process.communicate(timeout=TIMEOUT)
        self.told[kind if process.returncode else "in time"] += 1
        if process.returncode == EXIT_BUG:
            msg = f"{scenario.name}: {kind}: {err.decode()}"
            raise BrokenError(msg)

    def _kill(self, scenario: Scenario, process: subprocess.Popen[bytes]) -> None:
        time.sleep(self.chance.uniform(0.05, self.took[scenario.name] * 1.05))
        with contextlib.suppress(ProcessLookupError):
            os.kill(process.pid, self.chance.choice(_SIGNALS))

    def _check(self, scenario: Scenario, bench: Bench, before: State, after: State) -> None:
        if scenario.is_whole:  # opening the tree finishes what was decided
            self._run(bench, ("images", "--check"))
        found = scenario.state(bench)
        if scenario.is_whole and found not in (before, after):
            msg = f"{scenario.name}: the tree is neither the old one nor the new one"
            raise BrokenError(msg)
        for name, digest in found.items():
            if digest not in {before.get(name), after.get(name)}:
                msg = f"{scenario.name}: {name} is neither as it was nor as it will be"
                raise BrokenError(msg)
        lost = [name for name in before if name in after and name not in found]
        if lost:
            msg = f"{scenario.name}: {lost[0]} is lost"
            raise BrokenError(msg)


def _environment() -> dict[str, str]:
    """Return the environment of every run: a bench is in no git, which would say its date."""
    return {**os.environ, "SOURCE_DATE_EPOCH": "1750000000"}


def _limited(kind: str, chance: random.Random) -> list[str]:
    """Return what a command line begins with that gives a full disk, or few open files."""
    if kind == "file":
        return ["prlimit", f"--fsize={chance.choice(_FILE_LIMITS)}"]
    if kind == "open":
        return ["prlimit", f"--nofile={chance.choice(_OPEN_LIMITS)}"]
    return []


@contextlib.contextmanager
def opened(project: Path, folder: Path, seed: int) -> Iterator[Campaign]:
    """Open a lab on a copy of the project's tree and yield a campaign in it."""
    tree = folder / "project"
    tree.mkdir()
    for name in ("charts-manifest", "images.txt"):
        (tree / name).symlink_to(project / name)
    wanted = settings_of(tree, cache_dir=folder / "cache", is_lab=True)
    console = Console(is_json=False, verbosity=-1, is_github=False)
    with scratch.opened(wanted, console) as lab:
        yield Campaign(lab=lab, folder=folder, chance=random.Random(seed))  # noqa: S311


def main(arguments: list[str]) -> int:
    """Run a campaign and print what it did; returns 1 where something broke."""
    parser = argparse.ArgumentParser(prog="nox -s chaos --")
    parser.add_argument("--events", type=int, default=500)
    parser.add_argument(
        "--seed", type=int, default=None, help="a former campaign's, to see it again"
    )
    parser.add_argument("--only", choices=[scenario.name for scenario in SCENARIOS])
    asked = parser.parse_args(arguments)
    seed = asked.seed if asked.seed is not None else random.SystemRandom().randrange(10**9)
    some = [each for each in SCENARIOS if asked.only in {None, each.name}]
    _write(f"chaos: {asked.events} events, seed {seed}")
    with (
        tempfile.TemporaryDirectory() as folder,
        opened(Path().absolute(), Path(folder), seed) as campaign,
    ):
        broken = 0
        for number in range(asked.events):
            scenario = some[number % len(some)]
            try:
                campaign.event(scenario)
            except BrokenError as exc:
                broken += 1
                _write(f"event {number}, seed {seed}: {exc}")
            if (number + 1) % TOLD_EVERY == 0:
                _write(f"{number + 1} of {asked.events} events, {broken} broken")
    _write(", ".join(f"{name} {count}" for name, count in sorted(campaign.told.items())))
    return 1 if broken else 0


def _write(line: str) -> None:
    sys.stdout.write(f"{line}\n")
    sys.stdout.flush()


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))

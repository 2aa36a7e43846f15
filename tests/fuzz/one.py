"""One target under atheris: ``python -m tests.fuzz.one NAME OPTION...``, libFuzzer's options."""

from __future__ import annotations

import sys

import atheris

with atheris.instrument_imports(include=["rke2pack"]):
    from tests.fuzz import targets


def main() -> None:
    """Fuzz the first argument's target; the others are libFuzzer's."""
    name, *options = sys.argv[1:]
    atheris.Setup([name, *options], lambda data: targets.run(name, data))
    atheris.Fuzz()


main()

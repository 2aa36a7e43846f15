"""``nox -s bench``: rke2pack beside the tools that it replaces, as ratios of one run.

``nox -s bench -- PART OPTIONS`` runs one part (charts, airgap, mirror, memory, validate), with
``--help`` for its options; without a part all run, small.
"""

from __future__ import annotations

import sys

import airgap
import charts
import memory
import mirror
import validate

PARTS = {
    "charts": charts.main,
    "airgap": airgap.main,
    "mirror": mirror.main,
    "memory": memory.main,
    "validate": validate.main,
}


def main() -> None:
    """Run the part that is named, or all."""
    asked = sys.argv[1:]
    if asked and asked[0] in PARTS:
        PARTS[asked[0]](asked[1:])
    elif asked:
        sys.exit(f"{__doc__}\nparts: {', '.join(PARTS)}")
    else:
        for name, part in PARTS.items():
            print(f"== {name}")
            part([])


if __name__ == "__main__":
    main()

"""Builds kind alone, without a node image."""

from __future__ import annotations

from tests.kind.node import programs
from tests.kind.node.places import KIND, once


def main() -> None:
    """Build it, unless it is there in this version."""
    once("kind", [KIND], programs._install_kind)


if __name__ == "__main__":
    main()

"""Which images pull takes from the local docker engine."""

from __future__ import annotations

from collections.abc import Iterable

from rke2pack import wishes
from rke2pack.errors import ConfigError
from rke2pack.oci.store.transfer import Wish


def is_local(wish: Wish, patterns: Iterable[str]) -> bool:
    """Whether a pattern names the image, its repository, or its repository with the registry."""
    return any(wishes.is_named(wish.reference, pattern) for pattern in patterns)


def check_patterns(patterns: tuple[str, ...], local: Iterable[Wish]) -> None:
    """Raise ConfigError for a pattern that names none of the images."""
    for pattern in patterns:
        if not any(is_local(wish, (pattern,)) for wish in local):
            msg = f"--from-engine {pattern}: no image is called so"
            raise ConfigError(msg, hint="name a repository of the list, like rancher/rke2-runtime")

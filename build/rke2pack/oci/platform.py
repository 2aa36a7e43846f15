"""Platform: the machine that an image is for, ``os[(os.version)]/architecture[/variant]``.

Source: OCI image-spec, image-index.md#image-index-property-descriptions; the
short and long spellings are folded as containerd's ``platforms.Normalize`` does.
"""

from __future__ import annotations

import re
from dataclasses import dataclass

from rke2pack.errors import ConfigError

_TEXT = re.compile(
    r"(?P<os>[a-z0-9]+)(?:\((?P<os_version>[0-9A-Za-z._-]+)\))?"
    r"/(?P<architecture>[a-z0-9_-]+)(?:/(?P<variant>[a-z0-9._-]+))?\Z"
)
_OS = {"macos": "darwin"}
_ARCHITECTURES = {
    "i386": "386",
    "x86_64": "amd64",
    "x86-64": "amd64",
    "aarch64": "arm64",
    "armhf": "arm",
    "armel": "arm",
}
_ARM_ALIASES = {"armhf": "v7", "armel": "v6"}
_DEFAULT_VARIANTS = {
    "amd64": frozenset({"v1"}),
    "arm64": frozenset({"8", "v8", "v8.0"}),
}


@dataclass(frozen=True, slots=True, kw_only=True, order=True)
class Platform:
    """One platform, folded to containerd's spelling; ``str()`` parses to the same value.

    An empty field is unknown, or in a wish: any.
    """

    os: str
    architecture: str
    variant: str = ""
    os_version: str = ""

    def __post_init__(self) -> None:
        """Fold spellings: x86_64 is amd64, arm64/v8 is arm64, arm is arm/v7."""
        system, architecture = self.os.lower(), self.architecture.lower()
        object.__setattr__(self, "os", _OS.get(system, system))
        object.__setattr__(self, "architecture", _ARCHITECTURES.get(architecture, architecture))
        object.__setattr__(self, "variant", _variant(architecture, self.variant.lower()))

    @classmethod
    def parse(cls, text: str) -> Platform:
        """Parse ``linux/arm/v7`` or ``windows(10.0.17763)/amd64``; raises ConfigError."""
        match = _TEXT.match(text)
        if match is None:
            msg = f"not a platform: {text[:100]!r}"
            raise ConfigError(msg, hint="write it as linux/amd64 or linux/arm/v7")
        return cls(**{name: value or "" for name, value in match.groupdict().items()})

    def satisfies(self, want: Platform) -> bool:
        """Whether this platform is what ``want`` asks for; its empty fields match any.

        A Windows version matches by its leading parts: 10.0.17763 takes 10.0.17763.5936. An
        image that names no version is for every one.
        """
        return (
            want.os in {"", self.os}
            and want.architecture in {"", self.architecture}
            and want.variant in {"", self.variant}
            and (
                not (self.os_version and want.os_version)
                or f"{self.os_version}.".startswith(f"{want.os_version}.")
            )
        )

    def to_json(self) -> dict[str, str]:
        """Return the object that an index or a config has; empty fields are left out."""
        fields = {
            "architecture": self.architecture,
            "os": self.os,
            "os.version": self.os_version,
            "variant": self.variant,
        }
        return {name: value for name, value in fields.items() if value}

    @property
    def is_unknown(self) -> bool:
        """Whether this is ``unknown/unknown``, which build attestations carry."""
        return (self.os, self.architecture) == ("unknown", "unknown")

    def __str__(self) -> str:
        version = f"({self.os_version})" if self.os_version else ""
        variant = f"/{self.variant}" if self.variant else ""
        return f"{self.os}{version}/{self.architecture}{variant}"


def _variant(architecture: str, variant: str) -> str:
    if architecture in _ARM_ALIASES:
        return _ARM_ALIASES[architecture]
    if architecture == "arm":
        return f"v{(variant or '7').removeprefix('v')}"
    defaults = _DEFAULT_VARIANTS.get(_ARCHITECTURES.get(architecture, architecture), frozenset())
    return "" if variant in defaults else variant

"""Every error that rke2pack raises on purpose.

::

    PackError                1   anything below
    ├── ConfigError          2   the call, the tree or a data file is wrong
    ├── ResolutionError      3   a chart or version does not resolve
    ├── RegistryError        4   a chart repository or registry did not deliver
    │   ├── AuthError        4   credentials are missing or refused
    │   ├── NotFoundError    4   the address answers, the thing is not there
    │   └── RateLimitedError 4   too many requests
    ├── IntegrityError       5   bytes are not what their digest or form promises
    ├── ToolError            6   git, docker, helm or the file system failed
    ├── ValidationError      7   the content is well-formed and wrong
    └── ReleaseError         8   a release cannot be published

The number is the process's exit code and each class is a heading in
docs/errors.md. Ctrl-C exits with 130, a bug with 70 and a traceback.
"""

from __future__ import annotations

from collections.abc import Iterable
from typing import ClassVar

_TELLING = 3  # letters that a part of a name needs to be told by
_SLIP = 0.85  # how much alike a name and its typing error are


def shown(text: str) -> str:
    """Return text with escapes for what a terminal would obey; tabs and line ends stay."""
    if text.isprintable():
        return text
    return "".join(
        c if c.isprintable() or c in "\n\t" else c.encode("unicode_escape").decode() for c in text
    )


def in_line(text: str) -> str:
    """Return text as `shown`, its line ends and tabs too."""
    return shown(text).replace("\n", "\\n").replace("\t", "\\t")


def choice(name: str, known: Iterable[str]) -> str:
    """Return the hint for a name that is none of ``known``: those much like it, or else all."""
    from difflib import get_close_matches  # noqa: PLC0415 - not for what goes well

    names = list(dict.fromkeys(known))
    parts = [each for each in names if len(name) >= _TELLING and name in each]
    slip = get_close_matches(name, names, n=1, cutoff=_SLIP)
    close = slip or parts or get_close_matches(name, names)
    if close:
        return f"did you mean {' or '.join(close)}?"
    return f"choose one of: {', '.join(names)}" if names else "name one that there is"


class PackError(Exception):
    """A failure that names one thing and, where there is one, the next step.

    ``message`` is one line; ``hint`` starts with a verb; ``details`` are
    further lines for people (for example one line per missing image). Whatever
    they quote from outside is `shown`, a message as it is in one line.
    """

    exit_code: ClassVar[int] = 1

    def __init__(
        self, message: str, *, hint: str | None = None, details: tuple[str, ...] = ()
    ) -> None:
        self.message = in_line(message)
        super().__init__(self.message)
        self.hint = None if hint is None else shown(hint)
        self.details = tuple(map(shown, details))


class ConfigError(PackError):
    """The call, the tree or one of its data files is wrong."""

    exit_code = 2


class ResolutionError(PackError):
    """A chart or a version does not resolve."""

    exit_code = 3


class RegistryError(PackError):
    """A chart repository or registry did not deliver.

    ``temporary`` is true where the same request may succeed later.
    """

    exit_code = 4

    def __init__(
        self,
        message: str,
        *,
        hint: str | None = None,
        details: tuple[str, ...] = (),
        temporary: bool = False,
        retry_after: float | None = None,
    ) -> None:
        super().__init__(message, hint=hint, details=details)
        self.temporary = temporary
        self.retry_after = retry_after


class AuthError(RegistryError):
    """Credentials are missing or refused."""


class NotFoundError(RegistryError):
    """The address answers, the thing is not there."""


class RateLimitedError(RegistryError):
    """The server asks for fewer requests."""


class IntegrityError(PackError):
    """Bytes are not what their digest or their form promises; never retried."""

    exit_code = 5


class ToolError(PackError):
    """git, docker, helm or the file system failed."""

    exit_code = 6


class ValidationError(PackError):
    """The content is well-formed and wrong."""

    exit_code = 7


class ReleaseError(PackError):
    """A release cannot be published."""

    exit_code = 8

"""The options of every command that talks to registries, and how it tells of images."""

from __future__ import annotations

import functools
import time
from collections import Counter
from collections.abc import Callable, Iterable, Iterator, Mapping
from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

from rke2pack import files
from rke2pack.console import Console
from rke2pack.errors import ConfigError, IntegrityError, PackError, RegistryError
from rke2pack.files import Cache
from rke2pack.oci.store.layout import VERSION, VERSION_FILE, Layout
from rke2pack.options import current_app
from rke2pack.progress import as_size
from rke2pack.settings import Settings

if TYPE_CHECKING:
    from rke2pack.oci.registry.access import Access

AGAIN = "run it again; what is there already is not fetched again"
_WORTH_TELLING = 5.0
# A blob on its way has a connection and a file at each end; twice as many manifests a connection.
_FILES_A_JOB = 6
_FILES_BESIDE = 64
_OPTIONS = (
    click.option(
        "--jobs",
        type=click.IntRange(1, 64),
        default=4,
        show_default=True,
        help="Blobs on their way at the same time.",
    ),
    click.option(
        "--insecure-registry",
        "insecure",
        multiple=True,
        metavar="HOST[:PORT]",
        help="Allow plain HTTP with this registry (repeatable); loopback is allowed.",
    ),
    click.option(
        "--endpoint",
        "endpoints",
        multiple=True,
        metavar="HOST=ADDRESS",
        help="Ask a mirror instead of a registry; names stay, docker.io=https://... (repeatable).",
    ),
    click.option(
        "--cert-dir",
        type=click.Path(file_okay=False, path_type=Path),
        help="Folder of HOST[:PORT]/ca.crt, NAME.cert and NAME.key.  [default: docker's certs.d]",
    ),
    click.option(
        "--max-requests-per-hour",
        "per_hour",
        type=click.IntRange(1, 1_000_000),
        metavar="N",
        help="Ask no registry more often; wait instead.",
    ),
)


engine_option = click.option(
    "--from-engine",
    "engine_patterns",
    multiple=True,
    metavar="PATTERN",
    help="Take images like rancher/rke2-runtime from the local docker engine (repeatable).",
)
_NAMES = ("insecure", "endpoints", "cert_dir", "per_hour")


def registry_options(function: Callable[..., None]) -> Callable[..., None]:
    """Give a command, below the common options, those of registries.

    It is called with ``access`` and ``jobs``.
    """

    @functools.wraps(function)
    def wrapper(*, settings: Settings, console: Console, **given: Any) -> None:  # noqa: ANN401 - click passes options by name
        own = {name: given.pop(name) for name in _NAMES}
        access = _access(settings, console, jobs=given["jobs"], **own)
        function(settings=settings, console=console, access=access, **given)

    return _with_options(wrapper)


def registry_options_with(
    flag: str, *more: str
) -> Callable[[Callable[..., None]], Callable[..., None]]:
    """Give a command that talks to registries with ``--flag`` alone the options for that.

    It is called with ``access``, a function that makes one, and ``jobs``. Raises
    ConfigError for one of them, or of ``more``, on the command line without the flag.
    """

    def decorated(function: Callable[..., None]) -> Callable[..., None]:
        @functools.wraps(function)
        def wrapper(*, settings: Settings, console: Console, **given: Any) -> None:  # noqa: ANN401 - as above
            own = {name: given.pop(name) for name in _NAMES}
            if not given[flag]:
                _refuse_given(flag, ("jobs", *_NAMES, *more))
            access = functools.partial(_access, settings, console, jobs=given["jobs"], **own)
            function(settings=settings, console=console, access=access, **given)

        return _with_options(wrapper)

    return decorated


def _with_options(wrapper: Callable[..., None]) -> Callable[..., None]:
    for option in reversed(_OPTIONS):
        wrapper = option(wrapper)
    return wrapper


def _refuse_given(flag: str, names: Iterable[str]) -> None:
    """Raise ConfigError for an option of ``names`` that stands on the command line."""
    context = click.get_current_context()
    for option in context.command.params:
        source = context.get_parameter_source(option.name or "")
        if option.name in names and source is click.core.ParameterSource.COMMANDLINE:
            msg = f"{max(option.opts, key=len)}: only with --{flag}"
            raise ConfigError(msg, hint=f"pass --{flag} too, or leave it out")


def _access(
    settings: Settings,
    console: Console,
    *,
    jobs: int,
    insecure: tuple[str, ...],
    endpoints: tuple[str, ...],
    cert_dir: Path | None,
    per_hour: int | None,
) -> Access:
    # Only for those who talk to a registry: not for --help, nor where nothing is fetched.
    from rke2pack.oci.registry import certs  # noqa: PLC0415
    from rke2pack.oci.registry.access import Access  # noqa: PLC0415
    from rke2pack.oci.registry.keychain import Keychain  # noqa: PLC0415

    _allow_files(jobs)
    environment = current_app().environment
    return Access(
        keychain=Keychain(environment),
        ca_file=settings.ca_file,
        cert_folders=certs.folders(environment, own=cert_dir),
        insecure=frozenset(insecure),
        endpoints=_endpoints(settings, endpoints, insecure),
        per_hour=per_hour,
        connections=3 * jobs + 4,
        notify=_notifier(console),
    )


def _allow_files(jobs: int) -> None:
    """Raise ConfigError for more jobs than this process may have files and sockets for."""
    needed = _FILES_A_JOB * jobs + _FILES_BESIDE
    limit = files.allow_open(needed)
    if limit < needed:
        fewer = max(1, (limit - _FILES_BESIDE) // _FILES_A_JOB)
        msg = f"--jobs {jobs}: needs {needed} open files, this process may have {limit}"
        raise ConfigError(msg, hint=f"pass --jobs {fewer}, or allow more with 'ulimit -n {needed}'")


def open_store(settings: Settings, store: Path) -> Layout:
    """Open the image store for writing; the one in the cache folder marks that as a cache."""
    marker, cache = f"{store.name}/{VERSION_FILE}", Cache(settings.cache_dir)
    if store == settings.store and cache.get(marker) is None:
        cache.put(marker, VERSION)
    return Layout.open(store)


def _endpoints(
    settings: Settings, asked: tuple[str, ...], insecure: tuple[str, ...]
) -> Mapping[str, str]:
    from rke2pack.oci.registry import access as accesses  # noqa: PLC0415 - as in _access

    if settings.lab is None:
        return accesses.endpoints(asked, insecure=insecure)
    if asked:
        msg = "--lab brings its own registry, --endpoint cannot go with it"
        raise ConfigError(msg, hint="leave out one of the two")
    return _LabEndpoints(settings.lab.registry)


class _LabEndpoints(Mapping[str, str]):
    """The lab's registry answers for every host: with ``--lab`` no other is ever asked."""

    def __init__(self, address: str) -> None:
        self._address = address

    def __getitem__(self, host: str) -> str:
        return f"{self._address}/{host}"

    def __iter__(self) -> Iterator[str]:
        return iter(())

    def __len__(self) -> int:
        return 0


def _notifier(console: Console) -> Callable[[str, float], None]:
    """Return what tells of a registry's waits, each once."""
    told: dict[str, float] = {}

    def notify(host: str, seconds: float) -> None:
        now = time.monotonic()
        if seconds >= _WORTH_TELLING and now >= told.get(host, 0.0):
            told[host] = now + seconds
            console.line(f"{host}: waiting {seconds:.0f} s before the next request")

    return notify


def tell_sums(console: Console, images: Iterable[tuple[str, int | None]]) -> None:
    """Write a table of the images' statuses; their sizes where they are known."""
    sums: dict[str, list[int | None]] = {}
    for status, size in images:
        sums.setdefault(status, []).append(size)
    rows = [
        (status, str(len(sizes)), as_size(sum(filter(None, sizes))) if any(sizes) else "")
        for status, sizes in sorted(sums.items())
    ]
    console.table(("status", "images", "bytes"), rows)


def tell_failed(console: Console, name: str, error: PackError) -> None:
    """Write the line of an image that failed."""
    reason = error.message
    console.line(f"failed   {reason if reason.startswith(name) else f'{name}: {reason}'}")


def fail(word: str, errors: Mapping[str, PackError], count: int, *, hint: str) -> None:
    """Raise one error for all ``errors`` (image -> error) of ``count`` images; none for none.

    Damage counts more than what was not to be had: the error is an
    IntegrityError where any of them is.
    """
    if not errors:
        return
    if len(errors) == 1:
        only = next(iter(errors.values()))
        only.hint = only.hint or hint
        raise only
    kinds = {type(error) for error in errors.values()}
    hints = {error.hint for error in errors.values()}
    same = hints.pop() if len(hints) == 1 else None
    kind: type[PackError] = kinds.pop() if len(kinds) == 1 else RegistryError
    if any(isinstance(error, IntegrityError) for error in errors.values()):
        kind = IntegrityError
    raise kind(
        f"{word}: {len(errors)} of {count} images failed",
        hint=same or hint,
        details=_folded(errors[name].message for name in sorted(errors)),
    )


def _folded(messages: Iterable[str]) -> tuple[str, ...]:
    """Say once what is the same of several images, such as a registry's refusal."""
    counts = Counter(messages)
    return tuple(f"{text} ({n} images)" if n > 1 else text for text, n in counts.items())

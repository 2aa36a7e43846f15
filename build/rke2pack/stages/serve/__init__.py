"""``serve``: a read-only registry and chart repository over a store or archives."""

from __future__ import annotations

import signal
import ssl
from dataclasses import dataclass
from pathlib import Path

import click

from rke2pack import wording
from rke2pack.console import Console
from rke2pack.errors import ConfigError
from rke2pack.manual import Manual
from rke2pack.oci.server import RegistryServer
from rke2pack.options import server_options
from rke2pack.serving import htpasswd, tls
from rke2pack.serving.connection import Limits
from rke2pack.serving.message import Answerer
from rke2pack.serving.server import Listen, Server
from rke2pack.settings import Settings
from rke2pack.stages.serve import sources
from rke2pack.stages.serve.site import CHARTS, Site

GRACE_SECONDS = 30.0
_SIGNALS = frozenset({signal.SIGINT, signal.SIGTERM})
_FILE = click.Path(dir_okay=False, path_type=Path)
_FOLDER = click.Path(file_okay=False, path_type=Path)


@dataclass(frozen=True, slots=True, kw_only=True)
class Door:
    """Where to listen, and who may come in."""

    listen: Listen
    tls: ssl.SSLContext | None
    users: htpasswd.Users | None
    connections: int

    def server(self, answer: Answerer, console: Console) -> Server:
        """Open the port; raises ToolError."""
        guarded = htpasswd.guarded(answer, self.users) if self.users else answer
        limits = Limits(connections=self.connections)
        return Server(self.listen, guarded, tls=self.tls, limits=limits, tell=console.detail)


@click.command("serve", cls=Manual, short_help="Serve images and charts, read-only.")
@server_options
@click.argument(
    "archives",
    nargs=-1,
    metavar="[ARCHIVE]...",
    type=click.Path(path_type=Path),
)
@click.option(
    "--store",
    type=_FOLDER,
    help="The image store to serve; with archives, where they are unpacked to and kept.  "
    "[default: store/ in the cache folder; with archives, a temporary one]",
)
@click.option(
    "--charts",
    type=_FOLDER,
    help="Folder of charts (.tgz, or a chart repository).  [default: the downloaded charts]",
)
@click.option(
    "--listen",
    metavar="HOST:PORT",
    default="127.0.0.1:5000",
    show_default=True,
    help="Where to listen; port 0 is a free one.",
)
@click.option("--tls-cert", type=_FILE, help="Certificate with its chain, PEM.")
@click.option("--tls-key", type=_FILE, help="Key of the certificate, PEM.")
@click.option(
    "--htpasswd",
    "passwords",
    type=_FILE,
    help="Let in only the users of this file (bcrypt, as 'htpasswd -B' writes).",
)
@click.option(
    "--insecure",
    "is_insecure",
    is_flag=True,
    help="Serve without TLS on an address that other machines reach.",
)
@click.option(
    "--max-connections",
    "connections",
    type=click.IntRange(1, 10_000),
    default=256,
    show_default=True,
    help="Clients at the same time; more have to wait.",
)
def command(
    *,
    settings: Settings,
    console: Console,
    archives: tuple[Path, ...],
    store: Path | None,
    charts: Path | None,
    listen: str,
    tls_cert: Path | None,
    tls_key: Path | None,
    passwords: Path | None,
    is_insecure: bool,
    connections: int,
) -> None:
    """Serve the image store, or ARCHIVEs, as a registry, and charts as a chart repository.

    ARCHIVE is an archive, a part of one, a folder of archives, or one that is
    an OCI layout.
    Nothing can be written. Images keep the path of their name without its
    host: docker.io/rancher/x:v1 is HOST:PORT/rancher/x:v1. Ctrl-C and SIGTERM
    end it, after the answers that are under way.
    """
    door = Door(
        listen=_listen(listen, has_tls=tls_cert is not None, is_insecure=is_insecure),
        tls=_tls(tls_cert, tls_key),
        users=htpasswd.Users.read(passwords) if passwords else None,
        connections=connections,
    )
    shelf = sources.shelf(settings, charts)
    with sources.layout(settings, archives, store, console) as layout:
        _serve(Site(registry=RegistryServer(layout), shelf=shelf), door, console)


def _serve(site: Site, door: Door, console: Console) -> None:
    # Threads inherit the mask, so that the signals are this thread's alone.
    before = signal.pthread_sigmask(signal.SIG_BLOCK, _SIGNALS)
    try:
        server = door.server(site, console)
        server.start()
        try:
            _announce(site, server, console)
            got = signal.Signals(signal.sigwait(_SIGNALS))
        except KeyboardInterrupt as exc:  # a thread of the lab was given the signal
            got = getattr(exc, "number", signal.SIGINT)
    finally:
        signal.pthread_sigmask(signal.SIG_SETMASK, before)
    console.step(f"serve: {got.name}, finishing what is under way")
    if not server.stop(seconds=GRACE_SECONDS):
        console.line(f"answers cut off that took longer than {GRACE_SECONDS:.0f} s")


def _announce(site: Site, server: Server, console: Console) -> None:
    catalog = site.registry.catalog
    tags = sum(len(each.tags) for each in catalog.repositories.values())
    has_charts = site.shelf is not None
    images = wording.count(tags, "image")
    console.step(f"serve: {images} of {site.registry.layout.root} at {server.url}")
    if not tags:
        console.line("no image yet: 'rke2pack pull' fills the store; or name archives to serve")
    for name in catalog.unnamed:
        console.line(f"left out  {name}: a registry has no place for this name")
    if site.shelf is not None:
        console.line(f"charts at {server.url}{CHARTS}")
        for problem in () if site.shelf.has_index else site.shelf.problems:
            console.line(f"left out  {problem}")
    document = {
        "address": server.url,
        "registry": str(server.listen),
        "charts": f"{server.url}{CHARTS}" if has_charts else None,
        "store": str(site.registry.layout.root),
        "images": tags,
        "repositories": len(catalog.repositories),
    }
    console.document(document)


def _listen(text: str, *, has_tls: bool, is_insecure: bool) -> Listen:
    listen = Listen.parse(text)
    if not (listen.is_loopback or has_tls or is_insecure):
        msg = f"--listen {listen}: other machines reach it, and there is no TLS"
        raise ConfigError(msg, hint="give --tls-cert and --tls-key, or allow it with --insecure")
    return listen


def _tls(certificate: Path | None, key: Path | None) -> ssl.SSLContext | None:
    if certificate is not None and key is not None:
        return tls.context(certificate, key)
    if certificate is not None or key is not None:
        msg = "--tls-cert and --tls-key go together"
        raise ConfigError(msg, hint="give both, or neither")
    return None

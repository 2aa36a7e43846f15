"""``lab``: one release's work, from a bump to archives and mirrors, without a network."""

from __future__ import annotations

import contextlib
import sys
from collections.abc import Callable, Iterator
from dataclasses import dataclass, replace
from pathlib import Path

import click

from rke2pack.console import Console
from rke2pack.errors import ToolError
from rke2pack.lab import claims, releasing, scratch
from rke2pack.manual import Manual
from rke2pack.options import App, chart_options, current_app
from rke2pack.settings import Settings
from rke2pack.stages.airgap import command as airgap
from rke2pack.stages.bump import command as bump
from rke2pack.stages.changelog import command as changelog
from rke2pack.stages.charts import command as charts
from rke2pack.stages.delta import command as delta
from rke2pack.stages.diff import command as diff
from rke2pack.stages.images import command as images
from rke2pack.stages.merge import command as merge
from rke2pack.stages.mirror import command as mirror
from rke2pack.stages.plan import command as plan
from rke2pack.stages.pull import command as pull
from rke2pack.stages.release import command as release
from rke2pack.stages.report import command as report
from rke2pack.stages.validate import command as validate
from rke2pack.stages.verify import command as verify
from rke2pack.tree.native import NativeTree

CHART, COMPONENT = "harvester-cloud-provider", "harvester"
_OLD, _NEW, _DELTA = "{tree}/dist/old", "{tree}/dist/artifacts", "{tree}/dist/deltas"
_BEFORE, _RELEASE = f"{{tree}}/{releasing.BEFORE}", "{tree}/dist/release"
_ARCHIVE = f"rke2-images-{COMPONENT}.linux-amd64.tar.zst"
_ONE = ("--component", COMPONENT, "--quiet")
_FAST = ("--profile", "fast", "--max-size", "50kB", "--quiet")
_WHOLE = ("{tag}", "--since", _BEFORE, "--attach", "{tree}/dist/report.html", "--spdx")
_SHARDS, _MERGED = f"{{tree}}/{claims.SHARDS}", f"{{tree}}/{claims.MERGED}"


@dataclass(frozen=True, slots=True, kw_only=True)
class Step:
    """One command line, which must end well, and what else is claimed of it.

    ``{tree}`` in an argument stands for the scratch tree. ``keeps`` is a folder
    (``{cache}``: of the cache) that the step leaves as it is, to the byte.
    ``before`` is done first.
    """

    command: click.Command
    arguments: tuple[str, ...] = ()
    claim: str = ""
    check: Callable[[Settings], bool] | None = None
    keeps: str = ""
    before: Callable[[Settings], None] | None = None


STEPS = (
    Step(command=images, arguments=("--check", "--quiet"), claim="images.txt fits the charts"),
    Step(command=pull, arguments=_ONE),
    Step(command=airgap, arguments=(*_ONE, "--profile", "fast", "--output", _OLD)),
    Step(command=diff, arguments=(CHART, "0.2.9", "0.2.11")),
    Step(
        command=bump,
        arguments=("--allow-downgrade", CHART, "0.2.10"),
        before=releasing.remember,
    ),
    Step(command=bump, arguments=(CHART, "0.2.11")),
    Step(command=images, arguments=("--check", "--quiet"), claim="images.txt fits the charts"),
    Step(command=charts),
    Step(command=charts, claim="the same bytes again", keeps="{tree}/dist/charts"),
    Step(
        command=images,
        arguments=("--verify-registry", "--quiet"),
        claim="every image starts a program that is for its platform",
    ),
    Step(command=images, arguments=("--lock", "--quiet")),
    Step(
        command=pull,
        arguments=("--quiet",),
        claim="every image of images.txt is in the store",
        check=claims.is_pulled,
    ),
    Step(
        command=pull,
        arguments=("--quiet",),
        claim="a second pull fetches nothing",
        keeps="{cache}/store",
    ),
    Step(
        command=airgap,
        arguments=_FAST,
        claim="archives of every component",
        check=claims.has_archives,
    ),
    Step(command=airgap, arguments=_FAST, claim="nothing is built twice", keeps=_NEW),
    Step(command=plan, arguments=("--shards", "2")),
    Step(command=airgap, arguments=("--shard", "1/2", "--output", f"{_SHARDS}/1", *_FAST)),
    Step(command=airgap, arguments=("--shard", "2/2", "--output", f"{_SHARDS}/2", *_FAST)),
    Step(
        command=merge,
        arguments=(_SHARDS, "--output", _MERGED, "--quiet"),
        claim="two shards make the bytes of one run",
        check=claims.is_merged,
    ),
    Step(
        command=verify,
        arguments=(_NEW, "--against", "{tree}/images.lock", "--quiet"),
        claim="every byte proves itself, every digest is the one of images.lock",
    ),
    Step(command=changelog, arguments=(_BEFORE, "{tree}", "--quiet")),
    Step(command=validate, arguments=("--quiet",), claim="nothing fails on any row of the matrix"),
    Step(
        command=report,
        arguments=("--against", _BEFORE, "--history", "{tree}/dist/sizes.json", "--quiet"),
        claim="one page that shows all of it",
        check=claims.has_page,
    ),
    Step(
        command=release,
        arguments=_WHOLE,
        claim="a release in one folder, signed",
        check=claims.is_released,
    ),
    Step(
        command=release,
        arguments=(*_WHOLE, "--quiet"),
        claim="the same release, to the byte",
        keeps=_RELEASE,
    ),
    Step(
        command=verify,
        arguments=(_RELEASE, "--key", f"{{tree}}/{releasing.PUBLIC_KEY}", "--quiet"),
        claim="the provenance names every file, and the key has signed it",
    ),
    Step(
        command=delta,
        arguments=(f"{_OLD}/{_ARCHIVE}", f"{_NEW}/{_ARCHIVE}", "--output", _DELTA),
    ),
    Step(
        command=verify,
        arguments=(_DELTA, "--base", f"{_OLD}/{_ARCHIVE}", "--quiet"),
        claim="the delta and its base are whole",
    ),
    Step(
        command=mirror,
        arguments=(claims.TARGET, *_ONE),
        claim=f"{claims.TARGET} has the images with their digests",
        check=claims.is_mirrored,
    ),
    Step(command=mirror, arguments=(claims.TARGET, *_ONE), claim="a second mirror sends nothing",
         keeps="{lab}"),
)  # fmt: skip


@click.command("lab", cls=Manual, short_help="Show everything on this machine, without a network.")
@chart_options
def command(*, settings: Settings, console: Console) -> None:
    """Run every command on the built-in charts and images, in one scratch copy of the tree.

    Each step says what it shows, and that is checked. The scratch copy stays in dist/lab/ to
    look at.
    """
    if settings.is_lab:
        _walk(settings, console)
        return
    with scratch.opened(replace(settings, is_lab=True), console) as lab_settings:
        _walk(lab_settings, console)


def _walk(settings: Settings, console: Console) -> None:
    app = _app(settings)
    for step in STEPS:
        _run(step, settings, console, app)
    console.document(
        {
            "steps": [[str(step.command.name), *step.arguments] for step in STEPS],
            "claims": [step.claim for step in STEPS if step.claim],
        }
    )
    console.step(f"lab: {len(STEPS)} steps, all as they should be; the tree is in {settings.tree}")


def _run(step: Step, settings: Settings, console: Console, app: App) -> None:
    """Run one command in the lab that is open, echoed as a user would type it; check its claim."""
    name, arguments = str(step.command.name), [_filled(each, settings) for each in step.arguments]
    console.line()
    console.step(f"+ rke2pack {name} {' '.join(arguments)}".rstrip())
    if step.before:
        step.before(settings)
    kept = Path(_filled(step.keeps, settings)) if step.keeps else None
    before = claims.state(kept) if kept else {}
    # Stdout is for the tour's own document.
    with contextlib.redirect_stdout(sys.stderr) if console.is_json else contextlib.nullcontext():
        status = step.command.main(
            [*arguments, *_options(step.command, settings, console)],
            name,
            standalone_mode=False,
            obj=app,
        )
    if status:
        msg = f"{name}: ended with {status}"
        raise ToolError(msg)
    is_kept = kept is None or (bool(before) and claims.state(kept) == before)
    claims.demand(
        step.claim, is_so=is_kept and (step.check is None or step.check(_own(step, settings)))
    )
    if step.claim:
        console.line(f"so: {step.claim}")


def _filled(text: str, settings: Settings) -> str:
    lab = settings.lab.fill() if settings.lab and "{lab}" in text else ""
    tag = NativeTree.open(settings.tree).environment["RKE2_VERSION"] if "{tag}" in text else ""
    return text.format(tree=settings.tree, cache=settings.cache_dir, lab=lab, tag=tag)


def _own(step: Step, settings: Settings) -> Settings:
    """Return the settings with the step's own component."""
    return replace(settings, components=(COMPONENT,)) if COMPONENT in step.arguments else settings


def _options(command: click.Command, settings: Settings, console: Console) -> Iterator[str]:
    names = {parameter.name for parameter in command.params}
    if "is_lab" in names:
        yield "--lab"
    elif "cache_dir" in names:
        yield f"--cache-dir={settings.cache_dir}"
    if console.verbosity < 0 or console.is_json:
        yield "--quiet"


def _app(settings: Settings) -> App:
    """Return an App whose lab is the one that is open already, with a key to sign a release."""

    @contextlib.contextmanager
    def open_lab(asked: Settings, _: Console) -> Iterator[Settings]:
        yield replace(
            asked,
            tree=settings.tree,
            charts_repo=settings.charts_repo,
            cache_dir=settings.cache_dir,
            lab=settings.lab,
            is_offline=False,
        )

    app = current_app()
    environment = {**app.environment, **releasing.environment(settings.tree)}
    return replace(app, open_lab=open_lab, environment=environment)

"""The command line: the only place that exits and reads the environment.

Every word of `WORDS` is a command in ``rke2pack.stages.<word>`` and a nox
session; its module is imported only when the word is used.
"""

from __future__ import annotations

import contextlib
import gc
import importlib
import os
import signal
import sys
from collections.abc import Iterator
from pathlib import Path
from types import FrameType
from typing import TYPE_CHECKING, NoReturn

import click

from rke2pack import __version__, completion
from rke2pack.address import hidden
from rke2pack.console import Console
from rke2pack.errors import ConfigError, PackError
from rke2pack.options import App
from rke2pack.settings import Settings

if TYPE_CHECKING:
    from click.shell_completion import CompletionItem

WORDS = {
    "airgap": "Make archives for nodes without a network, from the image store.",
    "audit": "Compare the lists of a rancher/rke2 checkout with what its charts need.",
    "bump": "Move a bundled chart to another version: versions, manifest, lists.",
    "cache": "Look after the image store, or let it travel: gc, verify, stats, push, pull.",
    "changelog": "Tell what differs between two trees or tags.",
    "charts": "Build the HelmChart manifests with chartContent.",
    "delta": "Make an archive with only what changed between two.",
    "diff": "Explain what changes between two versions of a chart.",
    "images": "Lists of images: regenerate, check, lock, and verify in their registries.",
    "lab": "Show everything on this machine, without a network.",
    "merge": "Put together what the shards of airgap have made.",
    "mirror": "Copy images into another registry, digests kept.",
    "plan": "Split the work into shards, for a matrix of jobs.",
    "propose": "Push branches of bump --lines and open pull requests.",
    "pull": "Bring images into the image store, verified.",
    "release": "Put a release into one folder, described and signed; and publish it.",
    "report": "Make one page to look at: sizes, images, changes, checks, history.",
    "serve": "Serve images and charts, read-only, as a registry and a chart repository.",
    "validate": "Check the bundled charts against the rows of the support matrix.",
    "verify": "Prove archives and release folders from their own bytes.",
}
EXIT_BUG = 70
_ENDING = (signal.SIGINT, signal.SIGTERM, signal.SIGHUP)


class _EndedError(KeyboardInterrupt):
    """Ctrl-C, a CI service or a closed terminal ends the run.

    As KeyboardInterrupt it passes everything that catches errors, and clears up as that does.
    """

    def __init__(self, number: signal.Signals) -> None:
        super().__init__()
        self.number = number


# The number alone: the error would keep alive all that it has passed.
_came: list[signal.Signals] = []


class _Words(click.Group):
    """A group whose commands live in `rke2pack.stages`, imported on use."""

    def list_commands(self, ctx: click.Context) -> list[str]:  # noqa: ARG002 - click's signature
        return list(WORDS)

    def get_command(self, ctx: click.Context, cmd_name: str) -> click.Command | None:  # noqa: ARG002
        if cmd_name not in WORDS:
            return None
        # The lab walks through the other words, so it stands above the stages.
        module = "rke2pack.lab.tour" if cmd_name == "lab" else f"rke2pack.stages.{cmd_name}"
        command: click.Command = importlib.import_module(module).command
        _name_variables(cmd_name, command)
        return command

    def resolve_command(
        self, ctx: click.Context, args: list[str]
    ) -> tuple[str | None, click.Command | None, list[str]]:
        word = args[0]
        if word not in WORDS and not word.startswith("-") and not ctx.resilient_parsing:
            raise click.UsageError(f"No such command {word!r}.{_meant(word)}", ctx=ctx)
        return super().resolve_command(ctx, args)

    def shell_complete(self, ctx: click.Context, incomplete: str) -> list[CompletionItem]:
        """Complete words without importing one."""
        from click.shell_completion import CompletionItem  # noqa: PLC0415 - only for a shell

        words = (word for word in WORDS if word.startswith(incomplete))
        options = click.Command.shell_complete(self, ctx, incomplete)
        return [*(CompletionItem(word, help=WORDS[word]) for word in words), *options]

    def format_commands(self, ctx: click.Context, formatter: click.HelpFormatter) -> None:  # noqa: ARG002
        with formatter.section("Commands"):
            formatter.write_dl(list(WORDS.items()))


def _meant(word: str) -> str:
    from difflib import get_close_matches  # noqa: PLC0415 - not for what goes well

    close = get_close_matches(word, WORDS, n=1)
    return f" Did you mean {close[0]!r}?" if close else ""


def _name_variables(word: str, command: click.Command) -> None:
    """Give every option of a command, and of the commands below it, its variable."""
    for option in command.params:
        option.envvar = _variable(word, option)
    if isinstance(command, click.Group):
        for name, each in command.commands.items():
            _name_variables(f"{word}_{name}", each)


def _variable(word: str, option: click.Parameter) -> str | None:
    """Name an option's environment variable as the option is called, not its Python name."""
    if not isinstance(option, click.Option):
        return None
    longest = max(option.opts, key=len).removeprefix("--")
    return f"RKE2PACK_{word}_{longest}".replace("-", "_").upper()


@click.group(
    cls=_Words, context_settings={"help_option_names": ["-h", "--help"], "max_content_width": 100}
)
@click.version_option(__version__, prog_name="rke2pack")
def cli() -> None:
    """Package RKE2's charts and images: one command from a chart's version to the release.

    'rke2pack COMMAND --help' is the manual of a command, with examples; 'rke2pack
    lab' shows all of them on this machine. Every option can be set by an
    environment variable, for example RKE2PACK_BUMP_CHARTS_REPO. Exit codes:
    docs/errors.md. Completion for your shell: README.md.
    """


def main() -> None:
    """Run the command line and exit with the code that docs/errors.md lists."""
    gc.set_threshold(50_000)  # what loading makes stays, and is not worth searching each time
    for number in _ENDING:
        if signal.getsignal(number) is not signal.SIG_IGN:  # as under nohup
            signal.signal(number, _end)
    instruction = os.environ.get(completion.VARIABLE)
    code = completion.answer(cli, instruction) if instruction else run(sys.argv[1:])
    gc.freeze()  # what is left is not searched for cycles once more, only to end
    sys.exit(code)


def _end(number: int, _: FrameType | None) -> NoReturn:
    # What this catches half made cannot be taken down in order, and says so where nobody asks.
    sys.unraisablehook = lambda _: None
    _came.append(signal.Signals(number))
    raise _EndedError(signal.Signals(number))


def run(arguments: list[str]) -> int:
    """Run one command line and return its exit code."""
    app = App(
        is_github=os.environ.get("GITHUB_ACTIONS") == "true",
        default_cache_dir=_default_cache_dir,
        open_lab=_open_lab,
        environment=os.environ,
    )
    context: click.Context | None = None
    try:
        context = cli.make_context("rke2pack", list(arguments), obj=app)
        with context:
            cli.invoke(context)
    except click.exceptions.Exit as exc:
        return exc.exit_code
    except (click.Abort, KeyboardInterrupt) as exc:
        return _interrupted(_console(context, arguments, app), exc)
    except Exception as exc:  # noqa: BLE001 - the last line of defence
        return _failed(_console(context, arguments, app), exc)
    return 0


def _failed(console: Console, exc: Exception) -> int:
    """Tell of an error; called where the exception is handled."""
    # Python makes another error of what ends a run where its C code imports or makes a class.
    if _came:
        return _interrupted(console, _EndedError(_came[0]))
    if isinstance(exc, click.ClickException):
        _tell_wrong_call(exc, console)
        return ConfigError.exit_code
    if isinstance(exc, PackError):
        console.error(exc)
        return exc.exit_code
    return _unforeseen(console, exc)


def _unforeseen(console: Console, exc: Exception) -> int:
    """Tell of a bug, whole."""
    import traceback  # noqa: PLC0415 - not for what goes well

    sys.stderr.write(hidden(traceback.format_exc()))
    sys.stderr.write("error: this is a bug in rke2pack; please report it with the lines above\n")
    console.failure("Bug", EXIT_BUG, hidden(f"{type(exc).__name__}: {exc}"))
    return EXIT_BUG


def _interrupted(console: Console, exc: BaseException) -> int:
    """Say what ended the run, and return 128 and the signal's number as shells do."""
    number = exc.number if isinstance(exc, _EndedError) else signal.SIGINT
    said = "interrupted" if number == signal.SIGINT else f"ended by {number.name}"
    sys.stderr.write(f"{said}\n")
    console.failure("Interrupted", 128 + number, said)
    return 128 + number


def _tell_wrong_call(exc: click.ClickException, console: Console) -> None:
    """Say what click says of a call in the form of every other error."""
    if isinstance(exc, click.exceptions.NoArgsIsHelpError):
        exc.show()
        return
    context = exc.ctx if isinstance(exc, click.UsageError) else None
    path = context.command_path if context else "rke2pack"
    message = " ".join(exc.format_message().split())
    lacks = isinstance(exc, click.MissingParameter) and context is not None
    usage = (" ".join(context.get_usage().split()),) if context and lacks else ()
    console.error(ConfigError(message, hint=f"see '{path} --help'", details=usage))


def _console(context: click.Context | None, arguments: list[str], app: App) -> Console:
    """Return the command's console, or one that the arguments ask for where it came to none."""
    console = context.meta.get("rke2pack.console") if context else None
    return console or Console(is_json="--json" in arguments, is_github=app.is_github)


def _default_cache_dir() -> Path:
    import platformdirs  # noqa: PLC0415 - keeps --help quick

    return Path(platformdirs.user_cache_dir("rke2pack", appauthor=False))


@contextlib.contextmanager
def _open_lab(settings: Settings, console: Console) -> Iterator[Settings]:
    from rke2pack.lab import scratch  # noqa: PLC0415 - only for --lab

    with scratch.opened(settings, console) as lab_settings:
        yield lab_settings

from __future__ import annotations

import errno
import io
import json
import os
import subprocess
import sys

import pytest

from rke2pack.console import Console
from rke2pack.errors import ResolutionError
from rke2pack.finding import Finding

FINDING = Finding(severity="warning", check="c", subject="s", expected="100 %", got="a\nb")
ERROR = ResolutionError("no chart", hint="choose one", details=("one", "two"))


def test_people_read_stderr_and_programs_stdout(capsys: pytest.CaptureFixture[str]) -> None:
    console = Console(verbosity=1)
    console.step("step")
    console.line("line")
    console.detail("detail")
    console.data("data\n")
    console.document({"a": 1})
    assert capsys.readouterr() == ("data\n", "step\nline\ndetail\n")


@pytest.mark.parametrize(("verbosity", "shown"), [(-1, ""), (0, "s\nl\n"), (1, "s\nl\nd\n")])
def test_verbosity_says_more_or_less(
    capsys: pytest.CaptureFixture[str], verbosity: int, shown: str
) -> None:
    console = Console(verbosity=verbosity)
    console.step("s")
    console.line("l")
    console.detail("d")
    assert capsys.readouterr().err == shown


def test_quiet_still_says_errors(capsys: pytest.CaptureFixture[str]) -> None:
    error = Finding(severity="error", check="c", subject="broken", expected="x", got="y")
    console = Console(verbosity=-1)
    console.findings([FINDING, error])
    console.error(ERROR)
    shown = capsys.readouterr().err
    assert str(error) in shown
    assert str(FINDING) not in shown
    assert "error: no chart\n  one\n  two\nhint: choose one\n" in shown


def test_json_is_one_document(capsys: pytest.CaptureFixture[str]) -> None:
    console = Console(is_json=True)
    console.data("data\n")
    console.document({"name": "é"})
    console.error(ERROR)
    out = capsys.readouterr().out
    assert json.loads(out) == {"name": "é"}
    assert "é" in out


def test_error_is_the_document_where_there_is_no_other(capsys: pytest.CaptureFixture[str]) -> None:
    Console(is_json=True).error(ERROR)
    assert json.loads(capsys.readouterr().out) == {
        "error": {
            "kind": "ResolutionError",
            "exit_code": 3,
            "message": "no chart",
            "hint": "choose one",
            "details": ["one", "two"],
        }
    }


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("::error::x", r"\x3a:error::x"),
        ("  ::stop-commands::x", r"  \x3a:stop-commands::x"),
        ("a\n\t::add-mask::x", "a\n\t\\x3a:add-mask::x"),
        ("a ##[group]x", r"a \x23#[group]x"),
        ("a::b and ## [c]", "a::b and ## [c]"),
    ],
)
def test_text_from_outside_is_no_command_to_github(
    text: str, expected: str, capsys: pytest.CaptureFixture[str]
) -> None:
    Console(is_github=True).line(text)
    assert capsys.readouterr().err == f"{expected}\n"
    Console().line(text)
    assert capsys.readouterr().err == f"{text}\n"


def test_github_gets_annotations_on_one_line(capsys: pytest.CaptureFixture[str]) -> None:
    console = Console(is_github=True)
    console.findings([FINDING])
    console.error(ERROR)
    lines = capsys.readouterr().err.splitlines()
    assert "::error::no chart" in lines
    (warning,) = (line for line in lines if line.startswith("::warning::"))
    assert "100 %25" in warning
    assert "a%0Ab" in warning


class Screen(io.StringIO):
    def isatty(self) -> bool:
        return True


def screen(monkeypatch: pytest.MonkeyPatch) -> Screen:
    """Make stderr a terminal; no fixture, as pytest sets stderr anew between it and the test."""
    found = Screen()
    monkeypatch.setenv("TERM", "xterm-256color")
    monkeypatch.setattr(sys, "stderr", found)
    return found


def test_terminal_gets_styles(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv("NO_COLOR")
    shown = screen(monkeypatch)
    console = Console(verbosity=1)
    console.step("step")
    console.line("docker.io/a:key:b [bold]")
    console.detail("detail")
    console.error(ERROR)
    assert shown.getvalue() == (
        "\x1b[1mstep\x1b[0m\ndocker.io/a:key:b [bold]\n\x1b[2mdetail\x1b[0m\n"
        "\x1b[1;31merror: no chart\x1b[0m\n  one\n  two\nhint: choose one\n"
    )


def test_no_color_leaves_out_bold_and_dim_as_well(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("NO_COLOR", "1")
    shown = screen(monkeypatch)
    console = Console(verbosity=1)
    console.step("step")
    console.detail("detail")
    console.findings([FINDING])
    console.error(ERROR)
    assert shown.getvalue() == (
        f"step\ndetail\n{FINDING}\nerror: no chart\n  one\n  two\nhint: choose one\n"
    )


@pytest.mark.parametrize(("target", "reason"), [("pipe", errno.EPIPE), ("/dev/full", errno.ENOSPC)])
def test_stdout_that_takes_nothing_is_an_error(target: str, reason: int) -> None:
    program = (
        "from rke2pack.console import Console; from rke2pack.errors import ToolError\n"
        "import sys\n"
        "try: Console().data('a' * 100000)\n"
        "except ToolError as exc: sys.exit(exc.message)\n"
    )
    if target == "pipe":
        reader, writer = os.pipe()
        os.close(reader)
    else:
        writer = os.open(target, os.O_WRONLY)
    done = subprocess.run(
        [sys.executable, "-c", program],
        stdout=writer,
        stderr=subprocess.PIPE,
        text=True,
        check=False,
    )
    os.close(writer)
    assert done.returncode == 1
    assert done.stderr == f"cannot write to stdout: {os.strerror(reason)}\n"


def test_table_is_aligned(capsys: pytest.CaptureFixture[str]) -> None:
    Console().table(
        ("status", "images", "bytes"), [("copied", "12", "1.2 GB"), ("failed", "1", "")]
    )
    assert capsys.readouterr().err == (
        "status  images   bytes\ncopied      12  1.2 GB\nfailed       1\n"
    )

"""What ends a run is told as that, wherever it comes from."""

from __future__ import annotations

import contextlib
import importlib
import signal
import sys
from collections.abc import Callable
from typing import NoReturn

import pytest

from rke2pack import cli
from rke2pack.errors import RegistryError


def interrupted(*_arguments: object) -> NoReturn:
    raise KeyboardInterrupt


def while_a_class_is_made(*_arguments: object) -> NoReturn:
    """As Python 3.11 tells of a signal that comes in ``__set_name__``."""
    try:
        cli._end(signal.SIGINT, None)
    except KeyboardInterrupt as exc:
        msg = "Error calling __set_name__ on 'Field' instance 'whole' in '_Reading'"
        raise RuntimeError(msg) from exc


def while_c_imports(*_arguments: object) -> NoReturn:
    """As PyCapsule_Import tells of a signal: without what it was."""
    with contextlib.suppress(KeyboardInterrupt):
        cli._end(signal.SIGINT, None)
    msg = 'PyCapsule_Import could not import module "_socket"'
    raise ImportError(msg)


def while_a_library_tries_without(*_arguments: object) -> NoReturn:
    """As a library that does without what it could not import, and fails for that."""
    with contextlib.suppress(KeyboardInterrupt):
        cli._end(signal.SIGINT, None)
    msg = "TLS is not there"
    raise RegistryError(msg)


@pytest.fixture(autouse=True)
def no_signal_came(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(cli, "_came", [])
    monkeypatch.setattr(sys, "unraisablehook", sys.unraisablehook)


@pytest.mark.parametrize(
    "ending",
    [
        interrupted,
        while_a_class_is_made,
        while_c_imports,
        while_a_library_tries_without,
    ],
)
def test_ctrl_c_while_modules_are_imported_is_no_bug(
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
    ending: Callable[..., NoReturn],
) -> None:
    monkeypatch.setattr(importlib, "import_module", ending)
    assert cli.run(["delta", "a", "b", "--quiet"]) == 130
    assert capsys.readouterr().err == "interrupted\n"


def test_another_cause_stays_a_bug(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    def broken(*_arguments: object) -> NoReturn:
        msg = "wrong"
        raise RuntimeError(msg) from ValueError("why")

    monkeypatch.setattr(importlib, "import_module", broken)
    assert cli.run(["delta", "a", "b", "--quiet"]) == cli.EXIT_BUG
    assert "this is a bug in rke2pack" in capsys.readouterr().err

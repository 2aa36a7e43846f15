"""What ends a run is told as that, wherever it comes from."""

from __future__ import annotations

import importlib
from collections.abc import Callable
from typing import NoReturn

import pytest

from rke2pack import cli


def interrupted(*_arguments: object) -> NoReturn:
    raise KeyboardInterrupt


def while_a_class_is_made(*_arguments: object) -> NoReturn:
    """As Python 3.11 tells of a signal that comes in ``__set_name__``."""
    msg = "Error calling __set_name__ on 'Field' instance 'whole' in '_Reading'"
    raise RuntimeError(msg) from KeyboardInterrupt()


@pytest.mark.parametrize("ending", [interrupted, while_a_class_is_made])
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

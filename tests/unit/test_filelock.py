"""Locks of files: one holder or several together, and nothing left behind."""

from __future__ import annotations

import os
from pathlib import Path

import pytest

from rke2pack import filelock
from rke2pack.errors import ToolError

BUSY = "x: another rke2pack has it"


@pytest.fixture
def path(tmp_path: Path) -> Path:
    return tmp_path / "new" / ".lock"


def test_one_holds_and_the_second_is_told_what_to_do(path: Path) -> None:
    with filelock.held(path, busy=BUSY):
        assert filelock.is_held(path)
        with pytest.raises(ToolError) as error, filelock.held(path, busy=BUSY):
            pytest.fail("two hold it")
        assert (error.value.message, error.value.hint) == (BUSY, filelock.HINT)
    assert not filelock.is_held(path)
    assert not path.exists()


def test_several_hold_together_and_the_last_one_clears_up(path: Path) -> None:
    with filelock.held(path, busy=BUSY, is_shared=True):
        with filelock.held(path, busy=BUSY, is_shared=True):
            with pytest.raises(ToolError, match=BUSY), filelock.held(path, busy=BUSY):
                pytest.fail("alone beside two")
            assert filelock.is_held(path)
        assert path.exists()
        assert filelock.is_held(path)
    assert not path.exists()


def test_who_waits_gets_it_when_the_holder_lets_go(path: Path) -> None:
    holder = filelock.held(path, busy=BUSY)
    holder.__enter__()
    pauses: list[float] = []

    def wait(seconds: float) -> None:
        pauses.append(seconds)
        if len(pauses) == 3:
            holder.__exit__(None, None, None)

    with filelock.held(path, busy=BUSY, pauses=5, wait=wait):
        assert filelock.is_held(path)
    assert pauses == [filelock.PAUSE_SECONDS] * 3


def test_waiting_has_an_end(path: Path) -> None:
    pauses: list[float] = []
    with filelock.held(path, busy=BUSY):
        again = filelock.held(path, busy=BUSY, pauses=4, wait=pauses.append)
        with pytest.raises(ToolError, match=BUSY), again:
            pytest.fail("two hold it")
    assert len(pauses) == 4


def test_a_lock_on_what_the_path_led_to_before_is_none(path: Path) -> None:
    path.parent.mkdir()
    descriptor = os.open(path, os.O_RDWR | os.O_CREAT)
    path.unlink()
    path.touch()
    try:
        assert not filelock.leads_to(path, descriptor)
        assert not filelock.take(descriptor, path)
    finally:
        os.close(descriptor)


def test_what_is_not_there_is_not_held(path: Path) -> None:
    assert not filelock.is_held(path)
    path.parent.mkdir()
    path.touch()  # a killed run's
    assert not filelock.is_held(path)
    with filelock.held(path, busy=BUSY):
        pass
    assert not path.exists()

from __future__ import annotations

import os
import signal
import sys
import time
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import pytest

from rke2pack import process
from rke2pack.errors import IntegrityError, ToolError


def test_output_and_exit_code_are_returned() -> None:
    program = "import sys; sys.stdout.write(sys.stdin.read() * 2); sys.exit(3)"
    done = process.run([sys.executable, "-c", program], stdin=b"ab")
    assert (done.returncode, done.stdout, done.stderr) == (3, b"abab", b"")


def test_slow_program_is_ended() -> None:
    with pytest.raises(ToolError, match=r": not finished after 0 s$"):
        process.run([sys.executable, "-c", "import time; time.sleep(60)"], timeout=0.2)


def test_program_that_is_not_there_is_named(tmp_path: Path) -> None:
    with pytest.raises(ToolError) as error:
        process.run([tmp_path / "none"])
    assert error.value.message == f"cannot run {tmp_path}/none: No such file or directory"
    with pytest.raises(ToolError) as absent:
        process.find("no-such-program")
    assert absent.value.message == "no-such-program: no such program"
    assert absent.value.hint == "install it, or name its path"


def test_program_is_found_by_name_and_by_path() -> None:
    assert process.find("git").name == "git"
    assert process.find(sys.executable) == Path(sys.executable)


def test_program_is_fed_piece_by_piece() -> None:
    program = "import sys; print(len(sys.stdin.buffer.read())); sys.exit(4)"
    done = process.feed([sys.executable, "-c", program], (bytes(1000) for _ in range(1000)))
    assert (done.returncode, done.stdout.strip(), done.stderr) == (4, b"1000000", b"")


def test_program_that_stops_reading_still_says_why() -> None:
    program = "import os, sys; os.close(0); sys.stderr.write('enough')"
    done = process.feed([sys.executable, "-c", program], (bytes(100_000) for _ in range(100)))
    assert (done.returncode, done.stderr) == (0, b"enough")


def test_what_the_input_raises_ends_the_program(tmp_path: Path) -> None:
    def chunks() -> Iterator[bytes]:
        yield b"x"
        while not (tmp_path / "pid").exists():
            time.sleep(0.01)
        raise IntegrityError("cut short")

    program = f"""
import os, pathlib, sys
path = pathlib.Path({str(tmp_path)!r})
(path / "new").write_text(str(os.getpid()))
(path / "new").rename(path / "pid")
sys.stdin.buffer.read()
import time
time.sleep(600)
"""
    with pytest.raises(IntegrityError, match="cut short"):
        process.feed([sys.executable, "-c", program], chunks())
    with pytest.raises(ProcessLookupError):
        os.kill(int((tmp_path / "pid").read_text()), 0)


def test_fed_program_that_does_not_end_is_ended() -> None:
    with pytest.raises(ToolError, match=r": not finished after 0 s$"):
        process.feed([sys.executable, "-c", "import time; time.sleep(60)"], [], timeout=0.2)
    with pytest.raises(ToolError, match=r"^cannot run /nowhere/none: "):
        process.feed(["/nowhere/none"], [])


STAYS = """
import os, pathlib, subprocess, sys, time
child = subprocess.Popen([sys.executable, "-c", "import time; time.sleep(600)"])
path = pathlib.Path({path!r})
(path / "new").write_text(f"{{os.getpid()}} {{child.pid}}")
(path / "new").rename(path / "pids")
time.sleep(600)
"""


@pytest.mark.parametrize("way", ["run", "feed"])
def test_programs_are_ended_together_with_what_they_started(tmp_path: Path, way: str) -> None:
    programs = process.Programs()
    command = [sys.executable, "-c", STAYS.format(path=str(tmp_path))]
    with ThreadPoolExecutor(1) as pool:
        if way == "run":
            running = pool.submit(process.run, command, among=programs)
        else:
            running = pool.submit(process.feed, command, [b"x"], among=programs)
        while not (tmp_path / "pids").exists():
            time.sleep(0.01)
        programs.end()
        assert running.result(timeout=60).returncode == -signal.SIGTERM
    for pid in map(int, (tmp_path / "pids").read_text().split()):
        while is_there(pid):
            time.sleep(0.01)
    assert programs.is_ended
    with pytest.raises(ToolError, match=r": not started, as the run was ended$"):
        process.run(command, among=programs)


def is_there(pid: int) -> bool:
    """Whether a process runs; one that nobody has waited for yet does not."""
    try:
        stat = Path(f"/proc/{pid}/stat").read_text()
    except FileNotFoundError:
        return False
    return stat.rpartition(")")[2].split()[0] != "Z"


def test_programs_say_and_fail_as_others_do() -> None:
    programs = process.Programs()
    program = "import sys; sys.stdout.write(sys.stdin.read() * 2); sys.exit(3)"
    done = process.run([sys.executable, "-c", program], stdin=b"ab", among=programs)
    assert (done.returncode, done.stdout, done.stderr) == (3, b"abab", b"")
    done = process.feed([sys.executable, "-c", program], [b"a", b"b"], among=programs)
    assert (done.returncode, done.stdout) == (3, b"abab")
    slow = [sys.executable, "-c", "import time; time.sleep(60)"]
    with pytest.raises(ToolError, match=r": not finished after 0 s$"):
        process.run(slow, timeout=0.2, among=programs)
    with pytest.raises(ToolError, match=r"^cannot run /nowhere/none: "):
        process.run(["/nowhere/none"], among=programs)

from __future__ import annotations

import json
from collections.abc import Mapping
from typing import Any

import pytest

from rke2pack.errors import IntegrityError
from rke2pack.oci.platform import Platform
from rke2pack.oci.program import find as program
from rke2pack.oci.program.find import Config, Verdict
from rke2pack.oci.program.layertree import Tree
from tests.unit.oci.programs import elf, folder, layer, link, pe, tree

AMD, ARM = elf(62), elf(183)
LINUX = Platform.parse("linux/amd64")
WINDOWS = Platform.parse("windows(10.0.17763)/amd64")


def config(**inner: Any) -> Config:  # noqa: ANN401 - JSON
    raw: Mapping[str, Any] = {"os": "linux", "architecture": "amd64", "config": inner}
    return Config.parse(json.dumps(raw).encode(), what="config")


def judge(tree: Tree, platform: Platform = LINUX, **inner: Any) -> tuple[str, str, str]:  # noqa: ANN401 - JSON
    found: Verdict = program.judge(config(**inner), tree, platform)
    return found.status, found.check, found.detail


def test_entrypoint_comes_before_cmd() -> None:
    root = tree(layer(("a", AMD), ("b", ARM)))
    assert judge(root, Entrypoint=["/a"], Cmd=["/b"]) == ("passed", "program", "/a: ELF for amd64")
    assert judge(root, Entrypoint=None, Cmd=["/b"]) == (
        "failed", "program", "/b: ELF for arm64, not for linux/amd64",
    )  # fmt: skip


def test_path_is_searched_in_order() -> None:
    root = tree(layer(
        folder("usr/local/bin"), ("usr/local/bin/app", b"", 0o644), ("usr/bin/app", AMD),
        ("opt/app", ARM),
    ))  # fmt: skip
    assert judge(root, Cmd=["app"])[2] == "/usr/bin/app: ELF for amd64"
    found = judge(root, Cmd=["app"], Env=["PATH=/opt:/usr/bin", "A=b"])
    assert found[2] == "/opt/app: ELF for arm64, not for linux/amd64"
    assert judge(root, Cmd=["app"], Env=["PATH=/none"]) == (
        "failed", "entrypoint", "app: in no folder of PATH",
    )  # fmt: skip


@pytest.mark.parametrize(("word", "folder"), [("./run", "/srv"), ("bin/../run", "srv/"),
                                              ("../srv/run", "/srv")])  # fmt: skip
def test_relative_programs_start_in_the_working_folder(word: str, folder: str) -> None:
    root = tree(layer(("srv/run", AMD), ("srv/bin/x", b"")))
    assert judge(root, Entrypoint=[word], WorkingDir=folder)[0] == "passed"


def test_a_script_leads_to_its_interpreter() -> None:
    root = tree(
        layer(folder("usr/bin"), ("usr/bin/env", AMD), link("bin", "usr/bin")),
        layer(("entry", b"#!/bin/env bash\n"), ("next", b"#!/entry\n")),
    )
    assert judge(root, Entrypoint=["/entry"]) == (
        "passed", "program", "/entry -> /bin/env: ELF for amd64",
    )  # fmt: skip
    assert judge(root, Entrypoint=["/next"])[2].startswith("/next -> /entry -> /bin/env: ")


def test_interpreters_are_counted() -> None:
    found = judge(tree(layer(("a", b"#!/a\n"))), Entrypoint=["/a"])
    assert found == (
        "failed", "entrypoint", "/a -> /a -> /a -> /a -> /a -> /a: more than 4 interpreters",
    )  # fmt: skip


@pytest.mark.parametrize(
    ("word", "detail"),
    [
        ("/none", "/none: no such file"),
        ("/bin", "/bin: not a file"),
        ("/bin/plain", "/bin/plain: not executable"),
        ("/circle", "/circle: more than 40 links"),
        ("/no-shell", "/bin/sh: no such file"),
        ("/evil\x1b[31m", r"/evil\x1b[31m: no such file"),
    ],
)
def test_what_cannot_start_is_told(word: str, detail: str) -> None:
    root = tree(layer(
        folder("bin"), ("bin/plain", AMD, 0o644), link("circle", "circle"),
        ("no-shell", b"#!/bin/sh\n"),
    ))  # fmt: skip
    assert judge(root, Entrypoint=[word]) == ("failed", "entrypoint", detail)


@pytest.mark.parametrize(
    "inner",
    [
        {"Cmd": ["/" + "a/" * 2048]},
        {"Cmd": ["app"], "Env": ["PATH=" + "/a:" * 50_000]},
        {"Cmd": ["app"], "Env": ["Path=" + "/a:" * 50_000]},
    ],
)
def test_paths_longer_than_the_kernel_takes_are_not_searched(inner: dict[str, Any]) -> None:
    assert judge(Tree(layers=()), **inner) == (
        "failed", "entrypoint", "a path or PATH that is longer than Linux takes",
    )  # fmt: skip


def test_a_file_that_is_no_program_fails() -> None:
    found = judge(tree(layer(("data", b"echo hello\n"))), Entrypoint=["/data"])
    assert found == ("failed", "program", "/data: neither ELF, PE nor a script")


def test_an_image_that_starts_nothing_is_looked_through() -> None:
    assert judge(tree(layer(("bin/a", AMD), ("bin/b", AMD)))) == (
        "manual", "entrypoint",
        "neither Entrypoint nor Cmd; its 2 programs are for linux/amd64",
    )  # fmt: skip
    assert judge(tree(layer(("data", b"")))) == (
        "manual", "entrypoint", "neither Entrypoint nor Cmd, and no program",
    )  # fmt: skip
    found = judge(tree(layer(("bin/a", ARM), ("bin/b", AMD))))
    assert found[:2] == ("manual", "entrypoint")
    assert found[2].endswith("; 1 of 2 programs is not for linux/amd64: /bin/a (ELF for arm64)")
    assert judge(tree(layer(("bin/a", ARM))))[0] == "failed"


@pytest.mark.parametrize(
    "inner",
    [
        {"Entrypoint": ["C:\\App\\app.exe", "-x"]},
        {"Entrypoint": ["c:/app/APP"]},
        {"Entrypoint": ["app"], "Env": ["Path=C:\\none;C:\\App"]},
        {"Cmd": ["app.exe"], "WorkingDir": "C:\\App"},
        {"Entrypoint": ["\\App\\app.exe"]},
        {"Cmd": ['"C:\\App\\app.exe" run']},
    ],
)
def test_windows_finds_programs_in_any_case(inner: dict[str, Any]) -> None:
    root = tree(
        layer(folder("Files"), folder("Files/App"), ("Files/App/App.EXE", pe(0x8664))),
        folds_case=True,
    )
    found = judge(root, WINDOWS, **inner)
    assert found == ("passed", "program", "/app/app.exe: PE for amd64")


def test_windows_scripts_are_for_people_to_look_at() -> None:
    root = tree(layer(("Files/run.cmd", b"@echo off"), ("Files/x.exe", ARM)), folds_case=True)
    assert judge(root, WINDOWS, Cmd=["C:\\run.cmd"]) == (
        "manual", "program", "/run.cmd: a script of cmd.exe",
    )  # fmt: skip
    assert judge(root, WINDOWS, Cmd=["C:\\x.exe"])[0] == "failed"
    assert judge(root, WINDOWS, Cmd=["nothing"])[2] == "nothing: in no folder of PATH"


@pytest.mark.parametrize(
    ("raw", "message"),
    [
        (b"{", "config: not JSON"),
        (b"[]", "config: not a JSON object"),
        (b'{"os": 1}', "config: os: not a text"),
        (b'{"config": []}', ""),
        (b'{"config": [1]}', "config: config: not a JSON object"),
        (b'{"config": {"Cmd": "sh"}}', "config: Cmd: not a list"),
        (b'{"config": {"Entrypoint": [1]}}', "config: Entrypoint: not a text"),
        (b'{"config": {"Env": {"PATH": "/"}}}', "config: Env: not a list"),
        (b'{"config": {"WorkingDir": 1}}', "config: WorkingDir: not a text"),
    ],
)
def test_hostile_configs(raw: bytes, message: str) -> None:
    if not message:
        assert Config.parse(raw, what="config").words == ()
        return
    with pytest.raises(IntegrityError) as caught:
        Config.parse(raw, what="config")
    assert caught.value.message.startswith(message)

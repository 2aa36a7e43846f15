from __future__ import annotations

import pytest

from rke2pack.errors import IntegrityError, ValidationError
from rke2pack.oci.program import layertree
from tests.unit.oci.programs import elf, folder, hard, layer, link, listing, member, tree

AMD, ARM = elf(62), elf(183)


def test_the_upper_layer_wins_and_lower_ones_are_not_read() -> None:
    read: list[int] = []
    found = tree(layer(("app", AMD)), layer(folder("bin"), ("bin/app", ARM)), read=read)
    node = found.find("/bin/app")
    assert node is not None
    assert str(node.program) == "ELF for arm64"
    assert read == [1]
    assert found.find("/app") is not None
    assert read == [1, 0]


def test_the_last_member_of_a_name_counts() -> None:
    node = tree(layer(("app", AMD), ("app", b"text"))).find("app")
    assert node is not None
    assert node.program is None


@pytest.mark.parametrize(
    ("links", "path"),
    [
        ((link("bin", "usr/bin"),), "/bin/app"),
        ((link("bin", "/usr/bin"),), "/bin/app"),
        ((link("a", "b"), link("b", "./c"), link("c", "usr/bin/app")), "/a"),
        ((folder("opt"), link("opt/x", "../usr/bin/app")), "/opt/x"),
        ((folder("opt"), link("opt/x", "../../../../usr/bin/app")), "/opt/x"),
        ((link("up", "usr/bin"),), "/up/../bin/app"),
        ((hard("b", "usr/bin/app"),), "/b"),
    ],
)
def test_links_are_followed_across_layers(links: tuple[object, ...], path: str) -> None:
    base = layer(folder("usr"), folder("usr/bin"), ("usr/bin/app", AMD))
    node = tree(base, layer(*links)).find(path)  # type: ignore[arg-type]
    assert node is not None
    assert str(node.program) == "ELF for amd64"


def test_a_hard_link_is_the_file_of_its_layer() -> None:
    base = layer(("busybox", AMD), hard("sh", "busybox"))
    node = tree(base, layer(("busybox", ARM))).find("sh")
    assert node is not None
    assert str(node.program) == "ELF for amd64"


def test_links_are_folded_with_the_names() -> None:
    tar = layer(
        ("Files/App.exe", AMD), hard("Files/B", "./Files/App.exe"), link("Files/C", "APP.EXE")
    )
    for path in ("files/b", "files/c"):
        assert tree(tar, folds_case=True).find(path) is not None


@pytest.mark.parametrize("links", [("a", "a"), ("a", "b"), ("a", "a/a")])
def test_links_in_a_circle_end(links: tuple[str, str]) -> None:
    circle = layer(link(*links), link("b", "a"))
    with pytest.raises(ValidationError) as caught:
        tree(circle).find("/a/x")
    assert caught.value.message == "/a/x: more than 40 links"


@pytest.mark.parametrize("upper", [
    (("bin/.wh.app", b""),),
    ((".wh.bin", b""),),
    ((".wh.bin", b""), folder("bin")),
    (folder("bin"), ("bin/.wh..wh..opq", b"")),
    ((".wh..wh..opq", b""),),
    (("bin", b"now a file"),),
])  # fmt: skip
def test_whiteouts_hide_what_is_below(upper: tuple[object, ...]) -> None:
    base = layer(folder("bin"), ("bin/app", AMD))
    assert tree(base, layer(*upper)).find("/bin/app") is None  # type: ignore[arg-type]


def test_a_whiteout_hides_lower_layers_and_not_its_own() -> None:
    base = layer(folder("bin"), ("bin/app", AMD))
    opaque = layer(folder("bin"), ("bin/app", ARM), ("bin/.wh..wh..opq", b""))
    node = tree(base, opaque).find("/bin/app")
    assert node is not None
    assert str(node.program) == "ELF for arm64"
    upper = layer(("bin/.wh.app", b""), ("bin/other", ARM))
    assert tree(base, upper).find("/bin/other") is not None


def test_a_link_to_what_a_whiteout_took_away_leads_nowhere() -> None:
    base = layer(link("sh", "bin/app"), folder("bin"), ("bin/app", AMD))
    assert tree(base, layer(("bin/.wh.app", b""))).find("/sh") is None


def test_folders_may_be_told_by_names_alone() -> None:
    found = tree(layer(("base", b"")), layer(("ko-app/app", AMD)))
    node = found.find("/ko-app")
    assert node is not None
    assert node.kind == "folder"
    assert found.find("/ko-app/app") is not None
    assert found.find("/ko-app/app/more") is None
    assert found.find("/other") is None


def test_devices_are_no_folders() -> None:
    assert tree(layer(member("dev", b"3"))).find("/dev/x") is None


def test_programs_are_those_that_show() -> None:
    base = layer(folder("bin"), ("bin/a", AMD), ("bin/b", AMD), ("bin/s", b"#!/bin/a\n"))
    upper = layer(("bin/.wh.a", b""), ("bin/b", ARM), ("text", b"text"))
    shown = {path: str(program) for path, program in tree(base, upper).programs()}
    assert shown == {"bin/b": "ELF for arm64"}


def test_absurdly_long_names_are_refused(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(layertree, "MAX_CHARACTERS", 10_000)
    deep = layer((("a/" * 200) + "b", b""))
    with pytest.raises(IntegrityError, match="more than 10000 characters"):
        listing(deep)

from __future__ import annotations

import json
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from rke2pack.errors import ConfigError, IntegrityError
from rke2pack.lists import lock as locks
from rke2pack.lists.guard import Guard
from rke2pack.lists.lock import Lock
from rke2pack.oci.platform import Platform
from rke2pack.oci.reference import Reference
from tests.settings import settings
from tests.unit.lists.locking import digest, image, lock

ALPHA = "docker.io/rancher/alpha:v1"
_NAMES = st.from_regex(r"docker\.io/[a-z]{1,9}/[a-z]{1,9}:[a-z0-9]{1,9}", fullmatch=True)
_PLATFORMS = st.sets(
    st.sampled_from(["linux/amd64", "linux/arm64", "linux/arm/v7", "windows(10.0.17763)/amd64"]),
    min_size=1,
)


def test_the_text_is_one_fact_a_line_and_sorted() -> None:
    made = lock(image("docker.io/x/b:1"), image("docker.io/x/a:1", "linux/arm64", "linux/amd64"))
    text = str(made)
    assert text.startswith(
        '{\n  "version": 1,\n  "images": {\n    "docker.io/x/a:1": {\n'
        f'      "digest": "{digest("docker.io/x/a:1")}",\n'
        '      "mediaType": "application/vnd.oci.image.index.v1+json",\n'
        '      "size": 500,\n      "platforms": {\n        "linux/amd64": {\n'
        f'          "manifest": "{digest("docker.io/x/a:1 linux/amd64")}",\n'
    )
    assert text.endswith("}\n")
    assert text.index("linux/arm64") < text.index("docker.io/x/b:1")


@given(st.dictionaries(_NAMES, _PLATFORMS))
def test_what_is_written_is_read(names: dict[str, set[str]]) -> None:
    made = lock(*(image(name, *platforms) for name, platforms in names.items()))
    assert Lock.parse(str(made), what="images.lock") == made
    assert str(Lock.parse(str(made), what="images.lock")) == str(made)


def test_what_is_left_out_on_purpose_is_kept_in_mind() -> None:
    names = tuple(map(Reference.parse, ("docker.io/x/b:1", "docker.io/x/a:1")))
    made = Lock(images=(image(ALPHA),), unlocked=names)
    ending = '"unlocked": [\n    "docker.io/x/a:1",\n    "docker.io/x/b:1"\n  ]\n}\n'
    assert str(made).endswith(ending)
    assert Lock.parse(str(made), what="images.lock") == made


def document() -> dict[str, Any]:
    found: dict[str, Any] = json.loads(str(lock(image(ALPHA))))
    return found


def wrong(path: str, value: object) -> str:
    """The text of a lock in which one place is something else, or is not there."""
    found = document()
    *parents, last = path.split(" ")
    place = found
    for each in parents:
        place = place[each]
    if value is None:
        del place[last]
    else:
        place[last] = value
    return json.dumps(found)


ENTRY = f"images {ALPHA}"
AMD64 = f"{ENTRY} platforms linux/amd64"


@pytest.mark.parametrize(
    ("path", "value", "message"),
    [
        ("version", 2, "version is not 1"),
        ("version", True, "version is not 1"),
        ("version", None, "version is not 1"),
        ("extra", 1, "'extra' is no key of it"),
        ("images", None, "images: missing"),
        ("images", [], "images: not a JSON object"),
        (f"{ENTRY} digest", None, f"{ALPHA}: digest: missing"),
        (f"{ENTRY} digest", "a" * 64, f"{ALPHA}: digest: not a sha256 digest: '{'a' * 64}'"),
        (f"{ENTRY} digest", "sha256:x", f"{ALPHA}: digest: not a sha256 digest: 'sha256:x'"),
        (f"{ENTRY} mediaType", "text/plain",
         f"{ALPHA}: mediaType 'text/plain' is neither a manifest's nor an index's"),
        (f"{ENTRY} size", -1, f"{ALPHA}: size: -1 is no size or count"),
        (f"{ENTRY} size", 1.5, f"{ALPHA}: size: not a number"),
        (f"{ENTRY} size", True, f"{ALPHA}: size: not a number"),
        (f"{ENTRY} size", 2**63, f"{ALPHA}: size: {2**63} is no size or count"),
        (f"{ENTRY} more", 1, f"{ALPHA}: 'more' is no key of it"),
        (f"{ENTRY} platforms", {}, f"{ALPHA}: locks no platform"),
        (f"{ENTRY} platforms x", {}, f"{ALPHA}: x: not a platform: 'x'"),
        (f"{ENTRY} platforms linux/x86_64", document()["images"][ALPHA]["platforms"]["linux/amd64"],
         f"{ALPHA}: linux/x86_64: write it as linux/amd64"),
        (f"{AMD64} config", 1, f"{ALPHA}: linux/amd64: config: not a text"),
        (f"{AMD64} blobs", "3", f"{ALPHA}: linux/amd64: blobs: not a number"),
        (f"{AMD64} other", "3", f"{ALPHA}: linux/amd64: 'other' is no key of it"),
        ("unlocked", "x", "unlocked: not a list"),
        ("unlocked", [1], "unlocked: not a text"),
        ("unlocked", ["x"], "unlocked: not a full reference with registry and tag"),
        ("unlocked", [ALPHA], f"unlocked: {ALPHA} stands twice"),
        ("unlocked", ["docker.io/x/y:1"] * 2, "unlocked: docker.io/x/y:1 stands twice"),
        ("images docker.io/x:1", {}, "docker.io/x:1: not a full reference with registry and tag"),
        ("images docker.io/x/y", {}, "docker.io/x/y: not a full reference with registry and tag"),
        ("images UP/x:1/", {}, "UP/x:1/: not an image reference: 'UP/x:1/' (bad repository)"),
    ],
)  # fmt: skip
def test_every_wrong_place_is_named(path: str, value: object, message: str) -> None:
    with pytest.raises(ConfigError) as caught:
        Lock.parse(wrong(path, value), what="images.lock")
    assert caught.value.message == f"images.lock: {message}"
    assert caught.value.hint


@pytest.mark.parametrize(
    "text",
    [
        "",
        "[]",
        "<<<<<<< ours\n{}",
        '{"version": 1, "version": 1, "images": {}}',
        '{"version": 1, "images": ' + "[" * 100_000,
        '{"version": NaN, "images": {}}',
    ],
)
def test_hostile_text_is_refused(text: str) -> None:
    with pytest.raises(ConfigError) as caught:
        Lock.parse(text, what="images.lock")
    assert caught.value.message.startswith("images.lock: ")
    assert caught.value.hint == "write it anew with 'rke2pack images --lock'"


def test_a_huge_lock_is_refused(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(locks, "MAX_BYTES", 10)
    with pytest.raises(ConfigError, match="larger than the limit of 10 bytes"):
        Lock.parse(str(lock()), what="images.lock")


def test_no_file_is_no_lock(tmp_path: Path) -> None:
    path = tmp_path / "images.lock"
    assert locks.read(path) is None
    path.write_text(str(lock(image(ALPHA))))
    assert locks.read(path) == Lock(images=(image(ALPHA),), what=str(path))


def test_the_lock_of_settings_is_read_in_their_registry_and_needs_no_tree(tmp_path: Path) -> None:
    asked = replace(settings(tmp_path), registry="registry.example.com")
    assert (locks.of(asked), asked.has_lock) == (None, False)
    (tmp_path / "images.lock").write_text(str(lock(image(ALPHA))))
    found = locks.of(asked)
    assert found is not None
    assert [str(each.reference) for each in found.images] == [
        "registry.example.com/rancher/alpha:v1"
    ]
    assert not asked.has_lock
    (tmp_path / "charts-manifest").mkdir()
    assert asked.has_lock


def test_a_guard_takes_the_lock_of_a_tree_and_of_no_other_folder(tmp_path: Path) -> None:
    (tmp_path / "images.lock").write_text(str(lock(image(ALPHA))))
    asked = settings(tmp_path)
    assert Guard.of(asked, allows_moved=False).lock is None
    (tmp_path / "charts-manifest").mkdir()
    assert Guard.of(asked, allows_moved=False).lock == locks.of(asked)


def test_a_moved_tag_is_refused_with_both_digests() -> None:
    made, name = lock(image(ALPHA)), Reference.parse(ALPHA)
    made.check(name, digest(ALPHA))
    made.check(Reference.parse("docker.io/x/unknown:1"), digest("any"))
    made.check(name, digest("other"), manifest=digest(f"{ALPHA} linux/amd64"))
    with pytest.raises(IntegrityError) as caught:
        made.check(name, digest("other"), manifest=digest("other"))
    assert caught.value.message == (
        f"{ALPHA}: the tag moved, images.lock has {digest(ALPHA)}, it is {digest('other')}"
    )


def test_another_registry_has_the_same_digests() -> None:
    made = lock(image(ALPHA))
    moved = made.in_registry("registry.example.com:5000")
    assert moved.get(Reference.parse("registry.example.com:5000/rancher/alpha:v1")) is not None
    assert moved.get(Reference.parse(ALPHA)) is None
    assert made.in_registry(None) is made


def test_a_platform_is_found_by_what_it_satisfies() -> None:
    entry = image(ALPHA, "linux/amd64", "windows(10.0.17763)/amd64")
    found = entry.platform(Platform.parse("windows(10.0.17763.5936)/amd64"))
    assert found is not None
    assert str(found.platform) == "windows(10.0.17763)/amd64"
    assert entry.platform(Platform.parse("linux/arm64")) is None

from __future__ import annotations

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from rke2pack.errors import ConfigError
from rke2pack.lists.model import ImageList, ListedImage
from rke2pack.lists.text import (
    HEADER,
    Section,
    format_images,
    list_files,
    parse,
    replaced,
    section_of,
)
from rke2pack.oci.reference import Reference

BOTH = ("linux/amd64", "linux/arm64")
IMAGE = st.builds(
    "docker.io/rancher/{}:{}".format,
    st.from_regex(r"[a-z]{1,8}(-[a-z]{1,8})?", fullmatch=True),
    st.from_regex(r"v?[0-9]{1,3}(\.[0-9]{1,3})?", fullmatch=True),
)
SECTIONS = st.dictionaries(
    st.from_regex(r"[a-z0-9]{1,8}(-[a-z0-9]{1,8})?", fullmatch=True),
    st.tuples(
        st.sampled_from([(), ("linux/amd64",), BOTH]), st.lists(IMAGE, max_size=4, unique=True)
    ),
    max_size=4,
)
TEXT = f"""{HEADER}
# component: core
docker.io/rancher/a:v1
docker.io/rancher/b:v2

# component: vsphere (linux/amd64)
docker.io/rancher/a:v1
"""


def section(name: str, *references: str, platforms: tuple[str, ...] = ()) -> Section:
    return Section(component=name, platforms=platforms, lines=dict.fromkeys(references, 0))


def refusal(text: str) -> ConfigError:
    with pytest.raises(ConfigError) as caught:
        parse(text, what="images.txt")
    return caught.value


@settings(max_examples=25)
@given(SECTIONS)
def test_images_txt_round_trips(found: dict[str, tuple[tuple[str, ...], list[str]]]) -> None:
    sections = [
        section(name, *references, platforms=platforms)
        for name, (platforms, references) in found.items()
    ]
    text = format_images(sections)
    read = parse(text, what="images.txt")
    assert [(s.component, s.platforms, s.references) for s in read] == [
        (s.component, s.platforms, s.references) for s in sections
    ]
    assert format_images(read) == text
    lines = text.splitlines()
    assert all(lines[n - 1] == r for each in read for r, n in each.lines.items())


def test_images_txt_is_one_section_per_component() -> None:
    sections = [
        section("core", "docker.io/rancher/a:v1", "docker.io/rancher/b:v2"),
        section("vsphere", "docker.io/rancher/a:v1", platforms=("linux/amd64",)),
    ]
    assert format_images(sections) == TEXT


def test_line_numbers_are_those_of_the_file() -> None:
    core, vsphere = parse(TEXT, what="images.txt")
    assert core.lines == {"docker.io/rancher/a:v1": 5, "docker.io/rancher/b:v2": 6}
    assert vsphere.lines == {"docker.io/rancher/a:v1": 9}
    assert vsphere.platforms == ("linux/amd64",)


def test_comments_blank_lines_and_crlf_are_read_over() -> None:
    text = TEXT.replace("docker.io/rancher/b:v2", "# why\n  docker.io/rancher/b:v2  \n")
    expected = [s.references for s in parse(TEXT, what="i")]
    assert [s.references for s in parse(text.replace("\n", "\r\n"), what="i")] == expected


@pytest.mark.parametrize(
    ("old", "new", "message"),
    [
        (
            "docker.io/rancher/b:v2",
            "docker.io/rancher/a:v1",
            "line 6: docker.io/rancher/a:v1 stands already in line 5",
        ),
        (
            "docker.io/rancher/b:v2",
            "rancher/b:v2",
            "line 6: 'rancher/b:v2' is not a full reference with registry and tag",
        ),
        (
            "docker.io/rancher/b:v2",
            "docker.io/rancher/b",
            "line 6: 'docker.io/rancher/b' is not a full reference with registry and tag",
        ),
        (
            "docker.io/rancher/b:v2",
            "docker.io/B:v2",
            "line 6: not an image reference: 'docker.io/B:v2' (bad repository)",
        ),
        (
            "# component: core",
            "# core",
            "line 5: 'docker.io/rancher/a:v1' stands before the first section",
        ),
        (
            "component: vsphere (linux/amd64)",
            "component: core",
            "line 8: a second section for component core",
        ),
        (
            "component: vsphere (",
            "component: vsphere(",
            "line 8: '# component: vsphere(linux/amd64)' is not a section's heading",
        ),
    ],
)
def test_wrong_line_is_told_with_its_number(old: str, new: str, message: str) -> None:
    text = TEXT.replace("docker.io/rancher/b:v2\n", "") if new == "# core" else TEXT
    error = refusal(text.replace(old, new))
    assert error.hint == "write it anew with 'rke2pack images'"
    assert (error.details[0] if error.details else error.message).endswith(message)


def test_all_wrong_lines_are_told_at_once() -> None:
    error = refusal("x y\n# component: core\ndocker.io/rancher/b\n")
    assert error.message == "images.txt: 2 lines are wrong"
    assert error.details == (
        "line 1: 'x y' stands before the first section",
        "line 3: 'docker.io/rancher/b' is not a full reference with registry and tag",
    )


def test_section_of_a_list_names_platforms_only_where_it_does_not_ship_for_all() -> None:
    images = (ListedImage(reference=Reference.parse("a/b:1"), proofs=("why",)),)
    every = ImageList(component="core", platforms=tuple(reversed(BOTH)), images=images)
    one = ImageList(component="vsphere", platforms=BOTH[:1], images=images)
    assert section_of(every, all_platforms=BOTH) == section("core", "docker.io/a/b:1")
    assert section_of(one, all_platforms=BOTH).platforms == ("linux/amd64",)


def test_new_sections_take_their_namesakes_place_in_the_order() -> None:
    old = [section("b", "docker.io/a/b:1"), section("a"), section("gone")]
    new = [section("c"), section("b", "docker.io/a/b:2")]
    found = replaced(old, new, order=["a", "b", "c", "d"])
    assert [(s.component, s.references) for s in found] == [
        ("a", ()),
        ("b", ("docker.io/a/b:2",)),
        ("c", ()),
    ]


def test_lists_have_the_names_of_upstreams_release_and_one_reference_a_line() -> None:
    files = list_files(parse(TEXT, what="images.txt"), all_platforms=BOTH)
    assert files == {
        "rke2-images-core.linux-amd64.txt": b"docker.io/rancher/a:v1\ndocker.io/rancher/b:v2\n",
        "rke2-images-core.linux-arm64.txt": b"docker.io/rancher/a:v1\ndocker.io/rancher/b:v2\n",
        "rke2-images-vsphere.linux-amd64.txt": b"docker.io/rancher/a:v1\n",
    }

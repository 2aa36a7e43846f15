"""The page as text: escaped, the same bytes, small, and with a policy that lets nothing in."""

from __future__ import annotations

import base64
import hashlib
import json
import re
from html.parser import HTMLParser
from pathlib import Path

import pytest

from rke2pack.lists import text
from rke2pack.page.release import PageData
from rke2pack.stages.report import MAX_BYTES, html
from tests.unit.stages.reporting import HOSTILE, hostile_page, page

ADDRESS = re.compile(r"(?:https?:)?//[a-z]|@import|url\(", re.IGNORECASE)


class Seen(HTMLParser):
    """Every element, its attributes and the text of scripts and styles."""

    def __init__(self, source: str) -> None:
        super().__init__()
        self.elements: list[tuple[str, dict[str, str | None]]] = []
        self.inside: dict[str, list[str]] = {"script": [], "style": []}
        self.feed(source)

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.elements.append((tag, dict(attrs)))
        if tag in self.inside:
            self.inside[tag].append("")

    def handle_data(self, data: str) -> None:
        if self.cdata_elem in self.inside:
            self.inside[str(self.cdata_elem)][-1] += data


@pytest.fixture(scope="module")
def whole() -> PageData:
    images = Path(__file__).parents[3] / "images.txt"
    sections = text.parse(images.read_text(), what="images.txt")
    return page({each.component: each.references for each in sections})


def test_nothing_hostile_becomes_an_element_or_an_attribute() -> None:
    plain = page({"core": ("docker.io/rancher/a:v1",)})
    seen, expected = Seen(html.render(hostile_page())), Seen(html.render(plain))
    tags = {tag for tag, _ in seen.elements}
    assert tags <= {tag for tag, _ in expected.elements}
    assert not tags & {"img", "iframe", "object", "embed", "base"}
    assert [tag for tag, _ in seen.elements].count("script") == 2
    names = {name for _, attributes in seen.elements for name in attributes}
    assert not [name for name in names if name.startswith("on")]
    assert not names & {"style", "src", "srcset", "action", "formaction"}


def test_hostile_text_is_shown_whole_and_computed_by_nobody() -> None:
    source = html.render(hostile_page())
    assert HOSTILE not in source
    assert "49" not in re.findall(r"&amp;(\d+|\{\{ 7\*7 \}\})", source)
    data = Seen(source).inside["script"][0]
    assert "<" not in data
    assert json.loads(data)["validations"][0]["texts"] == [HOSTILE, "failed", "manual"]
    assert json.loads(data)["treemap"]["names"] == [HOSTILE]


def test_the_policy_lets_this_style_and_script_in_and_nothing_else(whole: PageData) -> None:
    seen = Seen(html.render(whole))
    policy = next(
        attributes["content"] or ""
        for tag, attributes in seen.elements
        if tag == "meta" and attributes.get("http-equiv") == "Content-Security-Policy"
    )
    rules = dict(rule.split(" ", 1) for rule in policy.split("; "))
    assert rules.pop("default-src") == "'none'"
    assert rules.pop("style-src").split() == [digest(each) for each in seen.inside["style"]]
    assert rules.pop("script-src") == digest(seen.inside["script"][1])
    assert rules == {
        "img-src": "data:",
        "base-uri": "'none'",
        "form-action": "'none'",
        "require-trusted-types-for": "'script'",
    }


def digest(content: str) -> str:
    hashed = base64.b64encode(hashlib.sha256(content.encode()).digest()).decode()
    return f"'sha256-{hashed}'"


def test_no_address_is_in_the_page(whole: PageData) -> None:
    seen = Seen(html.render(whole))
    for content in (*seen.inside["style"], seen.inside["script"][1]):
        assert not ADDRESS.search(re.sub(r"^\s*//.*$", "", content, flags=re.MULTILINE))
    links = [attributes.get("href") for _, attributes in seen.elements if "href" in attributes]
    assert all(link == "data:," or str(link).startswith("#") for link in links)


def test_every_link_and_label_has_what_it_names(whole: PageData) -> None:
    seen = Seen(html.render(whole))
    ids = [attributes["id"] for _, attributes in seen.elements if "id" in attributes]
    assert len(ids) == len(set(ids))
    named = [
        str(attributes[name]).removeprefix("#")
        for _, attributes in seen.elements
        for name in ("href", "aria-labelledby")
        if str(attributes.get(name) or "data:").removeprefix("#") != "data:"
        and not str(attributes.get(name) or "data:").startswith("data:")
    ]
    assert set(named) <= set(ids)
    assert named


def test_a_full_release_is_below_a_megabyte(whole: PageData) -> None:
    assert len(html.render(whole).encode()) < MAX_BYTES // 2
    assert len(whole.images) > 55


def test_a_release_with_many_proofs_is_below_a_megabyte() -> None:
    lists = {
        name: tuple(f"docker.io/rancher/{name}-{number}:v1.32.4" for number in range(12))
        for name in ("core", "canal", "cilium", "calico", "harvester", "vsphere", "multus")
    }
    data = page(lists, places=20)
    assert sum(len(image.proofs or ()) for image in data.images) > 1500
    assert len(html.render(data).encode()) < MAX_BYTES


def test_the_same_data_is_the_same_text(whole: PageData) -> None:
    assert html.render(whole) == html.render(whole)


def test_the_data_of_the_page_is_plain_json(whole: PageData) -> None:
    document = json.loads(json.dumps(whole.to_json()))
    assert list(document) == [
        "format", "release", "kubernetes", "lab", "components", "images", "archives", "sharing",
        "changes", "validations", "history", "findings", "missing",
    ]  # fmt: skip

"""The page of `report` as people use it: pointer, keyboard, dark, narrow, on paper."""

from __future__ import annotations

import dataclasses
import shutil
import subprocess
import sys
from pathlib import Path

import pytest
from playwright.sync_api import Locator, Page, expect

from rke2pack.page.release import PageData
from rke2pack.stages.report import html
from tests.integration.report.conftest import Open
from tests.unit.stages.reporting import HOSTILE, hostile_page

SCHEMES = ("light", "dark")


def shown(page: Page) -> list[str]:
    """Names in the table of images, from the top."""
    found = page.locator("#table tbody tr:visible").evaluate_all(
        "rows => rows.map((row) => row.dataset.name)"
    )
    return [str(name) for name in found]


def tiles(page: Page) -> Locator:
    return page.locator("#map > [role=treeitem]")


def focused(page: Page) -> str:
    return str(page.evaluate("document.activeElement.getAttribute('aria-label')"))


@pytest.mark.parametrize("scheme", SCHEMES)
@pytest.mark.parametrize("width", [1440, 390])
def test_nothing_hinders_people_who_need_more_than_a_mouse(
    visit: Open, small_file: Path, scheme: str, width: int
) -> None:
    page = visit(small_file, width=width, color_scheme=scheme)
    assert page.violations() == []
    page.page.evaluate("for (const each of document.querySelectorAll('details')) each.open = true")
    assert page.violations() == []


@pytest.mark.parametrize("scheme", SCHEMES)
def test_what_opens_hinders_nobody_either(visit: Open, small_file: Path, scheme: str) -> None:
    page = visit(small_file, color_scheme=scheme)
    tiles(page.page).first.locator("> .name").click()
    page.page.locator(".cell.failed").click()
    assert page.violations() == []


@pytest.mark.parametrize("scheme", SCHEMES)
@pytest.mark.parametrize("width", [1440, 390])
def test_pictures_are_kept_to_look_at(visit: Open, file: Path, scheme: str, width: int) -> None:
    page = visit(file, width=width, color_scheme=scheme)
    page.shot(f"{scheme}-{width}", whole=True)
    tiles(page.page).first.locator("> .name").click()
    page.shot(f"{scheme}-{width}-component")
    page.page.locator(".cell.failed").click()
    page.shot(f"{scheme}-{width}-dialog")
    assert len(list(page.folder.glob(f"{scheme}-{width}*.png"))) == 3


def test_search_needs_every_word_and_knows_charts_and_digests(
    visit: Open, file: Path, data: PageData
) -> None:
    page = visit(file).page
    every = shown(page)
    assert len(every) == len(data.images)
    page.fill("#q", "hubble RELAY")
    assert shown(page) == ["rancher/mirrored-cilium-hubble-relay:v1.17.3"]
    assert page.inner_text("#shown") == f"1 of {len(every)} images"
    page.fill("#q", data.images[7].digest[10:40])
    assert shown(page) == [data.images[7].name]
    page.fill("#q", "daemonset/multus-3")
    assert shown(page)
    assert all("multus" in row for row in page.locator("tr:visible[data-name]").all_inner_texts())
    page.fill("#q", "no such image")
    assert shown(page) == []
    expect(page.locator("#nothing")).to_be_visible()
    page.click("#filters button[type=reset]")
    expect(page.locator("#shown")).to_have_text(f"{len(every)} images")
    assert shown(page) == every


def test_filters_add_up_and_a_link_shows_the_same(visit: Open, file: Path, data: PageData) -> None:
    page = visit(file).page
    page.select_option("#component", "cilium")
    page.select_option("#platform", "linux/arm64")
    page.fill("#q", "operator")
    expected = sorted(
        image.name
        for image in data.images
        if "cilium" in image.components and "operator" in image.name
    )
    assert sorted(shown(page)) == expected != []
    page.click("th[data-sort=size] button")
    order = shown(page)
    page.wait_for_url("**q=operator**")
    again = visit(file, anchor=f"#{page.url.partition('#')[2]}").page
    assert shown(again) == order
    assert again.input_value("#component") == "cilium"
    again.evaluate("location.hash = 'component=multus'")
    expect(again.locator("#component")).to_have_value("multus")
    assert sorted(shown(again)) == sorted(i.name for i in data.images if "multus" in i.components)


@pytest.mark.parametrize("key", ["name", "component", "platform", "size", "digest", "proof"])
def test_every_column_sorts_both_ways_and_says_so(visit: Open, file: Path, key: str) -> None:
    page = visit(file).page
    head = page.locator(f"th[data-sort={key}]")
    if key != "name":
        head.locator("button").click()
    first, order = head.get_attribute("aria-sort"), shown(page)
    assert page.locator("th[aria-sort=ascending], th[aria-sort=descending]").count() == 1
    head.locator("button").click()
    assert {first, head.get_attribute("aria-sort")} == {"ascending", "descending"}
    assert shown(page) == order[::-1]


def test_the_largest_image_comes_first(visit: Open, file: Path, data: PageData) -> None:
    page = visit(file).page
    page.click("th[data-sort=size] button")
    largest = sorted(data.images, key=lambda image: -(image.size or 0))
    assert shown(page)[:5] == [image.name for image in largest[:5]]


def test_a_digest_is_copied(visit: Open, file: Path, data: PageData) -> None:
    page = visit(file, permissions=["clipboard-read", "clipboard-write"]).page
    button = page.locator("#table .copy").first
    button.click()
    expect(button).to_have_text("Copied")
    assert page.evaluate("navigator.clipboard.readText()") == data.images[0].digest


def test_the_treemap_leads_from_component_to_image_to_layer(
    visit: Open, file: Path, data: PageData
) -> None:
    page = visit(file).page
    own = [each for each in data.archives if each.platform == "linux/amd64" and each.component]
    assert tiles(page).count() == len(own)
    tiles(page).filter(has_text="cilium").first.locator("> .name").click()
    cilium = next(each for each in own if each.component == "cilium")
    assert tiles(page).count() == len(cilium.images)
    largest = max(cilium.images, key=lambda image: image.size)
    assert f"{largest.reference}, " in str(tiles(page).first.get_attribute("aria-label"))
    tiles(page).first.locator("> .name").click()
    assert tiles(page).count() == len({layer.digest for layer in largest.layers})
    page.locator("#map .k2").first.click()
    expect(page.locator("#map-detail")).to_contain_text("in the archive of each")
    assert page.locator("#map-detail li").count() > 1
    assert page.locator("#map-path li").all_inner_texts()[:2] == [
        "All components, linux/amd64",
        "cilium",
    ]
    page.locator("#map-path button").first.click()
    assert tiles(page).count() == len(own)


def test_the_area_of_a_tile_is_its_size(visit: Open, file: Path, data: PageData) -> None:
    page = visit(file).page
    boxes = tiles(page).evaluate_all(
        "all => all.map((e) => e.offsetWidth * e.offsetHeight / e.parentElement.offsetWidth"
        " / e.parentElement.offsetHeight)"
    )
    sizes = sorted(
        (
            sum(image.size for image in each.images)
            for each in data.archives
            if each.platform == "linux/amd64" and each.component
        ),
        reverse=True,
    )
    for part, size in zip(boxes, sizes, strict=True):
        assert part == pytest.approx(size / sum(sizes), abs=0.01)
    assert sum(boxes) == pytest.approx(1, abs=0.02)


def test_every_archive_can_be_chosen_and_the_place_stays_in_the_link(
    visit: Open, file: Path, data: PageData
) -> None:
    page = visit(file).page
    titles = page.locator("#map-scope option").all_inner_texts()
    others = [each.name for each in data.archives if not each.component]
    assert titles == ["All components, linux/amd64", "All components, linux/arm64", *others]
    page.select_option("#map-scope", label="rke2-images.linux-arm64")
    assert tiles(page).count() == 2
    tiles(page).filter(has_text="canal").locator("> .name").click()
    again = visit(file, anchor=f"#{page.url.partition('#')[2]}").page
    assert again.locator("#map-path li").all_inner_texts() == ["rke2-images.linux-arm64", "canal"]


def test_the_keyboard_alone_is_enough(visit: Open, file: Path) -> None:
    page = visit(file).page
    page.keyboard.press("Tab")
    assert page.evaluate("document.activeElement.textContent") == "To the content"
    page.locator("#map [tabindex='0']").focus()
    assert page.locator("#map [tabindex='0']").count() == 1
    first = focused(page)
    page.keyboard.press("ArrowRight")
    inner = focused(page)
    assert inner != first
    page.keyboard.press("ArrowLeft")
    assert focused(page) == first
    page.keyboard.press("End")
    page.keyboard.press("Home")
    assert focused(page) == first
    page.keyboard.press("ArrowDown")
    assert focused(page) == inner
    page.keyboard.press("Enter")
    assert page.locator("#map-path li").count() == 3
    assert "layer" in focused(page)
    page.keyboard.press("Escape")
    assert page.locator("#map-path li").count() == 2
    page.keyboard.press("Escape")
    assert page.locator("#map-path li").count() == 1
    page.locator("th[data-sort=size] button").focus()
    page.keyboard.press("Enter")
    expect(page.locator("th[data-sort=size]")).to_have_attribute("aria-sort", "descending")
    cell = page.locator(".cell.failed")
    cell.focus()
    page.keyboard.press("Enter")
    expect(page.locator("dialog")).to_be_visible()
    page.keyboard.press("Escape")
    expect(page.locator("dialog")).not_to_be_visible()
    expect(cell).to_be_focused()


def test_a_cell_of_the_matrix_tells_its_results(visit: Open, file: Path, data: PageData) -> None:
    page = visit(file).page
    page.locator(".cell.failed").click()
    expect(page.locator("#dialog-title")).to_have_text("image on prime-2.10")
    rows = page.locator("dialog tbody tr")
    assert rows.count() == len(data.components)
    assert rows.first.inner_text().split("\t") == [
        "rke2-cilium 1.32.400", "failed", "23 objects, 2 variants",
    ]  # fmt: skip
    expect(page.locator("dialog .findings")).to_contain_text("docker.io/rancher/x:v1")
    page.click("#dialog-close")
    page.locator("[data-check=image][data-column='prime-2.9']").click()
    assert page.locator("dialog .findings").count() == 0
    assert page.locator("dialog .status.failed").count() == 0


def test_old_and_new_stand_side_by_side(visit: Open, file: Path) -> None:
    page = visit(file).page
    row = page.locator(".sides tr", has_text="cloudConfigPath")
    old, new = row.locator("td").nth(0).bounding_box(), row.locator("td").nth(1).bounding_box()
    assert old is not None
    assert new is not None
    assert old["y"] == new["y"]
    assert old["x"] + old["width"] <= new["x"] + 1
    expect(row.locator("td").nth(0)).to_have_text('"/etc/kubernetes/cloud-config"')


def test_the_history_has_a_bar_for_every_release(visit: Open, file: Path, data: PageData) -> None:
    page = visit(file).page
    assert data.history is not None
    bars = page.locator("svg.bars").first
    expect(bars.locator("text.value")).to_have_count(len(data.history.releases))
    title = bars.locator("rect title").first.evaluate("each => each.textContent")
    assert title.startswith("v1.32.0+rke2r1, ")


def test_dark_is_as_the_system_has_it_and_can_be_chosen(visit: Open, file: Path) -> None:
    def is_dark(page: Page) -> bool:
        color = page.evaluate("getComputedStyle(document.body).backgroundColor")
        return int(str(color).partition("(")[2].partition(",")[0]) < 64

    page = visit(file, color_scheme="dark").page
    assert is_dark(page)
    page.click("#theme")
    assert not is_dark(page)
    page.reload()
    assert not is_dark(page)
    assert not is_dark(visit(file, color_scheme="light").page)


def test_the_section_that_is_read_is_marked(visit: Open, file: Path) -> None:
    page = visit(file).page
    current = page.locator(".sections [aria-current]")
    expect(current).to_have_text("Overview")
    for name in ("Validation", "Images", "Findings"):
        page.locator(".sections a", has_text=name).click()
        expect(current).to_contain_text(name)
        assert page.evaluate("document.activeElement.textContent") == name
        assert f"at={name.lower()}" in page.url
    again = visit(file, anchor="#at=changes").page
    expect(again.locator(".sections [aria-current]")).to_have_text("Changes")


def test_nothing_moves_while_the_page_comes_up(visit: Open, file: Path) -> None:
    shift = """() => new Promise((done) => {
        let sum = 0;
        new PerformanceObserver((list) => {
            for (const each of list.getEntries()) sum += each.value;
        }).observe({ type: "layout-shift", buffered: true });
        setTimeout(() => done(sum), 300);
    })"""
    assert visit(file).page.evaluate(shift) < 0.1


@pytest.mark.parametrize("width", [320, 390, 768, 1440])
def test_the_page_is_never_wider_than_the_window(visit: Open, file: Path, width: int) -> None:
    page = visit(file, width=width).page
    assert page.evaluate("document.documentElement.scrollWidth") <= width


def test_paper_has_all_and_no_buttons(visit: Open, file: Path) -> None:
    page = visit(file, width=700)
    page.page.emulate_media(media="print")
    expect(page.page.locator("#filters")).not_to_be_visible()
    expect(page.page.locator("nav.sections")).not_to_be_visible()
    expect(page.page.locator("#map")).to_be_visible()
    assert page.page.evaluate("document.documentElement.scrollWidth") <= 700
    page.shot("print", whole=True)
    paper = page.page.pdf(format="A4", prefer_css_page_size=True)
    assert paper.startswith(b"%PDF")
    (page.folder / "print.pdf").write_bytes(paper)


def test_without_a_script_everything_is_still_there(visit: Open, file: Path) -> None:
    page = visit(file, java_script_enabled=False).page
    expect(page.locator("noscript p")).to_be_visible()
    expect(page.locator("#filters")).not_to_be_visible()
    assert page.locator("#table tbody tr").count() > 50
    expect(page.locator(".numbers").first).to_be_visible()


def test_hostile_names_are_shown_as_text(visit: Open, tmp_path: Path) -> None:
    path = tmp_path / "hostile.html"
    path.write_text(html.render(hostile_page()), encoding="utf-8")
    page = visit(path).page
    for _ in ("component", "image", "layer"):
        tiles(page).first.locator("> .name").click()
    page.locator(".cell").first.click()
    assert page.evaluate("globalThis.hostile") is None
    assert page.locator("img, iframe, object, embed, base, form[action]").count() == 0
    assert page.locator("script").count() == 2
    expect(page.locator("#map-path")).to_contain_text("<img src=x")
    assert HOSTILE in page.locator("#dialog-title").inner_text()


def test_an_empty_page_says_what_is_missing(visit: Open, data: PageData, tmp_path: Path) -> None:
    missing = {
        "archives": "no archives in dist/artifacts yet: run 'rke2pack airgap'",
        "changes": "no git tag before this tree: name a release with --against",
        "validation": "no dist/validate/report.json yet: run 'rke2pack validate'",
        "history": "no sizes of earlier releases: keep them in a file and name it with --history",
    }
    empty = dataclasses.replace(
        data, archives=(), changes=None, validations=(), history=None, findings=(), missing=missing
    )
    path = tmp_path / "empty.html"
    path.write_text(html.render(empty), encoding="utf-8")
    page = visit(path)
    assert page.violations() == []
    page.shot("empty", whole=True)
    for section, text in missing.items():
        card = page.page.locator("section.card", has=page.page.locator("p.lack", has_text=text))
        assert card.count() == 1, section


@pytest.mark.slow
def test_the_page_of_a_lab_release(visit: Open, project: Path, tmp_path: Path) -> None:
    tree = tmp_path / "tree"
    shutil.copytree(project / "charts-manifest", tree / "charts-manifest")
    shutil.copyfile(project / "images.txt", tree / "images.txt")
    command = (sys.executable, "-m", "rke2pack")
    subprocess.run([*command, "lab", "--tree", str(tree), "-q"], check=True)
    scratch, charts = tree / "dist/lab/tree", tree / "dist/lab/charts"
    where = ("--tree", str(scratch), "--charts-repo", str(charts))
    subprocess.run([*command, "validate", *where, "-q"], check=True)
    options = ("--against", str(tree), "--history", str(tree / "history.json"), "-q")
    subprocess.run([*command, "report", *where, *options], check=True)
    page = visit(scratch / "dist/report.html")
    assert page.violations() == []
    assert tiles(page.page).count() == 9
    expect(page.page.locator(".change summary").first).to_contain_text("harvester-cloud-provider")
    assert page.page.locator(".cell.passed").count() > 30
    assert page.page.locator("#table .why details").count() > 50
    page.shot("lab", whole=True)

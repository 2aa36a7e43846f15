from __future__ import annotations

from pathlib import Path

import pytest

from rke2pack.lists import files, lockdiff
from rke2pack.tree.native import NativeTree
from tests.unit.lists.locking import image, lock
from tests.unit.stages.conftest import Rke2pack, chart, contents, write_repository, write_tree


@pytest.fixture
def where(lab_tree: Path, lab_charts: Path) -> tuple[str, ...]:
    return ("--tree", str(lab_tree), "--charts-repo", str(lab_charts))


def test_the_committed_list_is_what_the_lab_charts_need(
    where: tuple[str, ...], rke2pack: Rke2pack
) -> None:
    answer = rke2pack("images", "--check", *where, "--json")
    assert answer.code == 0, answer.err
    assert answer.json["differences"] == []
    assert {name: len(refs) for name, refs in answer.json["components"].items()} == {
        "core": 15, "canal": 2, "traefik": 1, "cilium": 11, "calico": 10, "vsphere": 9,
        "multus": 4, "harvester": 7, "flannel": 2, "windows": 2,
    }  # fmt: skip


def test_check_fails_with_each_line_and_its_proof(
    where: tuple[str, ...], lab_tree: Path, rke2pack: Rke2pack
) -> None:
    path = lab_tree / "images.txt"
    wrong = path.read_text().replace("harvester-csi-driver:v0.2.2", "harvester-csi-driver:v9")
    path.write_text(wrong)
    before = contents(lab_tree)
    answer = rke2pack("images", "--check", *where)
    assert answer.code == 7
    assert answer.err.endswith(
        f"error: {path}: 2 lines differ from what the charts need\n"
        "  + harvester: docker.io/rancher/harvester-csi-driver:v0.2.2  "
        "(harvester-csi-driver 0.1.2300 (variant default), templates/daemonset.yaml: "
        "DaemonSet/harvester-csi-driver spec.template.spec.containers[1].image)\n"
        "  - harvester: docker.io/rancher/harvester-csi-driver:v9  "
        "(no chart and no rule names it)\n"
        "hint: run 'rke2pack images' and commit images.txt\n"
    )
    assert contents(lab_tree) == before


def test_check_knows_a_section_that_has_no_component(
    where: tuple[str, ...], lab_tree: Path, rke2pack: Rke2pack
) -> None:
    path = lab_tree / "images.txt"
    path.write_text(path.read_text() + "\n# component: old\ndocker.io/x/old:1\n")
    answer = rke2pack("images", "--check", *where, "--json")
    assert answer.code == 7
    assert answer.json["differences"] == [
        {
            "component": "old",
            "reference": "docker.io/x/old:1",
            "missing": False,
            "proof": "the tree has no such component",
        }
    ]


def test_images_writes_the_committed_text_again(
    where: tuple[str, ...], lab_tree: Path, project: Path, rke2pack: Rke2pack
) -> None:
    (lab_tree / "images.txt").unlink()
    assert rke2pack("images", *where).code == 0
    assert (lab_tree / "images.txt").read_bytes() == (project / "images.txt").read_bytes()
    lists = {path.name for path in (lab_tree / "dist/images").iterdir()}
    assert "rke2-images-vsphere.linux-amd64.txt" in lists
    assert "rke2-images-vsphere.linux-arm64.txt" not in lists
    assert "rke2-images.windows-amd64.txt" in lists
    assert len(lists) == 18


def test_dry_run_shows_a_diff_and_writes_nothing(
    where: tuple[str, ...], lab_tree: Path, rke2pack: Rke2pack
) -> None:
    path = lab_tree / "images.txt"
    path.write_text(path.read_text().replace("docker.io/rancher/klipper-lb:v0.4.13\n", ""))
    before = contents(lab_tree)
    answer = rke2pack("images", "--dry-run", *where)
    assert answer.code == 0
    assert "+docker.io/rancher/klipper-lb:v0.4.13\n" in answer.out
    assert contents(lab_tree) == before


def test_a_component_alone_leaves_the_other_sections(
    where: tuple[str, ...], lab_tree: Path, rke2pack: Rke2pack
) -> None:
    path = lab_tree / "images.txt"
    stale = path.read_text().replace("klipper-lb:v0.4.13", "klipper-lb:v0")
    path.write_text(stale.replace("harvester-csi-driver:v0.2.2", "harvester-csi-driver:v9"))
    assert rke2pack("images", "--component", "harvester", *where).code == 0
    assert path.read_text() == stale
    assert rke2pack("images", "--check", "--component", "harvester", *where).code == 0
    assert rke2pack("images", "--check", *where).code == 7


def test_another_registry_goes_to_dist_and_leaves_images_txt(
    where: tuple[str, ...], lab_tree: Path, rke2pack: Rke2pack
) -> None:
    before = (lab_tree / "images.txt").read_bytes()
    answer = rke2pack("images", "--registry", "registry.example.com:5000", *where, "--json")
    assert answer.code == 0
    assert answer.json["components"]["traefik"] == [
        "registry.example.com:5000/rancher/mirrored-library-traefik:3.3.6"
    ]
    listed = lab_tree / "dist/images/rke2-images-traefik.linux-amd64.txt"
    assert listed.read_text().startswith("registry.example.com:5000/rancher/")
    assert (lab_tree / "images.txt").read_bytes() == before


def test_prime_adds_the_other_ingress_controller(
    where: tuple[str, ...], rke2pack: Rke2pack
) -> None:
    core = [rke2pack("images", *extra, *where, "--json").json["components"]["core"]
            for extra in ((), ("--prime",))]  # fmt: skip
    added = set(core[1]) - set(core[0])
    assert set(core[0]) <= set(core[1])
    assert any("nginx-ingress-controller" in reference for reference in added)


def test_platform_selects_lists_and_output(
    where: tuple[str, ...], lab_tree: Path, rke2pack: Rke2pack
) -> None:
    answer = rke2pack("images", "--platform", "linux/arm64", *where, "--json")
    assert "vsphere" not in answer.json["components"]
    assert all("arm64" in path.name for path in (lab_tree / "dist/images").iterdir())
    wrong = rke2pack("images", "--platform", "linux/s390x", *where)
    assert wrong.code == 2
    assert "linux/s390x: the tree has no such platform" in wrong.err


@pytest.mark.parametrize(
    "name",
    [
        "docker.io/rancher/mirrored-calico-csi:v3.29.3",
        "rancher/mirrored-calico-csi:v3.29.3",
        "mirrored-calico-csi",
    ],
)
def test_explain_tells_why(name: str, where: tuple[str, ...], rke2pack: Rke2pack) -> None:
    answer = rke2pack("images", "--explain", name, *where)
    assert answer.code == 0
    assert answer.out == (
        "docker.io/rancher/mirrored-calico-csi:v3.29.3 (calico)\n"
        "  rke2-calico v3.29.300, values calicoctl.tag: started by the Tigera operator, "
        "which names them in its code\n"
    )


def test_explain_of_an_unlisted_image_fails(where: tuple[str, ...], rke2pack: Rke2pack) -> None:
    answer = rke2pack("images", "--explain", "nginx", *where)
    assert answer.code == 2
    assert "error: nginx: in no list of this tree\n" in answer.err


def test_an_image_that_ignores_the_registry_is_a_finding(
    tmp_path: Path, rke2pack: Rke2pack
) -> None:
    files = chart("a", "1.0.000", image="x/a:1")
    fixed = "quay.io/x/a:1"
    files["templates/main.yaml"] = files["templates/main.yaml"].replace(
        "{{ .Values.global.systemDefaultRegistry }}/x/a:1", fixed
    )
    repository = write_repository(tmp_path / "repo", files)
    tree = write_tree(tmp_path / "tree", {"a": "1.0.000"})
    where = ("--tree", tree, "--charts-repo", repository)
    assert rke2pack("charts", "--references", *where).code == 0
    answer = rke2pack("images", *where, "--json")
    assert [finding["check"] for finding in answer.json["findings"]] == ["system-default-registry"]
    assert answer.json["findings"][0]["got"].startswith(fixed)
    assert answer.json["components"]["core"] == ["docker.io/x/a:1"]


def test_a_tag_that_moves_is_a_finding(tmp_path: Path, rke2pack: Rke2pack) -> None:
    repository = write_repository(tmp_path / "repo", chart("a", "1.0.000", image="x/a:latest"))
    tree = write_tree(tmp_path / "tree", {"a": "1.0.000"})
    where = ("--tree", tree, "--charts-repo", repository)
    assert rke2pack("charts", "--references", *where).code == 0
    findings = rke2pack("images", *where, "--json").json["findings"]
    assert [(f["check"], f["subject"]) for f in findings] == [
        ("floating-tag", "docker.io/x/a:latest")
    ]


@pytest.mark.parametrize("option", [("--registry", "registry.example.com"), ("--prime",)])
def test_check_is_refused_for_other_lists_than_images_txt(
    option: tuple[str, ...], where: tuple[str, ...], rke2pack: Rke2pack
) -> None:
    answer = rke2pack("images", "--check", *option, *where)
    assert answer.code == 2
    assert "error: --check compares images.txt, which is not for" in answer.err


@pytest.mark.parametrize("registry", ["https://x.example.com/", "bad host!", "x.example.com/y"])
def test_a_registry_is_a_host(registry: str, where: tuple[str, ...], rke2pack: Rke2pack) -> None:
    answer = rke2pack("images", "--registry", registry, *where)
    assert answer.code == 2
    assert f"error: {registry!r}: not a registry\n" in answer.err


def test_images_heals_a_damaged_images_txt(
    where: tuple[str, ...], lab_tree: Path, project: Path, rke2pack: Rke2pack
) -> None:
    (lab_tree / "images.txt").write_text("# component: core\nnot an image\n")
    assert rke2pack("images", "--check", *where).code == 2
    assert rke2pack("images", *where).code == 0
    assert (lab_tree / "images.txt").read_bytes() == (project / "images.txt").read_bytes()


def test_a_component_that_does_not_ship_for_the_platform_is_said(
    where: tuple[str, ...], rke2pack: Rke2pack
) -> None:
    asked = ("--component", "vsphere", "--platform", "linux/arm64")
    assert "vsphere      does not ship for linux/arm64\n" in rke2pack("images", *asked, *where).err


def test_a_chart_without_a_component_is_an_error(tmp_path: Path, rke2pack: Rke2pack) -> None:
    repository = write_repository(tmp_path / "repo", chart("a", "1.0.000"), chart("b", "1.0.000"))
    tree = write_tree(tmp_path / "tree", {"a": "1.0.000"})
    path = tree / "charts-manifest/chart_versions.yaml"
    path.write_text(path.read_text() + "  - version: 1.0.000\n    filename: /charts/b.yaml\n")
    answer = rke2pack("images", "--tree", tree, "--charts-repo", repository)
    assert answer.code == 2
    assert "error: b: belongs to no component\n" in answer.err


def test_an_unknown_component_names_the_known_ones(
    where: tuple[str, ...], rke2pack: Rke2pack
) -> None:
    answer = rke2pack("images", "--component", "winter", *where)
    assert answer.code == 2
    assert "error: winter: no such component\nhint: choose one of: core, canal" in answer.err


def locked(lab_tree: Path) -> Path:
    """A lock of exactly the images of images.txt, whatever their registries have."""
    tree = NativeTree.open(lab_tree)
    wanted = lockdiff.wanted(tree.components, files.written(tree))
    path = lab_tree / "images.lock"
    entries = (image(str(each), *map(str, names)) for each, names in wanted.items())
    path.write_text(str(lock(*entries)))
    return path


def test_check_compares_the_names_of_a_lock(
    where: tuple[str, ...], lab_tree: Path, rke2pack: Rke2pack
) -> None:
    assert rke2pack("images", *where).code == 0
    path = locked(lab_tree)
    answer = rke2pack("images", "--check", *where, "--json")
    assert answer.code == 0, answer.err
    assert answer.json["lock"] == {"differences": []}
    path.write_text(path.read_text().replace("klipper-lb:v0.4.13", "klipper-lb:v0"))
    answer = rke2pack("images", "--check", *where)
    assert answer.code == 7
    assert answer.err.endswith(
        f"error: {path}: 2 images differ from images.txt\n"
        "  + docker.io/rancher/klipper-lb:v0.4.13  images.txt lists it\n"
        "  - docker.io/rancher/klipper-lb:v0  images.txt does not list it\n"
        "hint: run 'rke2pack images --lock' and commit images.lock\n"
    )
    assert rke2pack("images", "--check", "--component", "traefik", *where).code == 0
    told = rke2pack("images", *where)
    assert told.code == 0
    assert told.err.endswith("images.lock: 2 images to lock anew\n")


def test_check_names_both_files_where_both_are_wrong(
    where: tuple[str, ...], lab_tree: Path, rke2pack: Rke2pack
) -> None:
    assert rke2pack("images", *where).code == 0
    locked(lab_tree)
    images = lab_tree / "images.txt"
    images.write_text(images.read_text().replace("klipper-lb:v0.4.13", "klipper-lb:v0"))
    answer = rke2pack("images", "--check", *where)
    assert answer.code == 7
    assert f"error: {images}: 2 lines differ from what the charts need\n" in answer.err
    assert "  + docker.io/rancher/klipper-lb:v0  images.txt lists it\n" in answer.err
    assert answer.err.endswith(
        "hint: run 'rke2pack images' and 'rke2pack images --lock', "
        "and commit images.txt and images.lock\n"
    )


def test_a_damaged_lock_stops_images_before_anything_is_written(
    where: tuple[str, ...], lab_tree: Path, rke2pack: Rke2pack
) -> None:
    (lab_tree / "images.lock").write_text("{")
    (lab_tree / "images.txt").unlink()
    answer = rke2pack("images", *where)
    assert answer.code == 2
    assert not (lab_tree / "images.txt").exists()


def test_a_report_goes_with_the_gate(where: tuple[str, ...], rke2pack: Rke2pack) -> None:
    answer = rke2pack("images", "--report", "x.md", *where)
    assert answer.code == 2
    assert "--report goes with --verify-registry" in answer.err

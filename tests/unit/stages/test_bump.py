"""bump of one chart: what changes in the tree, what is told, what is refused."""

from __future__ import annotations

import subprocess
from pathlib import Path

import pytest

from tests.unit.stages.bumping import CHART, bundle
from tests.unit.stages.conftest import (
    Rke2pack,
    chart,
    contents,
    write_repository,
    write_tree,
)


def changed(before: dict[str, bytes], after: dict[str, bytes]) -> set[str]:
    return {path for path in before | after if before.get(path) != after.get(path)}


def test_the_example_changes_one_version_line_and_one_manifest(
    lab_tree: Path, lab_charts: Path, rke2pack: Rke2pack
) -> None:
    before = contents(lab_tree)
    answer = rke2pack("bump", CHART, "0.2.10", "--tree", lab_tree, "--charts-repo", lab_charts)
    assert answer.code == 0, answer.err
    after = contents(lab_tree)
    tracked = {path for path in changed(before, after) if not path.startswith("dist/")}
    assert tracked == {"charts-manifest/chart_versions.yaml", f"charts-manifest/{CHART}.yaml"}
    name = "charts-manifest/chart_versions.yaml"
    assert after[name] == before[name].replace(b"version: 0.2.900\n", b"version: 0.2.1000\n")
    assert (
        'values: cloudConfigPath: "/etc/kubernetes/cloud-config" -> '
        '"/var/lib/rancher/rke2/etc/config-files/cloud-provider-config"'
    ) in answer.err
    assert "images of harvester: no change (7 images)" in answer.err


def test_json_has_the_keys_of_the_contract(
    lab_tree: Path, lab_charts: Path, rke2pack: Rke2pack
) -> None:
    where = ("--tree", lab_tree, "--charts-repo", lab_charts)
    document = rke2pack("bump", CHART, "0.2.10", *where, "--json").json
    assert document["chart"] == CHART
    assert (document["from"], document["to"], document["upstream"]) == (
        "0.2.900",
        "0.2.1000",
        "0.2.10",
    )
    assert document["digest"].startswith("sha256:")
    assert document["source"].endswith(f"assets/{CHART}/{CHART}-0.2.1000.tgz")
    assert document["images"] == {"harvester": {"added": [], "removed": []}}
    assert {"path": "images.txt", "changed": False} in document["files"]
    assert {"values", "rbac", "objects", "crds", "kube_version", "questions"} <= set(
        document["diff"]
    )
    assert document["findings"] == []


def test_new_images_change_only_the_section_of_their_component(
    lab_tree: Path, lab_charts: Path, rke2pack: Rke2pack
) -> None:
    before = contents(lab_tree)
    where = ("--tree", lab_tree, "--charts-repo", lab_charts)
    document = rke2pack("bump", CHART, "0.2.11", *where, "--json").json
    assert document["images"]["harvester"] == {
        "added": [
            "docker.io/rancher/harvester-cloud-provider:v0.2.5",
            "docker.io/rancher/mirrored-kube-vip-kube-vip-iptables:v0.9.2",
        ],
        "removed": [
            "docker.io/rancher/harvester-cloud-provider:v0.2.4",
            "docker.io/rancher/mirrored-kube-vip-kube-vip-iptables:v0.8.7",
        ],
    }
    old, new = (c["images.txt"].decode().splitlines() for c in (before, contents(lab_tree)))
    assert [line for line in old if line not in new] == document["images"]["harvester"]["removed"]
    assert [line for line in new if line not in old] == document["images"]["harvester"]["added"]
    arm64 = lab_tree / "dist/images/rke2-images-harvester.linux-arm64.txt"
    assert arm64.read_text().splitlines()[0] == document["images"]["harvester"]["added"][0]
    assert rke2pack("images", "--check", *where).code == 0


def test_dry_run_writes_nothing_and_its_patch_gives_the_same_tree(
    lab_tree: Path, lab_charts: Path, rke2pack: Rke2pack, tmp_path: Path
) -> None:
    where = ("--tree", lab_tree, "--charts-repo", lab_charts)
    before = contents(lab_tree)
    dry = rke2pack("bump", CHART, "0.2.11", *where, "--dry-run")
    assert dry.code == 0
    assert contents(lab_tree) == before
    patch = tmp_path / "bump.patch"
    patch.write_text(dry.out)
    subprocess.run(["git", "init", "-q", lab_tree], check=True)
    subprocess.run(["git", "-C", lab_tree, "apply", patch], check=True)
    patched = {
        path: data for path, data in contents(lab_tree).items() if not path.startswith(".git/")
    }
    subprocess.run(["git", "-C", lab_tree, "apply", "-R", patch], check=True)
    assert rke2pack("bump", CHART, "0.2.11", *where).code == 0
    for path, data in patched.items():
        assert (lab_tree / path).read_bytes() == data, path


def test_the_bundled_version_is_nothing_to_do(
    lab_tree: Path, lab_charts: Path, rke2pack: Rke2pack
) -> None:
    before = contents(lab_tree)
    where = ("--tree", lab_tree, "--charts-repo", lab_charts)
    answer = rke2pack("bump", CHART, "0.2.900", *where)
    assert answer.code == 0
    assert f"{CHART}: 0.2.900 is bundled already, nothing to do\n" in answer.err
    assert contents(lab_tree) == before


def test_a_downgrade_needs_its_flag(lab_tree: Path, lab_charts: Path, rke2pack: Rke2pack) -> None:
    where = ("--tree", lab_tree, "--charts-repo", lab_charts)
    assert rke2pack("bump", CHART, "0.2.11", *where).code == 0
    refused = rke2pack("bump", CHART, "0.2.10", *where)
    assert refused.code == 3
    assert refused.err.endswith(
        f"error: {CHART}: 0.2.1000 is older than the bundled 0.2.1100\n"
        "hint: pass --allow-downgrade if that is meant\n"
    )
    assert rke2pack("bump", CHART, "0.2.10", "--allow-downgrade", *where).code == 0


def test_several_package_versions_are_named(tmp_path: Path, rke2pack: Rke2pack) -> None:
    repository = write_repository(
        tmp_path / "repo",
        *(chart("a", v, image="x/a:1") for v in ("1.0.000", "1.1.000", "1.1.003")),
    )
    tree = write_tree(tmp_path / "tree", {"a": "1.0.000"})
    bundle(tree, rke2pack, repository)
    answer = rke2pack("bump", "a", "1.1.0", "--tree", tree, "--charts-repo", repository)
    assert (
        "1.1.0 has several packageVersions: 1.1.003 is the newest, others are 1.1.000" in answer.err
    )


def test_a_report_that_cannot_be_written_stops_the_bump(
    lab_tree: Path, lab_charts: Path, rke2pack: Rke2pack
) -> None:
    before = contents(lab_tree)
    where = ("--tree", lab_tree, "--charts-repo", lab_charts)
    nowhere = lab_tree / "images.txt/report.md"
    answer = rke2pack("bump", CHART, "0.2.10", *where, "--report", nowhere)
    assert answer.code == 6
    assert contents(lab_tree) == before


def test_a_long_difference_is_cut_and_verbose_shows_it(tmp_path: Path, rke2pack: Rke2pack) -> None:
    new = chart("a", "1.1.000", image="x/a:1")
    new["values.yaml"] += "".join(f"value{number}: 1\n" for number in range(60))
    repository = write_repository(tmp_path / "repo", chart("a", "1.0.000", image="x/a:1"), new)
    tree = write_tree(tmp_path / "tree", {"a": "1.0.000"})
    bundle(tree, rke2pack, repository)
    where = ("--tree", tree, "--charts-repo", repository, "--dry-run")
    short = rke2pack("bump", "a", "latest", *where)
    assert "  values: ... 54 more\n" in short.err
    assert "  see all with -v or 'rke2pack diff a 1.0.000 1.1.000'\n" in short.err
    assert "value59" not in short.err
    assert "value59" in rke2pack("bump", "a", "latest", *where, "-v").err


def test_the_report_is_pull_request_text(
    lab_tree: Path, lab_charts: Path, rke2pack: Rke2pack, tmp_path: Path
) -> None:
    report = tmp_path / "report.md"
    where = ("--tree", lab_tree, "--charts-repo", lab_charts)
    assert rke2pack("bump", CHART, "0.2.11", *where, "--report", report).code == 0
    text = report.read_text()
    assert text.startswith(f"# {CHART} 0.2.900 → 0.2.1100\n")
    assert f"<https://rke2-charts.rancher.io/assets/{CHART}/{CHART}-0.2.1100.tgz>" in text
    assert "| added | `docker.io/rancher/harvester-cloud-provider:v0.2.5` | `" in text
    assert "the default of `cloudConfigPath` moves from `/etc/kubernetes/cloud-config`" in text
    assert "- [ ] " in text
    assert str(tmp_path) not in text


def test_zero_removes_a_chart_and_a_version_revives_it(
    lab_tree: Path, lab_charts: Path, rke2pack: Rke2pack, tmp_path: Path
) -> None:
    before = contents(lab_tree)
    where = ("--tree", lab_tree, "--charts-repo", lab_charts)
    report = tmp_path / "report.md"
    removal = rke2pack("bump", CHART, "0.0.0", *where, "--json", "--report", report)
    assert removal.code == 0, removal.err
    assert (removal.json["to"], removal.json["digest"]) == ("0.0.0", None)
    assert (
        "docker.io/rancher/harvester-cloud-provider:v0.2.4"
        in (removal.json["images"]["harvester"]["removed"])
    )
    manifest = lab_tree / f"charts-manifest/{CHART}.yaml"
    assert manifest.read_text() == f"# {CHART} has been removed\n"
    assert report.read_text().startswith(f"# {CHART} 0.2.900 → removed\n")
    assert rke2pack("images", "--check", *where).code == 0
    revival = rke2pack("bump", CHART, "0.2.900", *where, "--json")
    assert "revived-chart" in {each["check"] for each in revival.json["findings"]}
    after = contents(lab_tree)
    assert {path: after[path] for path in before} == before


@pytest.mark.parametrize("option", [("--prime",), ("--registry", "x.io"), ("--component", "core")])
def test_options_that_a_bump_has_no_use_for_are_refused(
    option: tuple[str, ...], lab_tree: Path, rke2pack: Rke2pack
) -> None:
    answer = rke2pack("bump", CHART, "0.2.10", "--tree", lab_tree, *option)
    assert answer.code == 2
    assert f"error: No such option '{option[0]}'" in answer.err


def test_a_chart_that_is_not_bundled_is_told_apart(
    tmp_path: Path, lab_tree: Path, rke2pack: Rke2pack
) -> None:
    repository = write_repository(tmp_path / "repo", chart("rke2-other", "1.0.000"))
    where = ("--tree", lab_tree, "--charts-repo", repository)
    typo = rke2pack("bump", "harvester-cloud-provder", "0.2.10", *where)
    assert "hint: did you mean harvester-cloud-provider?" in typo.err
    other = rke2pack("bump", "rke2-other", "latest", *where)
    assert "hint: the chart repository has it; add an entry to chart_versions.yaml" in other.err
    assert (typo.code, other.code) == (2, 2)


def test_the_default_repository_that_is_not_reachable_mentions_the_ways_out(
    lab_tree: Path, rke2pack: Rke2pack
) -> None:
    path = lab_tree / "charts-manifest/repositories.yaml"
    path.write_text("repositories:\n- {name: home, url: 'http://127.0.0.1:9'}\n")
    before = contents(lab_tree)
    answer = rke2pack("bump", CHART, "0.2.10", "--tree", lab_tree)
    assert answer.code == 4
    assert "error: http://127.0.0.1:9/index.yaml: not reachable: Connection refused" in answer.err
    for way in ("--lab", "--charts-repo DIR", "--offline"):
        assert way in answer.err
    assert contents(lab_tree) == before

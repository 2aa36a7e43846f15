"""Names at the target, and the registries.yaml by which nodes find them."""

from __future__ import annotations

from pathlib import Path

from tests.contract.oci.images import Made
from tests.contract.oci.mirror.mirroring import (
    NAMES,
    MirrorCall,
    assert_there,
)
from tests.contract.oci.runner import run
from tests.contract.oci.simulator import Simulator


def test_prefix_and_maps_rename(
    mirror: MirrorCall, target: Simulator, made: dict[str, Made]
) -> None:
    maps = ("--map", "rancher/=team/r/", "--map", "rancher/beta=tools/beta")
    answer = mirror(*NAMES, *maps, to="/pre/fix")
    assert answer.code == 0, answer.err
    assert_there(target, "pre/fix/team/r/alpha", made["alpha"])
    assert_there(target, "pre/fix/tools/beta", made["beta"])


def test_two_images_for_one_name_are_refused_before_anything_is_written(
    mirror: MirrorCall, registry: Simulator, target: Simulator, made: dict[str, Made]
) -> None:
    assert made
    answer = mirror(*NAMES, "--map", "rancher/alpha=rancher/same", "--map",
                    "rancher/beta=rancher/same")  # fmt: skip
    assert answer.code == 2
    assert "1 name at the target would be several images" in answer.err
    assert "docker.io/rancher/alpha:v1 and docker.io/rancher/beta:v1" in answer.err
    assert target.requests == []
    registry.manifests["rancher/beta", "v1"] = registry.manifests["rancher/alpha", "v1"]
    same = mirror(*NAMES[:2], "--map", "rancher/alpha=rancher/same", "--map",
                  "rancher/beta=rancher/same")  # fmt: skip
    assert same.code == 0, same.err


def test_registries_yaml_is_written(
    mirror: MirrorCall, target: Simulator, made: dict[str, Made], tmp_path: Path
) -> None:
    assert made
    path = tmp_path / "out/registries.yaml"
    assert mirror(*NAMES, "--write-registries-yaml", path, "--dry-run").code == 0
    assert not path.exists()
    answer = mirror(*NAMES, "--write-registries-yaml", path, to="/pre")
    assert f"written  {path}" in answer.err
    text = path.read_text()
    assert f'- "https://{target.host}"' in text
    assert "'^(.*)$': 'pre/$1'" in text
    assert (
        f"unchanged  {path}"
        in mirror(*reversed(NAMES), "--write-registries-yaml", path, to="/pre").err
    )
    assert path.read_text() == text


def test_registries_yaml_is_not_written_where_images_failed(
    mirror: MirrorCall, made: dict[str, Made], tmp_path: Path
) -> None:
    assert made
    path = tmp_path / "registries.yaml"
    for options in ((), ("--dry-run",)):
        answer = mirror(*NAMES, "rancher/none:v1", "--write-registries-yaml", path, *options)
        assert answer.code == 4
        assert f"{path} is not written: images failed" in answer.err
        assert not path.exists()


def test_registries_yaml_is_shown_in_a_dry_run(
    registry: Simulator, target: Simulator, made: dict[str, Made], tmp_path: Path
) -> None:
    assert made
    path = tmp_path / "registries.yaml"
    call: list[str | Path] = ["mirror", f"{target.host}/pre", *NAMES, "--cache-dir", tmp_path]
    call += ["--endpoint", f"docker.io=http://{registry.host}"]
    call += ["--endpoint", f"{target.host}=http://{target.host}", "--write-registries-yaml", path]
    shown = run([*call, "--dry-run"], {})
    assert shown.code == 0, shown.err
    assert not path.exists()
    assert run(call, {}).code == 0
    assert shown.out == path.read_text()

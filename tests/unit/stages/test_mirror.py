"""The configuration of nodes that mirror writes."""

from __future__ import annotations

import re
from typing import Any

import pytest
import yaml

from rke2pack.oci.mirror.names import Rules
from rke2pack.oci.reference import Reference
from rke2pack.stages.mirror.nodes import registries_yaml

HOST = "registry.example.com:5000"
NAMES = (
    "rancher/mirrored-pause:3.6",
    "rancher/rke2-runtime:v1",
    "quay.example.com/team/x.y:v1",
    "rancher/mirrored-pause:3.7",
)


def written(target: str, maps: tuple[str, ...], names: tuple[str, ...] = NAMES) -> str:
    references = [Reference.parse(name) for name in names]
    return registries_yaml(Rules.parse(target, maps), references, address=f"https://{HOST}")


def rewritten(document: dict[str, Any], source: Reference) -> list[str]:
    """Every name that a node may ask the mirror for; RKE2 takes any rewrite that matches."""
    mirror = document["mirrors"][source.registry]
    found = [
        re.sub(old, new.replace("$1", r"\1"), source.repository)
        for old, new in mirror.get("rewrite", {}).items()
        if re.search(old, source.repository)
    ]
    return found or [source.repository]


@pytest.mark.parametrize(
    ("target", "maps"),
    [
        (HOST, ()),
        (f"{HOST}/pre/fix", ()),
        (HOST, ("rancher/=team/rancher/",)),
        (HOST, ("rancher/=a/", "rancher/rke2-runtime=b/runtime")),
        (HOST, ("rancher/=a/", "team/=b/")),
        (HOST, ("docker.io/rancher/=a/", "quay.example.com/team/=b/")),
        (f"{HOST}/pre", ("rancher/=a/", "team/x.y=c")),
    ],
)
def test_node_asks_for_what_mirror_writes(target: str, maps: tuple[str, ...]) -> None:
    document = yaml.safe_load(written(target, maps))
    assert list(document) == ["mirrors"]
    for name in NAMES:
        source = Reference.parse(name)
        wanted = Rules.parse(target, maps).target(source)
        assert document["mirrors"][source.registry]["endpoint"] == [f"https://{HOST}"]
        assert rewritten(document, source) == [wanted.repository]


def test_text_is_the_same_in_any_order_and_holds_no_secret() -> None:
    text = written(f"{HOST}/pre", ("rancher/=a/",))
    assert text == written(f"{HOST}/pre", ("rancher/=a/",), NAMES[::-1])
    lines = [line for line in text.splitlines() if "password" in line or "ca_file" in line]
    assert lines
    assert all(line.startswith("#") for line in lines)


def test_without_prefix_and_maps_nothing_is_rewritten() -> None:
    assert (
        written(HOST, ())
        == """\
# /etc/rancher/rke2/registries.yaml: nodes look for images at registry.example.com:5000 first.
# Written by 'rke2pack mirror'; restart rke2-server or rke2-agent after a change.
mirrors:
  "docker.io":
    endpoint:
      - "https://registry.example.com:5000"
  "quay.example.com":
    endpoint:
      - "https://registry.example.com:5000"
# Where the registry has a private CA or asks who you are, on each node (mode 0600):
#configs:
#  "registry.example.com:5000":
#    tls:
#      ca_file: /etc/rancher/rke2/registry-ca.crt
#    auth:
#      username: ...
#      password: ...
"""
    )

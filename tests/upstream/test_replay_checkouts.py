"""Every recorded bump of upstream's history, run again in a checkout of rancher/rke2."""

from __future__ import annotations

from pathlib import Path

import pytest

from tests.upstream.outcome import outcomes

SLICES = 6
# The bumps whose lists differ from the recorded ones: what the record got wrong, or did besides.
EXPLAINED: dict[str, set[str]] = {
    "8681d0e281": {"omission"},  # an image of cilium's clustermesh
    "1741448326": {"other"},  # images of SR-IOV, which no bumped chart renders
    "0b6e0d8737": {"omission", "stale"},  # harvester-csi-driver 0.1.1700 renders v0.1.5
    "26cbf20f7b": {"omission", "stale"},  # the snapshotter of vsphere
    "10c90fec33": {"omission", "stale"},  # harvester-cloud-provider 0.2.300 renders v0.2.0
    "138b8cfbd0": {"omission", "stale"},  # flannel in canal
    "e4de10bafd": {"omission", "other"},  # klipper-helm, and vsphere's image for Kubernetes 1.31
    "3c2cc26c41": {"omission", "stale"},  # all images of vsphere's CSI driver
    "d9f8d1e021": {"omission", "stale"},  # CNI plugins in multus and flannel
    "2d66e87a06": {"omission", "stale"},  # flannel
    "9e5401367f": {"omission", "stale"},  # the chart misspells its image's tag
    "319a0619ac": {"omission", "stale"},  # the same
    "0842337737": {"omission", "stale"},  # a downgrade to a chart without Kubernetes 1.32
    "97756bef91": {"omission", "stale"},  # vsphere's image for Kubernetes 1.33
    "e5175d630f": {"other"},  # an image of rke2-coredns, which did not move
}


@pytest.mark.parametrize("part", range(SLICES))
def test_recorded_bumps_give_the_recorded_versions_and_lists_or_prove_why_not(
    part: int, reference_data: Path, tmp_path: Path
) -> None:
    found = list(outcomes(reference_data, tmp_path, part=part, parts=SLICES))
    assert len(found) >= 131 // SLICES
    assert [o.bump.commit for o in found if o.verdict == "open"] == []
    explained = {
        o.bump.commit[:10]: {d.kind for d in o.differences} for o in found if o.differences
    }
    assert explained == {c: EXPLAINED[c] for c in explained}
    assert {o.bump.commit[:10] for o in found} & set(EXPLAINED) == set(explained)

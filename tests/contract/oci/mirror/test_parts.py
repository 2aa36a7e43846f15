"""The parts of mirror: who knows referrers, how a run ends, how deep an index may be."""

from __future__ import annotations

from concurrent.futures import Future, ThreadPoolExecutor

import pytest

from rke2pack.digest import Digest
from rke2pack.errors import IntegrityError
from rke2pack.oci.mirror.companions import Followers
from rke2pack.oci.mirror.prune import Pruner
from rke2pack.oci.mirror.run import Errand, Mirror
from rke2pack.oci.mirror.sources import ReferrersApis, RegistrySource
from rke2pack.oci.mirror.target import Target
from rke2pack.oci.model import Descriptor
from rke2pack.oci.reference import Reference
from rke2pack.oci.registry.upload import Arrival
from tests.contract.oci import images
from tests.contract.oci.conftest import MakeAccess
from tests.contract.oci.images import Made
from tests.contract.oci.simulator import Simulator

SUBJECT = Digest.of(b"subject")


def test_one_repository_that_is_not_there_says_nothing_of_its_host(
    make_access: MakeAccess, registry: Simulator
) -> None:
    registry.has_referrers, registry.unknown_repositories = True, {"rancher/none"}
    client, apis = make_access().registry(registry.host), ReferrersApis()
    for _ in range(2):
        assert apis.referrers(client, "rancher/none", SUBJECT) is None
    assert len(registry.asked("GET", "/referrers/")) == 1
    assert apis.referrers(client, "rancher/there", SUBJECT) == ()
    # The host is known now to keep the list.
    assert apis.referrers(client, "rancher/none", SUBJECT) == ()


def test_host_that_has_no_such_address_is_asked_once(
    make_access: MakeAccess, registry: Simulator
) -> None:
    client, apis = make_access().registry(registry.host), ReferrersApis()
    for name in ("rancher/a", "rancher/b", "rancher/a"):
        assert apis.referrers(client, name, SUBJECT) is None
    assert len(registry.asked("GET", "/referrers/")) == 1


def test_claim_that_fails_leaves_nobody_waiting(
    make_access: MakeAccess, registry: Simulator
) -> None:
    client = make_access().registry(registry.host)
    pool = ThreadPoolExecutor(1)
    target = Target(registry=client, pool=pool, apis=ReferrersApis())
    source = RegistrySource(registry=client, repository="rancher/from", apis=ReferrersApis())
    blobs = [Descriptor(media_type="a/b", digest=Digest.of(text), size=1) for text in (b"1", b"2")]
    first: Future[Arrival] = Future()
    target._homes[blobs[0].digest] = "rancher/home", first
    pool.shutdown()
    with pytest.raises(RuntimeError):
        target.send(source, "rancher/to", blobs)
    assert isinstance(target._places["rancher/to", blobs[0].digest].exception(0), RuntimeError)


def test_run_that_is_left_ends_its_images_before_its_blobs(
    make_access: MakeAccess, registry: Simulator, monkeypatch: pytest.MonkeyPatch
) -> None:
    ended: list[str] = []
    real = ThreadPoolExecutor.shutdown

    def shutdown(pool: ThreadPoolExecutor, **options: bool) -> None:
        ended.append(pool._thread_name_prefix or "")
        real(pool, **options)

    monkeypatch.setattr(ThreadPoolExecutor, "shutdown", shutdown)
    access = make_access()
    client = access.registry(registry.host)
    made = images.manifest()
    errands = []
    for number in range(3):
        name = f"rancher/n{number}"
        registry.push(name, made, "v1")
        reference = Reference.parse(f"{registry.host}/{name}:v1")
        source = RegistrySource(registry=client, repository=name, apis=ReferrersApis())
        target = Reference.parse(f"{registry.host}/copy/{name}:v1")
        errands.append(Errand(source=source, reference=reference, target=target))
    outcomes = Mirror(access=access, host=registry.host).run(errands)
    assert next(iter(outcomes)).error is None
    outcomes.close()  # type: ignore[attr-defined]
    assert ended == ["image", "blob"]
    assert access.stopped.is_set()


def nested(depth: int) -> Made:
    made = images.manifest()
    for _ in range(depth):
        made = images.index(made)
    return made


def test_index_that_nests_too_deep_is_an_error(
    make_access: MakeAccess, registry: Simulator
) -> None:
    client = make_access().registry(registry.host)
    registry.push("rancher/deep", nested(4), "four")
    registry.push("rancher/deep", nested(5), "five")
    target = Target(registry=client, pool=ThreadPoolExecutor(1), apis=ReferrersApis())
    followers = Followers(target=target, copy=lambda *_: 0)
    pruner = Pruner(registry=client, kept={})
    assert len(followers._listed("rancher/deep", nested(4).digest)) == 4
    assert len(pruner._documents("rancher/deep", "four")) == 5
    with pytest.raises(IntegrityError, match="nested deeper than 3"):
        followers._listed("rancher/deep", nested(5).digest)
    with pytest.raises(IntegrityError, match="nested deeper than 3"):
        pruner._documents("rancher/deep", "five")

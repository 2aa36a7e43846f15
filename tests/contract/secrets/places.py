"""Every place where a credential can be configured, and what can become of a run that uses it."""

from __future__ import annotations

import base64
import json
import os
from collections.abc import Callable
from dataclasses import dataclass
from typing import Final

from rke2pack import http as door
from rke2pack.oci.registry import token, wire
from tests.contract import simulator as faults
from tests.contract.secrets import bench as words
from tests.contract.secrets.bench import Bench, Word, docker_config
from tests.contract.secrets.witness import CANARY

USER: Final = f"user:{CANARY}"
_HELPER = """\
#!/bin/sh
tr '\\0' ' ' < /proc/$$/cmdline >> "{root}/arguments-of-helpers"
printf '{{"Username": "user", "Secret": "{secret}"}}'
"""
PROXIED = {"charts": "charts.example.com", "registry": "registry.example.com"}


@dataclass(frozen=True, kw_only=True)
class Place:
    """Where a credential stands; ``plant`` puts the canary there."""

    name: str
    plant: Callable[[Bench], None]
    is_proxy: bool = False


def _with_user(bench: Bench) -> str:
    return bench.charts.url.replace("://", f"://{USER}@")


def _option(bench: Bench) -> None:
    bench.source = ["--charts-repo", _with_user(bench)]


def _variable(bench: Bench) -> None:
    bench.source = []
    for word in ("BUMP", "CHARTS", "DIFF", "IMAGES", "REPORT"):
        bench.set(**{f"RKE2PACK_{word}_CHARTS_REPO": _with_user(bench)})


def _repositories(bench: Bench) -> None:
    bench.source = []
    document = {"repositories": [{"name": "home", "url": _with_user(bench)}]}
    path = bench.tree / "charts-manifest/repositories.yaml"
    bench.plant(path, json.dumps(document), mode=0o644)


def _netrc(bench: Bench) -> None:
    entry = f"machine 127.0.0.1 login user password {CANARY}\n"
    bench.plant(bench.home / ".netrc", entry)


def _proxy(bench: Bench, server: str) -> None:
    for name in ("http_proxy", "HTTP_PROXY"):
        bench.set(**{name: f"http://{USER}@{server}"})
    for name in ("no_proxy", "NO_PROXY"):
        bench.set(**{name: "127.0.0.2"})


def _charts_proxy(bench: Bench) -> None:
    _proxy(bench, bench.charts.url.removeprefix("http://"))
    bench.source = ["--charts-repo", f"http://{PROXIED['charts']}"]


def _registry_proxy(bench: Bench) -> None:
    _proxy(bench, bench.host)
    bench.host = PROXIED["registry"]


def _variables(bench: Bench) -> None:
    stem = "RKE2PACK_REGISTRY_" + bench.host.replace(".", "_").replace(":", "_")
    bench.set(**{f"{stem}_USERNAME": "user", f"{stem}_PASSWORD": CANARY})


def _auths(bench: Bench) -> dict[str, object]:
    return {"auths": {bench.host: {"auth": base64.b64encode(USER.encode()).decode()}}}


def _identity(bench: Bench) -> None:
    entry = {"auth": "PHRva2VuPjo=", "identitytoken": CANARY}
    docker_config(bench, {"auths": {bench.host: entry}})


def _auth_file(bench: Bench) -> None:
    path = bench.plant(bench.home / "auth.json", json.dumps(_auths(bench)))
    bench.set(REGISTRY_AUTH_FILE=str(path))


def _podman(bench: Bench) -> None:
    bench.plant(bench.home / "run/containers/auth.json", json.dumps(_auths(bench)))
    bench.set(XDG_RUNTIME_DIR=str(bench.home / "run"))


def _helper(bench: Bench) -> None:
    text = _HELPER.format(root=bench.root, secret=CANARY)
    path = bench.plant(bench.root / "bin/docker-credential-canary", text, mode=0o700)
    bench.set(PATH=f"{path.parent}:{os.environ['PATH']}")


def _cred_helpers(bench: Bench) -> None:
    _helper(bench)
    docker_config(bench, {"credHelpers": {bench.host: "canary"}})


def _creds_store(bench: Bench) -> None:
    _helper(bench)
    docker_config(bench, {"credsStore": "canary"})


CHARTS: Final = (
    Place(name="--charts-repo", plant=_option),
    Place(name="RKE2PACK_..._CHARTS_REPO", plant=_variable),
    Place(name="repositories.yaml", plant=_repositories),
    Place(name="netrc", plant=_netrc),
    Place(name="proxy", plant=_charts_proxy, is_proxy=True),
)
REGISTRY: Final = (
    Place(name="RKE2PACK_REGISTRY_..._PASSWORD", plant=_variables),
    Place(name="auths", plant=lambda bench: docker_config(bench, _auths(bench))),
    Place(name="identitytoken", plant=_identity),
    Place(name="REGISTRY_AUTH_FILE", plant=_auth_file),
    Place(name="podman's auth.json", plant=_podman),
    Place(name="credHelpers", plant=_cred_helpers),
    Place(name="credsStore", plant=_creds_store),
    Place(name="proxy", plant=_registry_proxy, is_proxy=True),
)


# ---- what becomes of it: each sets the hosts up, and is the exit code to expect

Fate = Callable[[Bench, Place], int]


def charts_work(bench: Bench, place: Place) -> int:
    bench.charts.credentials = None if place.is_proxy else USER
    return 0


def charts_refuse(bench: Bench, place: Place) -> int:
    bench.charts.credentials = "user:other"
    if place.is_proxy:
        bench.charts.credentials = None
        _everywhere(bench, faults.status(407))
    return 4


def charts_lead_away(bench: Bench, place: Place) -> int:
    """Redirect to other hosts; with a proxy to such as it is not asked for (NO_PROXY, loopback)."""
    charts_work(bench, place)
    for path in bench.charts.files:
        is_near = place.is_proxy and path.endswith(".tgz")
        other = bench.neighbour if is_near else bench.other_charts
        bench.charts.faults[path] = faults.redirect(f"{other.url}{path}")
    return 0


def charts_hang_up(bench: Bench, place: Place) -> int:
    charts_work(bench, place)
    _everywhere(bench, faults.hanging_up)
    return 4


def charts_meet_a_bug(bench: Bench, place: Place) -> int:
    """Fail where the address is known, as requests' own errors do."""
    charts_work(bench, place)
    real = door._check_status

    def fail(response: object, shown: str) -> None:
        real(response, shown)  # type: ignore[arg-type]
        request = response.request  # type: ignore[attr-defined]
        raise RuntimeError(f"{vars(response)} {request} {bench.source} {_environment()}")

    bench.monkeypatch.setattr(door, "_check_status", fail)
    return 70


def _environment() -> list[str]:
    return [value for name, value in os.environ.items() if name.lower().endswith("_proxy")]


def _everywhere(bench: Bench, fault: faults.Fault) -> None:
    bench.charts.faults = dict.fromkeys(bench.charts.files, fault)


def registry_works(bench: Bench, place: Place) -> int:
    if not place.is_proxy:
        bench.registry.auth = "bearer"
        bench.registry.is_public = False
        bench.registry.credentials = USER
        bench.registry.identity_token = CANARY
    return 0


def registry_refuses(bench: Bench, place: Place) -> int:
    registry_works(bench, place)
    bench.registry.credentials = bench.registry.identity_token = "user:other"
    if place.is_proxy:
        bench.registry.statuses = [(407, {})] * 50
    return 4


def registry_leads_away(bench: Bench, place: Place) -> int:
    registry_works(bench, place)
    bench.registry.redirect = f"http://{bench.other_registry.host}"
    return 0


def registry_breaks(bench: Bench, place: Place) -> int:
    """Answer with errors once it has seen who asks."""
    asks = [] if place.is_proxy else [(401, {"WWW-Authenticate": 'Basic realm="it"'})]
    bench.registry.statuses = [*asks, *[(500, dict[str, str]())] * 60]
    return 4


def registry_meets_a_bug(bench: Bench, place: Place) -> int:
    """Fail where the credential, or the proxy's address, is at hand."""
    registry_works(bench, place)
    real, road = token.Authenticator._credential, wire.Wire._road

    def credential(auth: token.Authenticator, scope: token.Scope) -> None:
        raise RuntimeError(f"{real(auth, scope)!r} {auth!r}")

    def found(self: wire.Wire, url: str, at: wire.Origin) -> None:
        raise RuntimeError(f"{self._found(url)} {road} {at}")

    if place.is_proxy:
        bench.monkeypatch.setattr(wire.Wire, "_road", found)
    else:
        bench.monkeypatch.setattr(token.Authenticator, "_credential", credential)
    return 70


CHART_FATES: Final = (charts_refuse, charts_lead_away, charts_hang_up, charts_meet_a_bug)
REGISTRY_FATES: Final = (
    registry_refuses, registry_leads_away, registry_breaks, registry_meets_a_bug,
)  # fmt: skip
CHART_WORDS: Final = (
    words.bump, words.commit, words.charts, words.diff, words.lists, words.page,
)  # fmt: skip
REGISTRY_WORDS: Final = (
    words.pull, words.mirror_from, words.mirror_to, words.lock, words.push,
)  # fmt: skip
# Every word where all goes well, and one word for everything that can go wrong.
TABLE: Final[tuple[tuple[Place, Word, Fate], ...]] = (
    *((place, word, charts_work) for place in CHARTS for word in CHART_WORDS),
    *((place, words.bump, fate) for place in CHARTS for fate in CHART_FATES),
    *((place, word, registry_works) for place in REGISTRY for word in REGISTRY_WORDS),
    *((place, words.pull, fate) for place in REGISTRY for fate in REGISTRY_FATES),
)

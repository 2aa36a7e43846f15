from __future__ import annotations

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from rke2pack.digest import Digest
from rke2pack.errors import ConfigError
from rke2pack.oci.reference import Reference

DIGEST = Digest("a" * 64)
COMPONENT = st.from_regex(r"[a-z0-9]+((\.|_|__|-{1,3})[a-z0-9]+){0,2}", fullmatch=True)
REPOSITORY = (
    st.lists(COMPONENT, min_size=1, max_size=4).map("/".join).filter(lambda r: len(r) < 200)
)
TAG = st.from_regex(r"[A-Za-z0-9_][A-Za-z0-9._-]{0,20}", fullmatch=True)
REGISTRY = st.sampled_from(
    [
        "docker.io",
        "registry.example.com",
        "localhost",
        "localhost:5000",
        "r.example.com:80",
        "[::1]:5000",
    ]
)
WRITTEN = st.builds(
    "{}/{}{}{}".format,
    REGISTRY,
    REPOSITORY,
    st.just("") | TAG.map(lambda tag: f":{tag}"),
    st.just("") | st.just(f"@{DIGEST}"),
)


@settings(max_examples=25)
@given(WRITTEN)
def test_reference_round_trips(text: str) -> None:
    reference = Reference.parse(text)
    assert Reference.parse(str(reference)) == reference
    assert str(reference).endswith(text.partition("/")[2])


@settings(max_examples=25)
@given(WRITTEN, REGISTRY)
def test_reference_in_another_registry_round_trips(text: str, registry: str) -> None:
    reference = Reference.parse(text).with_registry(registry)
    assert reference.registry == registry
    assert Reference.parse(str(reference)) == reference


@pytest.mark.parametrize(
    ("text", "full"),
    [
        ("nginx", "docker.io/library/nginx"),
        ("nginx:1.25", "docker.io/library/nginx:1.25"),
        ("docker.io/nginx:1", "docker.io/library/nginx:1"),
        ("index.docker.io/nginx:1", "docker.io/library/nginx:1"),
        ("rancher/pause:3.6", "docker.io/rancher/pause:3.6"),
        ("localhost/a:1", "localhost/a:1"),
        ("localhost:5000/a", "localhost:5000/a"),
        ("registry.example.com/a:1", "registry.example.com/a:1"),
        ("host:5000/a/b:1", "host:5000/a/b:1"),
        ("Host/a:1", "Host/a:1"),
        ("[fd00::1]:5000/a:1", "[fd00::1]:5000/a:1"),
        (f"a/b:1@{DIGEST}", f"docker.io/a/b:1@{DIGEST}"),
        (f"a/b@{DIGEST}", f"docker.io/a/b@{DIGEST}"),
        ("host:5000", "docker.io/library/host:5000"),
    ],
)
def test_short_forms_are_completed(text: str, full: str) -> None:
    assert str(Reference.parse(text)) == full


def test_parts_are_told_apart() -> None:
    found = Reference.parse(f"registry.example.com:5000/a/b:v1@{DIGEST}")
    assert (found.registry, found.repository) == ("registry.example.com:5000", "a/b")
    assert (found.tag, found.digest) == ("v1", DIGEST)
    assert Reference.parse("a/b") == Reference(registry="docker.io", repository="a/b")


@pytest.mark.parametrize(
    ("text", "problem"),
    [
        ("", "bad repository"),
        (":", "bad repository"),
        ("nginx:", "bad tag"),
        ("nginx:-a", "bad tag"),
        ("nginx:" + "a" * 129, "bad tag"),
        ("nginx:a b", "bad tag"),
        ("Nginx", "bad repository"),
        ("a/B", "bad repository"),
        ("a//b", "bad repository"),
        ("a/b/", "bad repository"),
        ("/a", "bad repository"),
        ("a___b/c", "bad repository"),
        ("a.example.com/", "bad repository"),
        ("-a.example.com/b", "bad registry"),
        ("a..b/c", "bad registry"),
        ("a.example.com:x/b", "bad registry"),
        ("https://example.com/a", "bad registry"),
        ("a" * 256, "bad repository"),
        ("a/b\n", "bad repository"),
        ("a/é", "bad repository"),
        ("a/b@", "bad digest"),
        ("a/b@sha256:abc", "not a sha256 digest: 'sha256:abc'"),
        (f"a/b@{'a' * 64}", "bad digest"),
        (f"a@{DIGEST}@{DIGEST}", f"not a sha256 digest: {f'{DIGEST}@{DIGEST}'[:100]!r}"),
    ],
)
def test_bad_reference_is_told_with_its_problem(text: str, problem: str) -> None:
    with pytest.raises(ConfigError) as caught:
        Reference.parse(text)
    assert caught.value.message == f"not an image reference: {text[:300]!r} ({problem})"


def test_references_are_ordered() -> None:
    texts = ["docker.io/a/b:1", "docker.io/a/b:2", "docker.io/a/c:0", "example.com/a/b:0"]
    references = [Reference.parse(text) for text in texts]
    assert sorted(references) == references

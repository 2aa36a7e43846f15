"""What a command says at its end when images failed."""

from __future__ import annotations

import pytest

from rke2pack import registries
from rke2pack.errors import AuthError, IntegrityError, NotFoundError, PackError, RegistryError


def failure(*errors: PackError) -> PackError:
    named = {f"image{number}": error for number, error in enumerate(errors)}
    with pytest.raises(PackError) as caught:
        registries.fail("pull", named, 9, hint="run it again")
    return caught.value


def test_nothing_failed() -> None:
    registries.fail("pull", {}, 9, hint="run it again")


def test_one_failure_is_raised_itself_and_has_a_next_step() -> None:
    own = NotFoundError("a")
    assert failure(own) is own
    assert own.hint == "run it again"
    assert failure(NotFoundError("a", hint="look")).hint == "look"


@pytest.mark.parametrize(
    ("errors", "kind"),
    [
        ((NotFoundError("a"), NotFoundError("b")), NotFoundError),
        ((NotFoundError("a"), AuthError("b")), RegistryError),
        ((NotFoundError("a"), IntegrityError("b")), IntegrityError),
    ],
)
def test_damage_counts_more_than_what_was_not_to_be_had(
    errors: tuple[PackError, ...], kind: type[PackError]
) -> None:
    error = failure(*errors)
    assert type(error) is kind
    assert error.message == "pull: 2 of 9 images failed"
    assert error.details == ("a", "b")


def test_what_is_the_same_of_several_images_is_said_once() -> None:
    refused = (AuthError("host: needs credentials", hint="log in") for _ in range(3))
    error = failure(*refused, AuthError("other", hint="log in"))
    assert error.details == ("host: needs credentials (3 images)", "other")
    assert error.hint == "log in"

"""Messages name a few of many, and count in words."""

import pytest

from kbackup._kits.words import (
    and_more,
    first_few,
    nearest,
    one_line,
    plural,
    qualified,
    suggestion,
)


@pytest.mark.parametrize(
    ("names", "text"),
    [
        ("", ""),
        ("a", "a"),
        ("abcde", "a, b, c, d, e"),
        ("abcdefg", "a, b, c, d, e and 2 more"),
    ],
)
def test_many_names_are_told_by_the_first_few(names: str, text: str) -> None:
    """A message names a handful and counts the others."""
    assert first_few(list(names)) == text


def test_as_few_are_named_as_asked_for() -> None:
    """A line may have room for one name only."""
    assert first_few([1, 2, 3], 1) == "1 and 2 more"


def test_what_is_left_out_is_counted() -> None:
    """Where each has a line of its own, the last line counts the others."""
    assert (and_more("abc", 3), and_more("abcd", 3)) == ("", "and 1 more")


@pytest.mark.parametrize(
    ("number", "text"), [(0, "0 items"), (1, "1 item"), (2, "2 items")]
)
def test_a_number_has_its_noun(number: int, text: str) -> None:
    """One is singular, none and many are plural."""
    assert plural(number, "item") == text


KNOWN = ["deployments", "endpoints", "events", "nodes", "pods", "secrets", "services"]


@pytest.mark.parametrize(
    ("slip", "meant"),
    [
        ("deploymnts", "deployments"),
        ("deploys", "deployments"),
        ("pod", "pods"),
        ("secret", "secrets"),
        ("secrit", "secrets"),
        ("nope", ""),
        ("none", ""),
        ("test", ""),
        ("zzz", ""),
    ],
)
def test_a_slip_is_held_against_what_is_known(slip: str, meant: str) -> None:
    """The likeliest name is found; nothing, where none is so alike that it may be meant."""
    assert nearest(slip, KNOWN) == meant


@pytest.mark.parametrize(
    ("names", "text"),
    [
        ([], ""),
        ([""], ""),
        (["shop", "", "shop"], "the nearest namespace is shop"),
        (["shop", "stock"], "the nearest namespaces are shop, stock"),
    ],
)
def test_what_was_meant_is_advice(names: list[str], text: str) -> None:
    """Each name that was probably meant is given once."""
    assert suggestion("namespace", names) == text


@pytest.mark.parametrize(
    ("namespace", "name", "said"),
    [
        ("shop", "web", "shop/web"),
        ("", "web", "web"),
        ("shop", "", "shop"),
        ("", "", ""),
    ],
)
def test_a_name_with_its_namespace(namespace, name, said):
    """What has no namespace, or stands for all of one, is named by what there is."""
    assert qualified(namespace, name) == said


@pytest.mark.parametrize(
    ("text", "shown"),
    [
        ("configmaps/shop/a b", "configmaps/shop/a b"),
        ("a\n\n0 create", r"a\n\n0 create"),
        ("a\u202eb\u2028c\x1b[31m", r"a\u202eb\u2028c\u001b[31m"),
    ],
)
def test_a_name_stays_on_its_line(text: str, shown: str) -> None:
    """What a name holds makes no second line, and turns no line around."""
    assert one_line(text) == shown

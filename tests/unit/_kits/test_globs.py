"""Includes and excludes decide by Velero's rules."""

import pytest

from kbackup._kits.globs import IncludesExcludes


@pytest.mark.parametrize(
    ("includes", "excludes", "name", "wanted"),
    [
        ((), (), "shop", True),
        (("*",), (), "shop", True),
        (("shop",), (), "shop", True),
        (("shop",), (), "shop-2", False),
        (("shop-*",), (), "shop-2", True),
        ((), ("shop",), "shop", False),
        (("*",), ("kube-*",), "kube-system", False),
        (("*",), ("kube-*",), "shop", True),
        (("shop",), ("shop",), "shop", False),
        (("team-?",), (), "team-a", True),
        (("team-?",), (), "team-ab", False),
        (("[ab]x",), (), "bx", True),
        (("a.b",), (), "axb", False),
    ],
)
def test_wants(includes, excludes, name, wanted):
    """A name is wanted when it is included and not excluded."""
    assert IncludesExcludes(includes, excludes).wants(name) is wanted


@pytest.mark.parametrize(
    ("includes", "excludes", "words"),
    [
        (("*", "shop"), (), "stand alone"),
        ((), ("*",), "exclude everything"),
        (("shop",), ("shop",), "both included and excluded"),
        (("a**",), (), "which no pattern may"),
        (("a|b",), (), "which no pattern may"),
    ],
)
def test_violations(includes, excludes, words):
    """Each broken rule is a sentence that names the lists."""
    (violation,) = IncludesExcludes(includes, excludes).violations("namespaces")

    assert words in violation
    assert "namespaces" in violation


def test_everything_is_included():
    """Only lists that leave nothing out include everything."""
    assert IncludesExcludes().includes_everything
    assert IncludesExcludes(("*",)).includes_everything
    assert not IncludesExcludes((), ("x",)).includes_everything
    assert not IncludesExcludes(("x",)).includes_everything

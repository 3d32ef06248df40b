"""Includes and excludes decide by Velero's rules."""

import pytest

from kbackup._kits.globs import IncludesExcludes, glob_with_groups


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


@pytest.mark.parametrize(
    ("glob", "yes", "no"),
    [
        ("*", "pods", "deployments.apps"),
        ("*.apps", "deployments.apps", "apps"),
        ("*.*", "deployments.apps", "ingresses.networking.k8s.io"),
        ("**", "ingresses.networking.k8s.io", None),
        ("ingresses.**", "ingresses.networking.k8s.io", "ingresses"),
        ("job?.batch", "jobs.batch", "job.batch"),
        ("job?batch", "jobsbatch", "job.batch"),
        ("{pods,deploy*.apps}", "deployments.apps", "replicasets.apps"),
        ("[a-p]ods", "pods", "rods"),
        ("[!p]ods", "rods", "pods"),
        (r"po\*s", "po*s", "pods"),
        ("a,b", "a,b", "a"),
        ("po|ds", "po|ds", "po"),
    ],
)
def test_globs_with_groups(glob, yes, no):
    """A star stops at a dot, two do not; braces hold several."""
    pattern = glob_with_groups(glob, ".")

    assert pattern.fullmatch(yes)
    assert no is None or not pattern.fullmatch(no)


def test_globs_without_a_separator():
    """Where nothing separates, a star takes everything."""
    assert glob_with_groups("shop*").fullmatch("shop.a-b")


@pytest.mark.parametrize("glob", ["a[", "{a", "a}", "a\\", "[z-a]"])
def test_bad_globs(glob):
    """What is not closed, or is no range, is told with the pattern."""
    with pytest.raises(ValueError) as caught:  # noqa: PT011 - the text is looked at
        glob_with_groups(glob, ".")

    assert repr(glob) in str(caught.value)

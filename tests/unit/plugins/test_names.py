"""The rules for the names that plugins offer things under."""

import pytest

from kbackup.plugins._names import name_fault, qualify


@pytest.mark.parametrize(
    ("name", "full"),
    [
        ("aws", "velero.io/aws"),
        ("velero.io/aws", "velero.io/aws"),
        ("csdz.io/local", "csdz.io/local"),
    ],
)
def test_bare_names_are_veleros(name, full):
    """A provider's bare name means Velero's plugin of that name."""
    assert qualify(name) == full


@pytest.mark.parametrize(
    "name",
    [
        "velero.io/aws",
        "a/b",
        "my-company.example.com/Change.Image_2",
        f"{'a' * 63}.{'b' * 63}.{'c' * 63}.{'d' * 61}/x",
    ],
)
def test_good_names(name):
    """A DNS name in lower case, a slash and one part make a name."""
    assert name_fault(name) == ""


@pytest.mark.parametrize(
    ("name", "fault"),
    [
        ("aws", "has no prefix"),
        ("", "has no prefix"),
        ("/aws", "is not a DNS name"),
        ("Velero.io/aws", "is not a DNS name"),
        ("-a.io/aws", "is not a DNS name"),
        ("a..io/aws", "is not a DNS name"),
        (f"{'a' * 254}/aws", "is not a DNS name"),
        ("velero.io/", "exactly one part"),
        ("velero.io/a/b", "exactly one part"),
        ("velero.io/a b", "a space or a control character"),
        ("velero.io/a\n", "a space or a control character"),
        (7, "must be text, not int"),
    ],
)
def test_bad_names_are_explained(name, fault):
    """What is wrong with a name is said in words."""
    assert fault in name_fault(name)

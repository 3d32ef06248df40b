"""Pages of Pods that are cut where nothing is shared any more."""

import msgspec
import pytest

from kbackup.backup import _pod_pages
from kbackup.backup._pod_pages import whole_namespaces
from kbackup.cluster import ListedItem

CLAIM = b'{"persistentVolumeClaim": {}}'


def pods(text):
    """Pods such as ``a1 a2*``: namespace and number, a star for one that mounts a claim."""
    return [
        ListedItem(
            name=word[1],
            namespace=word[0],
            uid="",
            resource_version="",
            labels=None,
            deleting=False,
            raw=msgspec.Raw(CLAIM if word.endswith("*") else b"{}"),
            prefix=b"",
        )
        for word in text.split()
    ]


def cut(*pages):
    """What becomes of pages, each written as `pods` reads it."""
    return [
        " ".join(
            each.namespace + each.name + "*" * (bytes(each.raw) == CLAIM)
            for each in page
        )
        for page in whole_namespaces(map(pods, pages))
    ]


@pytest.mark.parametrize(
    ("pages", "expected"),
    [
        (["a1 a2", "a3 b1"], ["a1 a2", "a3 b1"]),
        (["a1* b1", "b2*"], ["a1* b1", "", "b2*"]),
        (["a1* a2 b1 b2* b3", "b4* c1"], ["a1* a2 b1", "b2* b3 b4* c1"]),
        (["a1*", "a2*", "a3"], ["", "", "", "a1* a2* a3"]),
        (["a1*", "b1"], ["", "a1* b1"]),
        ([], []),
        (["", "a1"], ["", "a1"]),
    ],
    ids=["none", "last", "middle", "long", "other", "nothing", "empty"],
)
def test_pods_that_may_share_a_claim_come_together(pages, expected):
    """In the same order, and no Pod is lost."""
    assert cut(*pages) == expected


def test_what_is_kept_is_bounded(monkeypatch):
    """A namespace that is too large for it is parted."""
    monkeypatch.setattr(_pod_pages, "_MOST", 2 * len(CLAIM))

    assert cut("a1* a2*", "a3*", "a4*") == ["", "a1* a2* a3*", "", "a4*"]

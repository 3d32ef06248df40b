"""Namespaces that Argo CD manages."""

import pytest

MANAGED = {"argocd.argoproj.io/managed-by": "argocd"}


def _told(result):
    """Return the warnings about Argo CD."""
    messages = [entry.message for entry in result.results.warnings]
    return [each for each in messages if "Argo CD" in each]


@pytest.mark.parametrize(
    "marks",
    [
        {"labels": MANAGED},
        {"annotations": MANAGED},
        {"labels": {"argocd.argoproj.io/instance": "shop"}},
        {"annotations": {"argocd.argoproj.io/tracking-id": "shop:/Namespace:shop"}},
    ],
    ids=str,
)
@pytest.mark.parametrize("namespaces", [["shop"], ["sh*"], []], ids=str)
def test_a_managed_namespace_is_told(scene, marks, namespaces):
    """Whoever restores it must know that Argo CD will have its own idea of it."""
    scene.load(scene.made("Namespace", "shop", metadata=marks), scene.secret("s"))

    result = scene.back_up(included_namespaces=namespaces)

    assert _told(result) == [
        (
            "1 namespace managed by Argo CD, which may put its own state over what is "
            "restored there: shop"
        )
    ]


@pytest.mark.parametrize(
    ("marks", "spec"),
    [
        ({"labels": MANAGED}, {"excluded_namespaces": ["shop"]}),
        ({"labels": MANAGED}, {"included_namespaces": ["bank"]}),
        ({"labels": MANAGED}, {"included_namespaces": ["b*"]}),
        ({"labels": {"argocd.argoproj.io/managed-by": ""}}, {}),
        ({"annotations": {"argocd.argoproj.io/sync-options": "Prune=false"}}, {}),
        ({"labels": MANAGED | {"velero.io/exclude-from-backup": "true"}}, {}),
    ],
    ids=[
        "excluded",
        "not-included",
        "no-match",
        "empty",
        "another-annotation",
        "labelled-out",
    ],
)
def test_others_are_not(scene, marks, spec):
    """A namespace that is not in the backup, or that nobody manages, is no warning."""
    scene.load(
        scene.made("Namespace", "shop", metadata=marks),
        scene.secret("s"),
        scene.secret("s", "bank"),
    )

    assert _told(scene.back_up(**spec)) == []

"""A name that means nothing in this backup is refused or told, never silent."""

import attrs
import pytest

from kbackup.cluster import Discovery, DiscoveryFailure
from kbackup.errors import InvalidSpecError
from kbackup.models import RestoreOptions, RestorePhase, RestoreSpec
from kbackup.restore._request.selection import check_selection

COUPONS = {
    "apiVersion": "apiextensions.k8s.io/v1",
    "kind": "CustomResourceDefinition",
    "metadata": {"name": "gifts.shop.example.com"},
    "spec": {
        "group": "shop.example.com",
        "scope": "Namespaced",
        "names": {"plural": "gifts", "kind": "Gift"},
        "versions": [],
    },
}


def spec(**more):
    """A restore of backup shop-1."""
    return RestoreSpec(backup_name="shop-1", **more)


def said(plan):
    """The notices as one text."""
    return "\n".join(map(str, plan.notices))


def test_a_mapping_of_a_namespace_that_the_backup_lacks(shop):
    """Mistyped, it restored into the original namespace without a word."""
    before = shop.versions()

    with pytest.raises(InvalidSpecError, match=r"(?m)no namespace 'shp'$") as refused:
        shop.engine.run("try-1", spec(namespace_mapping={"shp": "copy"}))

    assert refused.value.hint == "the nearest namespace is shop"
    assert shop.versions() == before


def test_an_excluded_type_that_nobody_knows(shop):
    """Mistyped, it left the Secrets in the restore."""
    with pytest.raises(InvalidSpecError, match=r"(?m)knows 'secretz'$") as refused:
        shop.engine.plan("try-1", spec(excluded_resources=("events", "secretz")))

    assert refused.value.hint == "the nearest type is secrets"


def test_an_included_type_of_which_the_backup_has_nothing(shop):
    """The target knows it, and nothing of it comes back: that is worth a sentence."""
    plan = shop.engine.plan("try-1", spec(included_resources=("po", "cj", "secrets")))

    assert "included resources: the backup has no cj" in said(plan)
    assert "the backup has no po" not in said(plan)
    assert "the backup has no secrets" not in said(plan)


def test_an_order_of_types_that_nobody_knows(shop):
    """A mistyped type in the order is told; Velero's own, a short name and "-" are not."""
    order = (
        "datauploads.velero.io",
        "svc",
        "secretz",
        "-",
        "configmps",
        "secrets",
        "*s",
    )

    plan = shop.engine.plan("try-1", spec(), RestoreOptions(priorities=order))

    told = [str(x) for x in plan.notices if "priorities" in str(x)]
    fact = "priorities: neither backup nor target knows"
    assert told == [
        f"{fact} 'secretz'; the nearest type is secrets",
        f"{fact} 'configmps'; the nearest type is configmaps",
        f"{fact} '*s'",
    ]


def test_slips_of_both_kinds(shop):
    """The advice names what was meant of either kind, in one line."""
    wanted = spec(namespace_mapping={"shp": "x"}, excluded_resources=("secretz", "q9"))

    with pytest.raises(InvalidSpecError) as refused:
        shop.engine.plan("try-1", wanted)

    assert len(refused.value.violations) == 3
    assert refused.value.hint == (
        "the nearest namespace is shop; the nearest type is secrets"
    )


@pytest.mark.parametrize(
    "excluded",
    [
        ("nodes", "events", "backups.velero.io", "resticrepositories.velero.io"),
        ("po", "Deployment", "secrets", "statefulsets.apps"),
        ("*.example.com",),
    ],
    ids=["of Velero's own list", "by any name", "wildcard"],
)
def test_excluded_types_that_are_known(shop, excluded):
    """What backup, target or Kubernetes itself knows is no mistake."""
    shop.engine.plan("try-1", spec(excluded_resources=excluded))


def test_an_excluded_type_that_has_only_its_definition(make_shop):
    """A type without an object in this backup may have one in the next."""
    shop = make_shop([COUPONS], as_is=True)

    shop.engine.plan("try-1", spec(excluded_resources=("gifts",)))


def test_an_excluded_type_of_a_group_that_does_not_answer(shop):
    """It may be one of those that cannot be read: told, and not refused."""
    whole = shop.cluster.discover()
    failure = DiscoveryFailure("odd.example.com/v1", "503 Service Unavailable")
    partial = Discovery(whole.all_versions, [failure])
    wanted = spec(excluded_resources=("oddities",))
    mapped = attrs.evolve(wanted, namespace_mapping={"shp": "copy"})

    with shop.store.open_archive("shop-1") as archive, archive.index() as contents:
        told = check_selection(wanted, contents, partial, lenient=False)
        with pytest.raises(InvalidSpecError) as refused:
            check_selection(mapped, contents, partial, lenient=False)

    assert told == ("excluded resources: neither backup nor target knows 'oddities'",)
    assert "oddities" not in str(refused.value)


def test_a_damaged_backup_refuses_no_name(shop):
    """What is missing may be what was damaged: it is told."""
    wanted = spec(namespace_mapping={"shp": "copy"})

    plan = shop.engine.plan("try-1", wanted, RestoreOptions(salvage=True))

    assert "no namespace 'shp'" in said(plan)


def test_a_fixed_list_of_namespaces(shop):
    """One that this backup lacks is told, and the others are restored."""
    wanted = spec(
        included_namespaces=("shop", "stock"),
        excluded_namespaces=("kube-system", "old"),
    )

    plan = shop.engine.plan("try-1", wanted)

    assert "included namespaces: the backup has none called 'stock'" in said(plan)
    assert "excluded namespaces: the backup has none called 'old'" in said(plan)
    assert "kube-system" not in said(plan)
    assert not plan.is_empty


@pytest.mark.parametrize(
    ("more", "words"),
    [
        (
            {"included_namespaces": ("shp",)},
            "none called 'shp'; the nearest namespace is shop",
        ),
        ({"included_namespaces": ("x-*",)}, "none called 'x-*'"),
        ({"included_resources": ("nosuch",)}, "neither backup nor target knows"),
    ],
    ids=["namespace", "wildcard", "type"],
)
def test_a_restore_that_selects_nothing(shop, more, words):
    """It ended Completed with exit code 0, and nobody saw that nothing was done."""
    plan = shop.engine.plan("try-1", spec(**more))
    result = shop.engine.apply(plan)

    assert words in said(plan)
    assert result.restore.status.phase is RestorePhase.COMPLETED
    assert result.exit_code == 3
    assert any("nothing was selected" in str(x) for x in result.results.warnings)


def test_a_restore_that_has_nothing_to_do(shop):
    """Where all that is selected is there already, it is done: exit code 0."""
    shop.engine.run("try-1", spec())

    result = shop.engine.run("try-2", spec(included_namespaces=("sh*",)))

    assert result.exit_code == 0


def test_types_by_wildcard(shop):
    """Velero takes wildcards for types too; here they selected nothing at all."""
    plan = shop.engine.plan("try-1", spec(included_resources=("s*s", "config*")))
    without = shop.engine.plan("try-1", spec(excluded_resources=("secret*", "*.apps")))

    kinds = {entry.kind for entry in plan.entries}
    assert {"Secret", "Service", "ConfigMap"} <= kinds
    assert "Deployment" not in kinds
    assert not {"Secret", "Deployment"} & {entry.kind for entry in without.entries}

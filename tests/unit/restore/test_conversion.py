"""Custom resources whose type has a conversion webhook that is not there."""

from datetime import timedelta

import pytest

from definitions import definition, served_version
from kbackup.models import RestoreOptions, RestoreSpec

SPEC = RestoreSpec(backup_name="shop-1")
SOON = RestoreOptions(deadline=timedelta(seconds=0.5))
CRD = "customresourcedefinitions.apiextensions.k8s.io"
NOTICE = "needs a conversion webhook that answers: widgets.example.com/shop/one"
REASON = (
    "written at v2, stored at v1 through the conversion webhook shop/hook of CRD "
    "widgets.example.com"
)


def converted(*versions, stored="v1", strategy="Webhook", unserved=()):
    """Return a CRD whose conversion webhook is the Service shop/hook."""
    hook = {
        "clientConfig": {"service": {"namespace": "shop", "name": "hook"}},
        "conversionReviewVersions": ["v1"],
    }
    served = [
        served_version(name, storage=name == stored, served=name not in unserved)
        for name in versions
    ]
    conversion = {"strategy": strategy, "webhook": hook}
    return definition(
        "example.com", "widgets", "Widget", *served, conversion=conversion
    )


def widget(version, name="one"):
    """Return a custom resource."""
    return {
        "apiVersion": f"example.com/{version}",
        "kind": "Widget",
        "metadata": {"name": name, "namespace": "shop"},
        "spec": {"size": 3},
    }


def line(plan, name="one"):
    """Return the line about a widget."""
    return next(x for x in plan.entries if x.target.name == name and x.kind == "Widget")


def notices(plan):
    """Return the notices as they are printed."""
    return [str(notice) for notice in plan.notices]


def test_the_storage_version_needs_no_webhook(make_shop):
    """An object in the version that is stored is restored, though no webhook runs."""
    shop = make_shop([converted("v2", "v1"), widget("v1")])

    plan = shop.engine.plan("try", SPEC, SOON)
    result = shop.engine.apply(plan)

    assert line(plan).reason == ""
    assert NOTICE not in notices(plan)
    assert result.results.errors == ()
    assert shop.names("widgets.example.com", "shop") == ["one"]


@pytest.mark.parametrize("is_live", [True, False], ids=["live", "in the restore"])
def test_another_version_is_planned_with_what_it_needs(make_shop, simulated, is_live):
    """The plan names both versions, the webhook and the CRD, wherever the CRD is."""
    crd = converted("v2", "v1")
    shop = make_shop([crd, widget("v2")])
    if is_live:
        simulated.load([crd])

    plan = shop.engine.plan("try", SPEC)

    assert line(plan).reason == REASON
    assert NOTICE in notices(plan)


def test_the_target_s_own_definition_counts(make_shop, simulated):
    """What the target stores decides, not what the source stored."""
    shop = make_shop([converted("v2", "v1", stored="v2"), widget("v2")])
    simulated.load([converted("v2", "v1")])

    plan = shop.engine.plan("try", SPEC)

    assert line(plan).reason == REASON


def test_a_storage_version_that_is_not_served(make_shop, simulated):
    """Objects of the one version that is served are converted all the same."""
    crd = converted("v2", "v1", unserved=["v1"])
    shop = make_shop([converted("v2", "v1"), widget("v2")])
    simulated.load([crd])

    plan = shop.engine.plan("try", SPEC)

    assert line(plan).reason == REASON


def test_a_definition_that_the_restore_changes(make_shop, simulated):
    """Where the target gets the backup's definition, that one counts."""
    shop = make_shop([converted("v2", "v1"), widget("v2")])
    simulated.load([converted("v1", strategy="None")])
    update = RestoreOptions(existing_cluster_resource_policy="update")

    plan = shop.engine.plan("try", SPEC, update)

    assert (line(plan).action, line(plan).reason) == ("create", REASON)


def test_without_a_webhook_nothing_is_said(make_shop, simulated):
    """The API server converts by itself where the strategy is None."""
    crd = converted("v2", "v1", strategy="None")
    shop = make_shop([crd, widget("v2")])
    simulated.load([crd])

    plan = shop.engine.plan("try", SPEC)

    assert line(plan).reason == ""
    assert shop.engine.apply(plan).results.errors == ()


def test_what_the_missing_webhook_refuses_is_an_error_by_name(make_shop):
    """It waits until the deadline, then the error names the CRD and its webhook."""
    shop = make_shop([converted("v2", "v1"), widget("v2"), widget("v1", "two")])

    result = shop.engine.run("try", SPEC, SOON)

    (error,) = [str(x) for x in result.results.errors]
    assert "widgets.example.com/shop/one" in error
    assert "not done in time" in error
    assert REASON in error
    assert shop.names("widgets.example.com", "shop") == ["two"]


def test_what_the_webhook_refused_is_written_once_it_is_there(make_shop, simulated):
    """The retries go on until the webhook answers."""
    shop = make_shop([converted("v2", "v1"), widget("v2")])
    simulated.load([converted("v2", "v1", strategy="None")])
    refusal = "conversion webhook for example.com/v2, Kind=Widget failed: Post: refused"
    fault = simulated.faults.fail(
        verb="create", resource="widgets", message=refusal, times=3
    )

    result = shop.engine.run("try", SPEC)

    assert fault.happened == 3
    assert result.results.errors == ()
    assert shop.names("widgets.example.com", "shop") == ["one"]


def test_live_objects_that_cannot_be_converted_are_unknown(make_shop, simulated):
    """Where the webhook is down the plan says so, and does not fail as a whole."""
    shop = make_shop([converted("v2", "v1"), widget("v2")])
    space = {"apiVersion": "v1", "kind": "Namespace", "metadata": {"name": "shop"}}
    simulated.load([converted("v2", "v1"), space, widget("v1")])

    plan = shop.engine.plan("try", SPEC)

    assert line(plan).action == "unknown"
    assert "conversion webhook for example.com/v2" in line(plan).reason


def test_definition_that_may_not_be_read(make_shop, simulated):
    """Without the right to read CRDs there is a plan all the same."""
    shop = make_shop([converted("v2", "v1"), widget("v2")])
    simulated.load([converted("v2", "v1")])
    simulated.faults.forbid(resource="customresourcedefinitions")
    only = RestoreSpec(backup_name="shop-1", included_namespaces=("shop",))

    plan = shop.engine.plan("try", only)

    assert (line(plan).action, line(plan).reason) == ("create", "")

"""A server, or what is in front of it, that answers a write with what is no object."""

from datetime import timedelta

import pytest

from kbackup import RestoreOptions, RestoreSpec
from kbackup.cluster import Cluster
from kbackup.cluster._transport import Transport

SPEC = RestoreSpec(backup_name="shop-1")
OPTIONS = RestoreOptions(deadline=timedelta(seconds=1))


def _item(kind, **data):
    """A ConfigMap or Secret ``a``."""
    metadata = {"name": "a", "namespace": "shop"}
    return {"apiVersion": "v1", "kind": kind, "metadata": metadata, "data": data}


@pytest.mark.parametrize(
    "answer",
    [
        b"{}",
        b'{"metadata":null}',
        b'{"metadata":{"name":"a"}}',
        b'{"kind":"Status","status":"Success"}',
        b"[]",
    ],
)
def test_an_answer_to_a_write_that_is_no_object(make_shop, monkeypatch, answer):
    """The restore looks what became of the write, and ends with a result on record."""
    shop = make_shop([_item("ConfigMap", mode="fast")])
    send = Transport.send

    def odd(self, call, bound):
        """Do it, and answer a create with something else."""
        found = send(self, call, bound)
        if call.subject.verb != "create" or "reviews" in call.path:
            return found
        return type(found)(status=200, headers={}, data=answer)

    monkeypatch.setattr(Transport, "send", odd)

    result = shop.engine.run("r", SPEC, OPTIONS)

    assert result.exit_code == 0
    assert [w.message for w in result.results.warnings if "dropped" in w.message] == []
    assert shop.names("configmaps", "shop") == ["a"]
    assert shop.store.get_restore("r").status.phase == "Completed"


def test_a_live_object_without_a_uid(make_shop, monkeypatch):
    """An object that is answered without its uid is an error that names what is missing."""
    shop = make_shop([_item("ConfigMap", mode="fast")])
    plan = shop.engine.plan("r", SPEC, OPTIONS)
    send = Transport.send

    def odd(self, call, bound):
        """Answer everything about a ConfigMap without its metadata."""
        found = send(self, call, bound)
        if call.subject.resource != "configmaps" or call.subject.verb == "list":
            return found
        return type(found)(status=200, headers={}, data=b'{"metadata":null}')

    monkeypatch.setattr(Transport, "send", odd)

    result = shop.engine.apply(plan)

    (error,) = result.results.errors
    assert error.item.name == "a"
    assert "lacks name, uid or resourceVersion" in error.message
    assert shop.store.get_restore("r").status.phase == "PartiallyFailed"


@pytest.mark.parametrize(
    ("kind", "reason"), [("ConfigMap", "KeyError: 'hush'"), ("Secret", "KeyError")]
)
def test_a_fault_while_one_item_is_written(make_shop, monkeypatch, kind, reason):
    """It is the error of that item, told without its words where values are hidden."""
    shop = make_shop([_item(kind)])
    plan = shop.engine.plan("r", SPEC)
    create = Cluster.create

    def faulty(self, resource, body, **more):
        """Fail as only a fault of the program does."""
        if resource.kind == kind:
            raise KeyError("hush")
        return create(self, resource, body, **more)

    monkeypatch.setattr(Cluster, "create", faulty)

    result = shop.engine.apply(plan)

    assert [e.message for e in result.results.errors] == [f"not restored: {reason}"]
    assert result.exit_code == 3
    assert shop.store.get_restore("r").status.phase == "PartiallyFailed"

"""Services get their addresses from the target, but for what the user asked for."""

import json

import pytest

from kbackup.actions._restore_service import ServiceAction
from kbackup.models import RestoreSpec
from kbackup.testing import restore_input

APPLIED = "kubectl.kubernetes.io/last-applied-configuration"


def service(*, applied=None, fields=None, **spec):
    """A Service; *applied* is what kubectl applied, *fields* what managers own."""
    metadata = {"name": "web", "namespace": "shop", "annotations": {}}
    if applied is not None:
        text = applied if isinstance(applied, str) else json.dumps({"spec": applied})
        metadata["annotations"][APPLIED] = text
    if fields is not None:
        owned = {"manager": "helm", "fieldsV1": {"f:spec": fields}}
        metadata["managedFields"] = [{"manager": "odd"}, owned]
    return {"apiVersion": "v1", "kind": "Service", "metadata": metadata, "spec": spec}


def restored(item, **spec):
    """The spec that would be written."""
    spec = RestoreSpec(backup_name="nightly", **spec)
    given = restore_input("services", item, spec=spec)
    return ServiceAction().execute(given).item["spec"]


def node_ports(spec):
    """The node ports in order, None where there is none."""
    return [port.get("nodePort") for port in spec["ports"]]


def port(number=80, node=30080, **more):
    """A port of a Service."""
    return {"port": number, "protocol": "TCP", "nodePort": node, **more}


# --- addresses ------------------------------------------------------------------------


def test_addresses_go():
    """The source's cluster addresses are dropped, the rest stays."""
    item = service(clusterIP="10.0.0.7", clusterIPs=["10.0.0.7"], selector={"a": "b"})

    assert restored(item) == {"selector": {"a": "b"}}


def test_headless_stays_headless():
    """A headless Service keeps the word that makes it headless."""
    item = service(clusterIP="None", clusterIPs=["None"])

    assert restored(item) == {"clusterIP": "None", "clusterIPs": ["None"]}


# --- node ports -----------------------------------------------------------------------


def test_node_ports_go():
    """Node ports that nobody asked for are dropped."""
    item = service(type="NodePort", ports=[port(), port(81, 30081, name="admin")])

    assert node_ports(restored(item)) == [None, None]


def test_node_ports_preserved_on_request():
    """With preserveNodePorts all node ports stay, the health check's included."""
    spec = {
        "type": "LoadBalancer",
        "externalTrafficPolicy": "Local",
        "healthCheckNodePort": 31000,
        "ports": [port()],
    }

    assert restored(service(**spec), preserve_node_ports=True) == spec


def test_named_ports_by_name():
    """A named port keeps its node port if kubectl applied one under that name."""
    applied = {"ports": [{"name": "web", "port": 80, "nodePort": 30080}]}
    item = service(
        applied=applied,
        type="NodePort",
        ports=[port(name="web"), port(81, 30081, name="admin")],
    )

    assert node_ports(restored(item)) == [30080, None]


@pytest.mark.parametrize("wish", [30080, "30080", 30080.0])
def test_unnamed_ports_by_number(wish):
    """An unnamed port keeps its node port if kubectl applied that very number."""
    applied = {"ports": [{"port": 80, "nodePort": wish}, {"port": 81}]}
    item = service(applied=applied, type="NodePort", ports=[port(), port(81, 30081)])

    assert node_ports(restored(item)) == [30080, None]


def test_names_and_numbers_are_not_mixed():
    """A port with a name is not found by its number, nor one without by another's."""
    applied = {
        "ports": [
            {"port": 80, "nodePort": 30080},
            {"name": "admin", "port": 81, "nodePort": 30081},
        ]
    }
    ports = [port(name="web"), port(81, 30081), port(82, 30080)]
    item = service(applied=applied, type="NodePort", ports=ports)

    assert node_ports(restored(item)) == [None, None, 30080]


def test_applied_without_node_ports():
    """What kubectl applied decides: without a node port there, managers are not asked."""
    item = service(
        applied={"ports": [{"port": 80}]},
        fields={"f:ports": {'k:{"port":80,"protocol":"TCP"}': {"f:nodePort": {}}}},
        type="NodePort",
        ports=[port()],
    )

    assert node_ports(restored(item)) == [None]


@pytest.mark.parametrize("applied", [None, "{not JSON", "[]", ""])
def test_managed_fields_where_nothing_was_applied(applied):
    """Without a readable annotation a node port stays if a manager owns it."""
    owned = {
        "f:ports": {
            ".": {},
            'k:{"port":80,"protocol":"TCP"}': {".": {}, "f:nodePort": {}},
            'k:{"port":80,"protocol":"UDP"}': {".": {}, "f:port": {}},
            "k:broken": {"f:nodePort": {}},
        }
    }
    ports = [port(), {**port(), "protocol": "UDP"}, port(81, 30081)]
    item = service(applied=applied, fields=owned, type="NodePort", ports=ports)

    assert node_ports(restored(item)) == [30080, None, None]


def test_external_names_are_left_alone():
    """A Service that is only a name has nothing to choose: it stays as it is."""
    spec = {"type": "ExternalName", "externalName": "db.example.com", "ports": [port()]}

    assert restored(service(**spec)) == spec


# --- health check ---------------------------------------------------------------------

LOCAL = {
    "type": "LoadBalancer",
    "externalTrafficPolicy": "Local",
    "healthCheckNodePort": 31000,
}


def test_health_check_port_goes():
    """The health check's node port is dropped where nobody asked for it."""
    item = service(applied={"type": "LoadBalancer"}, **LOCAL)

    assert "healthCheckNodePort" not in restored(item)


@pytest.mark.parametrize(
    "wish",
    [
        {"applied": {"healthCheckNodePort": 31000}},
        {"fields": {"f:healthCheckNodePort": {}}},
        {"applied": {}, "fields": {"f:healthCheckNodePort": {}}},
    ],
    ids=["applied", "managed", "managed though applied"],
)
def test_health_check_port_asked_for(wish):
    """It stays where kubectl applied it or a manager owns it."""
    assert restored(service(**LOCAL, **wish))["healthCheckNodePort"] == 31000


@pytest.mark.parametrize(
    "other",
    [{"type": "NodePort"}, {"externalTrafficPolicy": "Cluster"}, {"type": ""}],
    ids=["NodePort", "Cluster", "no type"],
)
def test_health_check_port_of_another_service(other):
    """Of a Service that has no health check nothing is dropped: the target may refuse it."""
    spec = {**LOCAL, **other}

    assert restored(service(**spec)) == spec

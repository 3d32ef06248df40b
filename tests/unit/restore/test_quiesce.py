"""A restored copy that acts on nothing outside itself."""

import copy

import pytest

from kbackup.models import RestoreOptions, RestoreSpec, qualified_name
from kbackup.restore import quiesce

QUIET = "quiesced.kbackup.io"
DNS = "external-dns.alpha.kubernetes.io/hostname"
GATEWAY = "gateway.networking.k8s.io/v1"
REPLICAS = "kbackup.io/original-replicas"


def made(api_version, kind, spec=None, **metadata):
    """Return an object."""
    item = {
        "apiVersion": api_version,
        "kind": kind,
        "metadata": {"name": "x", **metadata},
    }
    return item if spec is None else {**item, "spec": spec}


def annotations(item):
    """Return an object's annotations."""
    return item["metadata"].get("annotations") or {}


@pytest.mark.parametrize(
    ("api_version", "kind"),
    [
        ("apps/v1", "Deployment"),
        ("extensions/v1beta1", "Deployment"),
        ("apps/v1", "StatefulSet"),
        ("apps/v1", "ReplicaSet"),
        ("v1", "ReplicationController"),
    ],
)
def test_workloads_have_no_replicas(api_version, kind):
    """A workload makes no Pod, and says how many it had."""
    quiet = quiesce(made(api_version, kind, {"replicas": 3}))

    assert quiet["spec"] == {"replicas": 0}
    assert annotations(quiet) == {REPLICAS: "3"}


def test_replicas_that_are_not_stated_were_one():
    """What the API server would take for granted is what is noted."""
    quiet = quiesce(made("apps/v1", "Deployment", {}))

    assert (quiet["spec"], annotations(quiet)) == ({"replicas": 0}, {REPLICAS: "1"})


def test_workload_that_had_no_replicas():
    """There is nothing to be undone, so nothing is noted."""
    idle = made("apps/v1", "ReplicaSet", {"replicas": 0})

    assert quiesce(idle) == idle


def test_daemon_set_matches_no_node():
    """A DaemonSet, which has no replicas, asks for a label that no node has."""
    spec = {"template": {"spec": {"nodeSelector": {"disk": "ssd"}}}}

    quiet = quiesce(made("apps/v1", "DaemonSet", spec))

    assert quiet["spec"]["template"]["spec"]["nodeSelector"] == {
        "disk": "ssd",
        "kbackup.io/quiesced": "true",
    }


@pytest.mark.parametrize("version", ["v1", "v1beta1"])
def test_cron_jobs_are_suspended(version):
    """A CronJob starts nothing, and says that it was not suspended before."""
    quiet = quiesce(made(f"batch/{version}", "CronJob", {"suspend": False}))

    assert quiet["spec"] == {"suspend": True}
    assert annotations(quiet) == {"kbackup.io/original-suspend": "false"}


def test_cron_job_that_was_suspended_stays_so_when_it_is_undone():
    """Nothing is noted, so whoever undoes does not start it."""
    idle = made("batch/v1", "CronJob", {"suspend": True})

    assert quiesce(idle) == idle


def test_jobs_are_held_on_every_server():
    """A Job is suspended, and has no parallelism for servers that know no suspend."""
    quiet = quiesce(made("batch/v1", "Job", {"parallelism": 2, "completions": 4}))

    assert quiet["spec"] == {"suspend": True, "parallelism": 0, "completions": 4}
    assert annotations(quiet) == {
        "kbackup.io/original-suspend": "false",
        "kbackup.io/original-parallelism": "2",
    }


@pytest.mark.parametrize(
    ("api_version", "kind"),
    [("v1", "Pod"), ("externaldns.k8s.io/v1alpha1", "DNSEndpoint")],
)
def test_what_has_no_switch_is_left_out(api_version, kind):
    """A Pod cannot be held, and a list of DNS names is nothing else."""
    assert quiesce(made(api_version, kind, {})) is None


@pytest.mark.parametrize("kind", ["LoadBalancer", "NodePort"])
def test_services_are_reached_from_inside_only(kind):
    """Nothing is left that a cloud, a node or a neighbour would answer to."""
    outside = {
        "allocateLoadBalancerNodePorts": True,
        "externalIPs": ["192.0.2.1"],
        "externalTrafficPolicy": "Local",
        "healthCheckNodePort": 31000,
        "loadBalancerClass": "example.com/lb",
        "loadBalancerIP": "192.0.2.2",
        "loadBalancerSourceRanges": ["192.0.2.0/24"],
    }
    ports = [{"port": 80, "nodePort": 30080}, {"port": 81}]
    service = made("v1", "Service", {"type": kind, "ports": ports, **outside})

    quiet = quiesce(service)

    assert quiet["spec"] == {"type": "ClusterIP", "ports": [{"port": 80}, {"port": 81}]}


def test_finalizer_of_a_load_balancer_goes():
    """Without a cloud controller that made one the Service could never be deleted."""
    finalizers = ["service.kubernetes.io/load-balancer-cleanup"]
    service = made("v1", "Service", {"type": "LoadBalancer"}, finalizers=finalizers)

    assert "finalizers" not in quiesce(service)["metadata"]


@pytest.mark.parametrize(
    "spec",
    [
        {"type": "ExternalName", "externalName": "example.com"},
        {"type": "ClusterIP", "clusterIP": "None"},
    ],
    ids=["external name", "headless"],
)
def test_inner_services_stay(spec):
    """A Service that nobody reaches from outside is as it was."""
    service = made("v1", "Service", spec)

    assert quiesce(service) == service


def test_external_addresses_of_an_inner_service_go():
    """Any type of Service takes traffic at its externalIPs."""
    spec = {"type": "ClusterIP", "externalIPs": ["192.0.2.1"]}

    assert quiesce(made("v1", "Service", spec))["spec"] == {"type": "ClusterIP"}


@pytest.mark.parametrize("api_version", ["networking.k8s.io/v1", "extensions/v1beta1"])
def test_ingresses_claim_no_host(api_version):
    """Hosts go, rules stay, and no controller serves them, least of all for all hosts."""
    spec = {
        "ingressClassName": "nginx",
        "rules": [{"host": "shop.example.com", "http": {"paths": []}}, {"host": "b"}],
        "tls": [{"hosts": ["shop.example.com"], "secretName": "s"}, {"hosts": ["b"]}],
    }
    old_class = {"kubernetes.io/ingress.class": "nginx", "a": "b"}
    ingress = made(
        api_version,
        "Ingress",
        spec,
        annotations=old_class,
        finalizers=["example.com/x"],
    )

    quiet = quiesce(ingress)

    assert quiet["spec"] == {
        "ingressClassName": QUIET,
        "rules": [{"http": {"paths": []}}, {}],
        "tls": [{"secretName": "s"}],
    }
    assert quiet["metadata"] == {"name": "x", "annotations": {"a": "b"}}


@pytest.mark.parametrize("kind", ["HTTPRoute", "GRPCRoute"])
def test_routes_claim_no_host(kind):
    """A route has no host names and, lest it match all of them, no Gateway."""
    spec = {"hostnames": ["a"], "parentRefs": [{"name": "g"}], "rules": []}

    assert quiesce(made(GATEWAY, kind, spec))["spec"] == {"rules": []}


@pytest.mark.parametrize("kind", ["TLSRoute", "TCPRoute", "UDPRoute"])
def test_other_routes_belong_to_no_gateway(kind):
    """A route that must have names keeps them and is served by nobody."""
    spec = {"hostnames": ["a"], "parentRefs": [{"name": "g"}]}

    assert quiesce(made(GATEWAY, kind, spec))["spec"] == {"hostnames": ["a"]}


def test_gateways_are_opened_by_nobody():
    """A Gateway orders a load balancer from the class that it names."""
    gateway = made(
        GATEWAY, "Gateway", {"gatewayClassName": "cloud"}, finalizers=["x/y"]
    )

    quiet = quiesce(gateway)

    assert quiet["spec"] == {"gatewayClassName": QUIET}
    assert "finalizers" not in quiet["metadata"]


@pytest.mark.parametrize(
    "name",
    [
        DNS,
        "external-dns.alpha.kubernetes.io/target",
        "dns.alpha.kubernetes.io/external",
        "dns.gardener.cloud/dnsnames",
        "service.beta.kubernetes.io/azure-dns-label-name",
    ],
)
def test_dns_annotations_go_from_any_object(name):
    """No DNS controller finds a name, whatever the object is."""
    thing = made("example.com/v1", "Thing", annotations={name: "shop", "a": "b"})

    assert annotations(quiesce(thing)) == {"a": "b"}


@pytest.mark.parametrize(
    ("api_version", "kind", "spec"),
    [
        ("autoscaling/v1", "HorizontalPodAutoscaler", {"minReplicas": 2}),
        ("policy/v1", "PodDisruptionBudget", {"minAvailable": 1}),
        ("serving.knative.dev/v1", "Service", {"type": "LoadBalancer"}),
        ("example.com/v1", "Deployment", {"replicas": 3}),
        ("v1", "ConfigMap", None),
    ],
)
def test_everything_else_stays(api_version, kind, spec):
    """What harms nobody, and custom resources, are restored as they are."""
    item = made(api_version, kind, spec)

    assert quiesce(item) is item


EVERY_KIND = [
    made("apps/v1", "Deployment", {"replicas": 3}, annotations={DNS: "shop"}),
    made("apps/v1", "DaemonSet", {"template": {"spec": {}}}),
    made("batch/v1", "Job", {"parallelism": 2}),
    made("batch/v1", "CronJob", {}),
    made("v1", "Service", {"type": "NodePort", "ports": [{"nodePort": 1}]}),
    made("networking.k8s.io/v1", "Ingress", {"tls": [{}], "rules": [{"host": "a"}]}),
    made(GATEWAY, "HTTPRoute", {"hostnames": ["a"]}),
    made(GATEWAY, "Gateway", {"gatewayClassName": "a"}),
    made("apps/v1", "Deployment"),
    made("v1", "Service", annotations=None),
]


@pytest.mark.parametrize("item", EVERY_KIND, ids=lambda item: item["kind"])
def test_it_is_pure_and_comes_to_an_end(item):
    """Its argument is left as it was, and what is quiet already stays as it is."""
    before = copy.deepcopy(item)

    quiet = quiesce(item)

    assert item == before
    assert quiesce(quiet) == quiet


def test_its_name_is_its_public_place():
    """Plans and records name it by where it is imported from."""
    assert qualified_name(quiesce) == "kbackup.restore.quiesce"


# --- in a plan ------------------------------------------------------------------------

SHOP = [
    made(
        "v1",
        "Service",
        {"type": "LoadBalancer", "ports": [{"port": 80}]},
        namespace="a",
    ),
    made(
        "batch/v1",
        "CronJob",
        {
            "schedule": "* * * * *",
            "jobTemplate": {
                "spec": {
                    "template": {
                        "spec": {
                            "containers": [{"name": "c", "image": "i"}],
                            "restartPolicy": "Never",
                        }
                    }
                }
            },
        },
        namespace="a",
    ),
    made("v1", "Pod", {"containers": [{"name": "c", "image": "i"}]}, namespace="a"),
]
COPY = RestoreSpec(backup_name="shop-1", namespace_mapping={"a": "b"})


def test_plan_of_a_quiet_copy(make_shop):
    """The plan starts and orders nothing, says what is left out, and is carried out."""
    shop = make_shop(SHOP)

    plan = shop.engine.plan("try", COPY, RestoreOptions(transforms=(quiesce,)))
    result = shop.engine.apply(plan)

    reasons = {entry.kind: (entry.action, entry.reason) for entry in plan.entries}
    assert reasons["Pod"] == ("skip", "left out by kbackup.restore.quiesce")
    assert plan.to_json()["options"]["transforms"] == ["kbackup.restore.quiesce"]
    assert [
        str(x) for x in plan.notices if "starts" in x.what or "cloud" in x.what
    ] == []
    assert result.results.errors == ()
    assert shop.object("services", "b", "x")["spec"]["type"] == "ClusterIP"
    assert shop.object("cronjobs.batch", "b", "x")["spec"]["suspend"] is True
    assert shop.names("pods") == []


def test_copy_in_another_cluster_gets_no_hint(make_shop):
    """There it may be the only one that does its work."""
    shop = make_shop(SHOP)

    plan = shop.engine.plan("try", COPY)

    assert any("starts work" in notice.what for notice in plan.notices)
    assert not any("--quiesce" in notice.what for notice in plan.notices)

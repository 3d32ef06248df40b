"""Every option of a backup and a restore sets the field that it is there for."""

from datetime import timedelta
from pathlib import Path

import attrs
import click
import pytest

from kbackup.cli import _backup, _restore, _restore_request
from kbackup.cli._session import Session
from kbackup.models import (
    ExistingResourcePolicy,
    LabelSelector,
    ResourceModifiers,
    ResourcePolicies,
    RestoreStatusSpec,
    TypedLocalObjectReference,
)
from kbackup.restore import quiesce, transforms

WEB, DB = LabelSelector.parse("app=web"), LabelSelector.parse("app=db")
HOUR = timedelta(hours=1)
MODIFIERS = Path(__file__).with_name("modifiers.yaml")
POLICIES = Path(__file__).with_name("policies.yaml")

SELECTING = {
    "--include-namespaces": ("a,b", "included_namespaces", ("a", "b")),
    "--exclude-namespaces": ("a", "excluded_namespaces", ("a",)),
    "--include-resources": ("pods", "included_resources", ("pods",)),
    "--exclude-resources": ("pods", "excluded_resources", ("pods",)),
    "--include-cluster-resources": ("false", "include_cluster_resources", False),
    "--selector": ("app=web", "label_selector", WEB),
    "--or-selector": ("app=web or app=db", "or_label_selectors", (WEB, DB)),
    "--item-operation-timeout": ("1h", "item_operation_timeout", HOUR),
}
BACKUP = SELECTING | {
    "--include-cluster-scoped-resources": (
        "nodes",
        "included_cluster_scoped_resources",
        ("nodes",),
    ),
    "--exclude-cluster-scoped-resources": (
        "nodes",
        "excluded_cluster_scoped_resources",
        ("nodes",),
    ),
    "--include-namespace-scoped-resources": (
        "pods",
        "included_namespace_scoped_resources",
        ("pods",),
    ),
    "--exclude-namespace-scoped-resources": (
        "pods",
        "excluded_namespace_scoped_resources",
        ("pods",),
    ),
    "--ttl": ("1h", "ttl", HOUR),
    "--labels": ("a=b", "labels", {"a": "b"}),
    "--annotations": ("a=b", "annotations", {"a": "b"}),
    "--snapshot-volumes": ("false", "snapshot_volumes", False),
    "--ordered-resources": (
        "pods=shop/a,shop/b; pvc = shop/c;",
        "ordered_resources",
        {"pods": "shop/a,shop/b", "pvc": "shop/c"},
    ),
    "--resource-policies-configmap": (
        "policies",
        "resource_policy",
        TypedLocalObjectReference(kind="configmap", name="policies"),
    ),
    "--resource-policies-file": (
        str(POLICIES),
        "resource_policies",
        ResourcePolicies.from_yaml(POLICIES.read_text()),
    ),
    "--skip-forbidden": (None, "skip_forbidden", True),
    "--enable-api-group-versions": (None, "enable_api_group_versions", True),
    "--enable-actions": ("a.b/c,a.b/d", "enable_actions", ("a.b/c", "a.b/d")),
}
RESTORE = SELECTING | {
    "--namespace-mappings": ("a:b", "namespace_mapping", {"a": "b"}),
    "--existing-resource-policy": (
        "update",
        "existing_resource_policy",
        ExistingResourcePolicy.UPDATE,
    ),
    "--existing-cluster-resource-policy": (
        "update",
        "existing_cluster_resource_policy",
        "update",
    ),
    "--existing-policies": (
        "jobs=recreate,configmaps/shop/settings=apply",
        "existing_policies",
        {"jobs": "recreate", "configmaps/shop/settings": "apply"},
    ),
    "--force-conflicts": (None, "force_conflicts", True),
    "--controlled": ("adopt", "controlled", "adopt"),
    "--resource-modifier-configmap": (
        "mods",
        "resource_modifier",
        TypedLocalObjectReference(kind="configmap", name="mods"),
    ),
    "--resource-modifiers-file": (
        str(MODIFIERS),
        "resource_modifiers",
        ResourceModifiers.from_file(MODIFIERS),
    ),
    "--action-setting": (
        "velero.io/change-image-name:1=quay.io:80/a,mirror:80/a=b",
        "action_settings",
        {"velero.io/change-image-name": {"1": "quay.io:80/a,mirror:80/a=b"}},
    ),
    "--enable-api-group-versions": (None, "enable_api_group_versions", True),
    "--restore-resources-version-priority": (
        "cronjobs.batch=v1, v1beta1; roles.rbac.authorization.k8s.io=v1",
        "restore_resources_version_priority",
        {
            "cronjobs.batch": ("v1", "v1beta1"),
            "roles.rbac.authorization.k8s.io": ("v1",),
        },
    ),
    "--restore-volumes": ("false", "restore_pvs", False),
    "--preserve-nodeports": ("true", "preserve_node_ports", True),
    "--status-include-resources": (
        "pods",
        "restore_status",
        RestoreStatusSpec(included_resources=["pods"]),
    ),
    "--released-volumes": ("reattach", "released_volumes", "reattach"),
    "--retained-volumes": ("reuse", "retained_volumes", "reuse"),
    "--expect-cluster": ("prod", "expect_cluster", "prod"),
    "--map-registry": (
        "docker.io=r.example.com:5000/m,quay.io=b.io",
        "transforms",
        (
            transforms.registry(
                {"docker.io": "r.example.com:5000/m", "quay.io": "b.io"}
            ),
        ),
    ),
    "--map-storage-class": (
        "gp2=fast",
        "transforms",
        (transforms.storage_class({"gp2": "fast"}),),
    ),
    "--map-ingress-host": (
        "a.example.com=b.example.com",
        "transforms",
        (transforms.ingress_hosts({"a.example.com": "b.example.com"}),),
    ),
    "--max-replicas": ("0", "transforms", (transforms.replicas(at_most=0),)),
    "--drop-node-selectors": (
        "pool,disk",
        "transforms",
        (transforms.node_selectors(drop=["pool", "disk"]),),
    ),
    "--quiesce": (None, "transforms", (quiesce,)),
    "--include-system": (None, "include_system", True),
    "--no-convert": (None, "convert", False),
    "--validate": (None, "validate", True),
    "--damaged": (None, "salvage", True),
    "--redact": ("configmaps", "redact", ("configmaps",)),
    "--deadline": ("1h", "deadline", HOUR),
}
GLOBAL = {"--kubeconfig", "--context", "--location", "--output"}
# What says how the command runs, and not what is stored or written.
RUNNING = {
    "backup create": {"--dry-run"},
    "restore plan": {
        "--from-backup",
        "--from-schedule",
        "--detailed-exitcode",
        "--save",
        "--force",
    },
    "restore create": {"--from-backup", "--from-schedule", "--plan", "--yes"},
}
# What means something beside another option only.
BESIDE = {
    "backup create": set(),
    "restore plan": {"--status-exclude-resources", "--allow-partially-failed"},
    "restore create": {"--status-exclude-resources", "--allow-partially-failed"},
}
COMMANDS = {
    "backup create": (_backup.backup.commands["create"], BACKUP),
    "restore plan": (_restore.restore.commands["plan"], RESTORE),
    "restore create": (_restore.restore.commands["create"], RESTORE),
}


def _made(verb, *words):
    """What the command makes of words: the fields of specification and options."""
    command, _ = COMMANDS[verb]
    session = Session()
    with command.make_context(verb, ["shop-1", *words], obj=session) as context:
        flags = context.params
    if verb == "backup create":
        parts = _backup._request(flags)
    else:
        flags["from_backup"] = "shop-1"
        _, *parts = _restore_request.restore_request(session, flags, None)
    return {
        field.name: getattr(part, field.name)
        for part in parts
        for field in attrs.fields(type(part))
        if field.name != "metadata"
    }


@pytest.mark.parametrize(
    ("verb", "option"),
    [(verb, option) for verb, (_, rows) in COMMANDS.items() for option in rows],
)
def test_an_option_sets_its_field_and_no_other(monkeypatch, verb, option):
    """What is asked for on the command line is what the engine is asked for."""
    monkeypatch.setattr(_restore_request, "meant_backup", lambda _, name: name)
    value, field, expected = COMMANDS[verb][1][option]
    words = [option] if value is None else [option, value]

    before, after = _made(verb), _made(verb, *words)

    assert {name: found for name, found in after.items() if found != before[name]} == {
        field: expected
    }


@pytest.mark.parametrize("verb", COMMANDS)
def test_every_option_is_tried(verb):
    """An option that is new, or gone, is noticed here."""
    command, rows = COMMANDS[verb]

    offered = {
        max(param.opts, key=len)
        for param in command.params
        if isinstance(param, click.Option)
    }

    assert offered - GLOBAL == set(rows) | RUNNING[verb] | BESIDE[verb]


def test_types_that_are_left_out_of_those_whose_status_is_restored(monkeypatch):
    """What is excluded is excluded from what is included; alone it could mean anything."""
    monkeypatch.setattr(_restore_request, "meant_backup", lambda _, name: name)
    exclude = ["--status-exclude-resources", "po,jobs"]

    made = _made("restore plan", *exclude, "--status-include-resources", "*")

    assert made["restore_status"] == RestoreStatusSpec(
        included_resources=["*"], excluded_resources=["po", "jobs"]
    )
    with pytest.raises(click.UsageError, match="--status-include-resources"):
        _made("restore plan", *exclude)


def test_to_apply_is_a_policy_of_the_options_alone(monkeypatch):
    """Velero's specification keeps Velero's words: its records can be read by Velero."""
    monkeypatch.setattr(_restore_request, "meant_backup", lambda _, name: name)
    named = ["--existing-policies", "jobs=none"]

    made = _made("restore plan", "--existing-resource-policy", "apply", *named)

    assert made["existing_resource_policy"] is None
    assert made["existing_policies"] == {"*": "apply", "jobs": "none"}


def test_a_policy_that_there_is_not(monkeypatch):
    """A slip is refused with the words that are meant."""
    monkeypatch.setattr(_restore_request, "meant_backup", lambda _, name: name)

    with pytest.raises(click.BadParameter, match="expected one of none, update, apply"):
        _made("restore plan", "--existing-policies", "jobs=replace")

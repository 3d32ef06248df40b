"""The rules of names and specs."""

from datetime import timedelta

import pytest

from kbackup.models import (
    NON_RESTORABLE_RESOURCES,
    BackupHooks,
    BackupOptions,
    BackupResourceHook,
    BackupResourceHookSpec,
    BackupSpec,
    ExecHook,
    ExecRestoreHook,
    ExistingResourcePolicy,
    InitRestoreHook,
    LabelRequirement,
    LabelSelector,
    RestoreHooks,
    RestoreResourceHook,
    RestoreResourceHookSpec,
    RestoreSpec,
    RestoreStatusSpec,
    TemplateMetadata,
    TypedLocalObjectReference,
    validate_backup_name,
    validate_backup_options,
    validate_backup_spec,
    validate_restore_name,
    validate_restore_spec,
)


@pytest.mark.parametrize("name", ["a", "shop-1", "daily.2024", "0", "a" * 253])
def test_a_dns_name_is_a_name(name):
    """DNS-1123 subdomains of up to 253 characters are allowed."""
    assert validate_backup_name(name) == []
    assert validate_restore_name(name) == []


@pytest.mark.parametrize(
    "name",
    ["", "A", "-a", "a-", "a..b", "a_b", "../a", "a/b", "a\n", "é", " ", "a" * 254],
)
def test_another_name_is_refused(name):
    """What could climb out of a directory, or Kubernetes refuses, is no name."""
    assert len(validate_backup_name(name)) == 1
    assert validate_restore_name(name) != []


def test_every_fault_of_a_name_is_told():
    """A name that is too long and misspelt has two faults."""
    broken = validate_backup_name("X" * 300)

    assert "300 characters" in broken[0]
    assert "lower-case" in broken[1]
    assert len(broken) == 2


EMPTY = LabelSelector()


@pytest.mark.parametrize(
    "spec",
    [
        BackupSpec(),
        BackupSpec(included_namespaces=["*"], excluded_namespaces=["kube-*"]),
        BackupSpec(included_namespaces=["shop", "team-?", "x[ab]", ""]),
        BackupSpec(included_resources=["pods", "deployments.apps"]),
        BackupSpec(excluded_cluster_scoped_resources=["*"]),
        BackupSpec(included_namespace_scoped_resources=["*"]),
        BackupSpec(or_label_selectors=[EMPTY, EMPTY]),
        BackupSpec(label_selector=LabelSelector.parse("a.b/c=d,e in (f),!g")),
        BackupSpec(ttl=timedelta(0), include_cluster_resources=False),
        BackupSpec(
            resource_policy=TypedLocalObjectReference(kind="ConfigMap", name="p")
        ),
    ],
    ids=range(10),
)
def test_a_backup_that_can_be_meant_breaks_no_rule(spec):
    """Ordinary specs pass."""
    assert validate_backup_spec(spec) == []


@pytest.mark.parametrize(
    ("spec", "rule"),
    [
        (
            BackupSpec(included_namespaces=["*", "a"]),
            "included namespaces: '*' must stand alone",
        ),
        (
            BackupSpec(excluded_namespaces=["*"]),
            "excluded namespaces: '*' would exclude everything",
        ),
        (
            BackupSpec(included_namespaces=["a"], excluded_namespaces=["a"]),
            "namespaces: 'a' is both included and excluded",
        ),
        (
            BackupSpec(included_namespaces=["Shop"]),
            "namespaces: 'Shop' is not a namespace's name",
        ),
        (
            BackupSpec(excluded_namespaces=["a_*"]),
            "namespaces: 'a_*' is not a namespace's name",
        ),
        (
            BackupSpec(included_namespaces=["a,b"]),
            "namespaces: 'a,b' holds ',', which no pattern may",
        ),
        (
            BackupSpec(included_resources=["pods", "*"]),
            "included resources: '*' must stand alone",
        ),
        (
            BackupSpec(included_resources=["pods"], excluded_resources=["pods"]),
            "resources: 'pods' is both included and excluded",
        ),
        (
            BackupSpec(
                included_cluster_scoped_resources=["nodes"],
                excluded_cluster_scoped_resources=["*"],
            ),
            "excluded clusterScopedResources: '*' leaves nothing to include",
        ),
        (
            BackupSpec(excluded_namespace_scoped_resources=["*", "pods"]),
            "excluded namespaceScopedResources: '*' would exclude everything",
        ),
        (
            BackupSpec(label_selector=EMPTY, or_label_selectors=[EMPTY]),
            "labelSelector and orLabelSelectors cannot be combined",
        ),
        (
            BackupSpec(label_selector=LabelSelector(match_labels={"a b": "c"})),
            "label selector: 'a b' is not a label's name",
        ),
        (
            BackupSpec(label_selector=LabelSelector(match_labels={"A_/b": "c"})),
            "label selector: 'A_/b' is not a label's name",
        ),
        (
            BackupSpec(or_label_selectors=[LabelSelector(match_labels={"a": "-"})]),
            "label selector: '-' is not a label's value",
        ),
        (BackupSpec(ttl=timedelta(seconds=-1)), "ttl is below zero"),
        (
            BackupSpec(ttl=timedelta(days=300 * 365)),
            "ttl is longer than 292 years, which nobody could read",
        ),
        (
            BackupSpec(csi_snapshot_timeout=timedelta(seconds=-1)),
            "csiSnapshotTimeout is below zero",
        ),
        (
            BackupSpec(
                resource_policy=TypedLocalObjectReference(kind="Secret", name="p")
            ),
            "resourcePolicy: the kind must be configmap, not 'Secret'",
        ),
        (
            BackupSpec(resource_policy=TypedLocalObjectReference(kind="configmap")),
            "resourcePolicy names no object",
        ),
        (
            BackupSpec(ordered_resources={"pods": "a/b/c"}),
            (
                "orderedResources.pods: expected namespace/name or the name of a "
                "cluster-scoped object, got 'a/b/c'"
            ),
        ),
        (
            BackupSpec(ordered_resources={"pods": "shop/a,"}),
            (
                "orderedResources.pods: expected namespace/name or the name of a "
                "cluster-scoped object, got ''"
            ),
        ),
        (
            BackupSpec(ordered_resources={"pods": "shop/a, shop/b,shop/a"}),
            "orderedResources.pods: 'shop/a' is there 2 times",
        ),
        (
            BackupSpec(ordered_resources={" ": "shop/a"}),
            "orderedResources: a type has no name",
        ),
    ],
    ids=range(23),
)
def test_a_backup_that_cannot_be_meant_breaks_one_rule(spec, rule):
    """Each contradiction is named, and once."""
    assert validate_backup_spec(spec) == [rule]


@pytest.mark.parametrize(
    "older",
    [
        {"included_resources": ["pods"]},
        {"excluded_resources": ["pods"]},
        {"include_cluster_resources": False},
    ],
    ids=lambda older: next(iter(older)),
)
@pytest.mark.parametrize(
    "newer",
    [
        "included_cluster_scoped_resources",
        "excluded_cluster_scoped_resources",
        "included_namespace_scoped_resources",
        "excluded_namespace_scoped_resources",
    ],
)
def test_older_and_newer_filters_are_not_mixed(older, newer):
    """The two ways to filter contradict each other, so they are refused together."""
    (rule,) = validate_backup_spec(BackupSpec(**older, **{newer: ["x"]}))

    assert "cannot be combined" in rule


@pytest.mark.parametrize(
    ("operator", "values", "fault"),
    [
        ("In", [], "needs values"),
        ("NotIn", [], "needs values"),
        ("Exists", ["a"], "takes no values"),
        ("DoesNotExist", ["a"], "takes no values"),
        ("Gt", ["1"], "none of In, NotIn, Exists, DoesNotExist"),
    ],
)
def test_requirements_have_the_values_of_their_operator(operator, values, fault):
    """A requirement that the API server would refuse is refused here."""
    requirement = LabelRequirement(key="a", operator=operator, values=values)
    selector = LabelSelector(match_expressions=[requirement])

    (rule,) = validate_backup_spec(BackupSpec(label_selector=selector))

    assert fault in rule


def test_backup_hooks_have_names_and_commands():
    """A hook that says nothing is found before the backup starts."""
    nothing = BackupResourceHook(exec=ExecHook())
    hooks = BackupHooks(
        resources=[
            BackupResourceHookSpec(pre=[nothing], post=[BackupResourceHook()]),
            BackupResourceHookSpec(
                name="good", pre=[BackupResourceHook(exec=ExecHook(command=["x"]))]
            ),
        ]
    )

    assert validate_backup_spec(BackupSpec(hooks=hooks)) == [
        "hooks.resources[0] has no name",
        "hooks.resources[0].pre[0] has no command",
        "hooks.resources[0].post[0] has no command",
    ]


def test_backup_hooks_have_times_and_selectors_that_mean_something():
    """So do the times of their commands, and whom they are for."""
    hook = BackupResourceHook(
        exec=ExecHook(command=["x"], timeout=timedelta(seconds=-1))
    )
    selector = LabelSelector(match_labels={"a b": "c"})
    entry = BackupResourceHookSpec(name="one", post=[hook], label_selector=selector)

    broken = validate_backup_spec(BackupSpec(hooks=BackupHooks(resources=[entry])))

    assert len(broken) == 2
    assert "'a b'" in broken[0]
    assert broken[1] == "hooks.resources[0].post[0].exec.timeout is below zero"


@pytest.mark.parametrize(
    "spec",
    [
        RestoreSpec(backup_name="b"),
        RestoreSpec(schedule_name="s", namespace_mapping={"a": "b"}),
        RestoreSpec(backup_name="b", existing_resource_policy="update"),
        RestoreSpec(backup_name="b", excluded_resources=["nodes"]),
    ],
    ids=range(4),
)
def test_a_restore_that_can_be_meant_breaks_no_rule(spec):
    """Ordinary specs pass."""
    assert validate_restore_spec(spec) == []


@pytest.mark.parametrize(
    ("fields", "rule"),
    [
        (
            {"backup_name": ""},
            "neither backupName nor scheduleName says what to restore",
        ),
        ({"schedule_name": "s"}, "backupName and scheduleName cannot be combined"),
        (
            {"included_namespaces": ["*", "a"]},
            "included namespaces: '*' must stand alone",
        ),
        (
            {"excluded_resources": ["*"]},
            "excluded resources: '*' would exclude everything",
        ),
        (
            {"namespace_mapping": {"a": "B"}},
            "namespaceMapping: 'B' is not a namespace's name",
        ),
        (
            {"excluded_namespaces": ["*"]},
            "excluded namespaces: '*' would exclude everything",
        ),
        (
            {"included_namespaces": ["a"], "excluded_namespaces": ["a"]},
            "namespaces: 'a' is both included and excluded",
        ),
        (
            {"included_resources": ["pods", "*"]},
            "included resources: '*' must stand alone",
        ),
        (
            {"included_resources": ["pods"], "excluded_resources": ["pods"]},
            "resources: 'pods' is both included and excluded",
        ),
        (
            {"label_selector": LabelSelector(match_labels={"a b": "c"})},
            "label selector: 'a b' is not a label's name",
        ),
        (
            {"restore_status": RestoreStatusSpec(included_resources=["pods", "*"])},
            "included resources of restoreStatus: '*' must stand alone",
        ),
        (
            {"resource_modifier": TypedLocalObjectReference(kind="configmap")},
            "resourceModifier names no object",
        ),
        (
            {"label_selector": EMPTY, "or_label_selectors": [EMPTY]},
            "labelSelector and orLabelSelectors cannot be combined",
        ),
        (
            {"item_operation_timeout": timedelta(-1)},
            "itemOperationTimeout is below zero",
        ),
        (
            {"resource_modifier": TypedLocalObjectReference(kind="x", name="m")},
            "resourceModifier: the kind must be configmap, not 'x'",
        ),
    ],
    ids=range(15),
)
def test_a_restore_that_cannot_be_meant_breaks_one_rule(fields, rule):
    """Each contradiction is named, and once."""
    spec = RestoreSpec(**{"backup_name": "b", **fields})

    assert validate_restore_spec(spec) == [rule]


@pytest.mark.parametrize("resource", NON_RESTORABLE_RESOURCES)
def test_what_belongs_to_one_cluster_may_be_named(resource):
    """Such a type is left out by itself; named one by one it is meant, and restored."""
    spec = RestoreSpec(backup_name="b", included_resources=["pods", resource])

    assert validate_restore_spec(spec) == []


def test_restore_hooks_say_what_to_run():
    """Init containers need a name and an image; other hooks need a command."""
    hooks = RestoreHooks(
        resources=[
            RestoreResourceHookSpec(
                post_hooks=[
                    RestoreResourceHook(),
                    RestoreResourceHook(exec=ExecRestoreHook()),
                    RestoreResourceHook(init=InitRestoreHook()),
                    RestoreResourceHook(
                        init=InitRestoreHook(
                            init_containers=[{"name": "i"}, {"name": 1, "image": "i"}]
                        )
                    ),
                ]
            ),
            RestoreResourceHookSpec(
                name="good",
                post_hooks=[RestoreResourceHook(exec=ExecRestoreHook(command=["x"]))],
            ),
        ]
    )

    assert validate_restore_spec(RestoreSpec(backup_name="b", hooks=hooks)) == [
        "hooks.resources[0] has no name",
        "hooks.resources[0].postHooks[0] has neither exec nor init",
        "hooks.resources[0].postHooks[1] has no command",
        "hooks.resources[0].postHooks[2] has no init container",
        "hooks.resources[0].postHooks[3].init.initContainers[0] has no image",
        "hooks.resources[0].postHooks[3].init.initContainers[1] has no name",
    ]


def test_restore_hooks_have_times_and_selectors_that_mean_something():
    """A time below zero would wait for ever, a selector that is none selects nobody."""
    hook = ExecRestoreHook(
        command=["x"],
        exec_timeout=timedelta(seconds=-1),
        wait_timeout=timedelta(seconds=-2),
    )
    entry = RestoreResourceHookSpec(
        name="one",
        label_selector=LabelSelector(match_labels={"a b": "c"}),
        post_hooks=[RestoreResourceHook(exec=hook)],
    )
    hooks = RestoreHooks(resources=[entry])

    assert validate_restore_spec(RestoreSpec(backup_name="b", hooks=hooks)) == [
        "label selector: 'a b' is not a label's name",
        "hooks.resources[0].postHooks[0].exec.execTimeout is below zero",
        "hooks.resources[0].postHooks[0].exec.waitTimeout is below zero",
    ]


def test_a_policy_is_a_word_that_is_known():
    """The policy for existing objects is none or update."""
    assert ExistingResourcePolicy("none") is ExistingResourcePolicy.NONE
    with pytest.raises(ValueError, match="recreate"):
        ExistingResourcePolicy("recreate")


@pytest.mark.parametrize(
    ("labels", "rule"),
    [
        ({"a b": "c"}, "labels: 'a b' is not a label's name"),
        ({"": "c"}, "labels: '' is not a label's name"),
        ({"A.b/c": "d"}, "labels: 'A.b/c' is not a label's name"),
        ({"a" * 64: "c"}, f"labels: '{'a' * 64}' is not a label's name"),
        ({"a": "c d"}, "labels: 'c d' is not a label's value"),
        ({"a": "c" * 64}, f"labels: '{'c' * 64}' is not a label's value"),
    ],
    ids=range(6),
)
def test_a_label_that_kubernetes_would_refuse(labels, rule):
    """A record whose labels no API server takes could never be synced into a cluster."""
    spec = BackupSpec(metadata=TemplateMetadata(labels=labels))

    assert validate_backup_options(BackupOptions(labels=labels)) == [rule]
    assert validate_backup_spec(spec) == [f"metadata.{rule}"]


def test_an_annotation_has_a_name_and_any_value():
    """Values of annotations are free; their names are like those of labels."""
    fit = {"a.b/c": "any {text}", "UPPER.example.com/d": "", "e": "f g"}

    assert validate_backup_options(BackupOptions(labels={"a.b/c": ""})) == []
    assert validate_backup_options(BackupOptions(annotations=fit)) == []
    assert validate_backup_options(BackupOptions(annotations={"a b": "c"})) == [
        "annotations: 'a b' is not an annotation's name"
    ]

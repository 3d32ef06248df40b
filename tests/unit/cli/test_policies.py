"""Resource policies and the order of objects on the command line."""

from pathlib import Path

import pytest

POLICIES = Path(__file__).with_name("policies.yaml")
CREATE = ("backup", "create", "p", "--include-namespaces", "shop")


def test_policies_in_a_file(kbackup):
    """A volume that the policies skip is shown as such, and so is where they came from."""
    made = kbackup(*CREATE, "--resource-policies-file", str(POLICIES))

    shown = kbackup("backup", "describe", "p", "--details").out
    assert made.code == 0
    assert "no data" not in made.out + made.err
    assert "Policies:     given as an option\n  version: v1\n  volumePolicies:" in shown
    assert "1 volume has no data in this backup, as resource policies want it:" in shown
    assert "shop/orders" in shown


def test_policies_in_a_config_map(kbackup, simulated):
    """The ConfigMap that Velero would read is read."""
    text = POLICIES.read_text()
    metadata = {"name": "policies", "namespace": "velero"}
    simulated.load(
        [
            {"apiVersion": "v1", "kind": "Namespace", "metadata": {"name": "velero"}},
            {
                "apiVersion": "v1",
                "kind": "ConfigMap",
                "metadata": metadata,
                "data": {"p": text},
            },
        ]
    )

    made = kbackup(*CREATE, "--resource-policies-configmap", "policies")

    shown = kbackup("backup", "describe", "p").out
    assert made.code == 0
    assert "Policies:     configmap policies\n" in shown
    assert "as resource policies want it: shop/orders" in shown.replace("\n  ", " ")


def test_a_dry_run_shows_what_is_skipped(kbackup):
    """Before anything is stored people see which volumes stay without data."""
    done = kbackup(*CREATE, "--resource-policies-file", str(POLICIES), "--dry-run")

    assert "1 volume is skipped by a resource policy: shop/orders" in done.out


@pytest.mark.parametrize(
    ("text", "told"),
    [
        ("version: v1\nvolumes: []\n", "no other fields than version"),
        ("version: [", "expected YAML"),
        ("version: v2\n", "resource_policies: version: expected 'v1', got 'v2'"),
    ],
)
def test_files_that_hold_no_policies(kbackup, tmp_path, text, told):
    """The message names the file, or the rule, and there is no backup."""
    path = tmp_path / "p.yaml"
    path.write_text(text)

    done = kbackup(*CREATE, "--resource-policies-file", str(path))

    assert done.code == 2
    assert told in done.err
    assert kbackup("backup", "describe", "p").code == 1


def test_a_config_map_that_is_not_there(kbackup):
    """Nothing is stored without the policies that were asked for."""
    done = kbackup(*CREATE, "--resource-policies-configmap", "gone")

    assert done.code == 2
    assert "ConfigMap velero/gone does not exist" in done.err


def test_the_order_is_shown(kbackup):
    """What was stored first stands in the description."""
    kbackup(*CREATE, "--ordered-resources", "secrets=shop/payment;pods=shop/x,shop/y")

    shown = kbackup("backup", "describe", "p").out
    assert "First:        secrets shop/payment\n" in shown
    assert "First:        pods shop/x, shop/y\n" in shown


@pytest.mark.parametrize(
    "word", [";", "pods", "pods=", "=shop/a", "pods=shop/a;pods=shop/b"]
)
def test_orders_that_name_nothing(kbackup, word):
    """A slip in the order is wrong use, told before anything is read."""
    done = kbackup(*CREATE, "--ordered-resources", word)

    assert done.code == 2
    assert "--ordered-resources" in done.err

"""``kbackup restore`` with resource modifiers, from a file and from a ConfigMap."""

from pathlib import Path

import pytest

FILE = Path(__file__).with_name("modifiers.yaml")
COPY = ("--from-backup", "shop-1", "--namespace-mappings", "shop:copy")
WITH_FILE = ("--resource-modifiers-file", FILE)


def replicas(simulated):
    """How many the copy of the shop's Deployment has."""
    (web,) = simulated.objects("deployments.apps", "copy")
    return web["spec"]["replicas"]


def test_modifiers_of_a_file(backed_up, simulated):
    """What the rules change is shown with the rule, and done."""
    done = backed_up("restore", "create", "r", *COPY, *WITH_FILE, "--yes")
    described = backed_up("restore", "describe", "r")

    assert done.code == 0, done.err
    assert "changed by resource modifier rule 1" in done.err
    assert "modifiers 1 rule, given with the restore, sha256:" in done.err
    assert replicas(simulated) == 1
    assert "Option:       resource_modifiers: sha256:" in described.out


def test_a_saved_plan_takes_its_file_again(backed_up, simulated, tmp_path):
    """The next command names the file; without it the plan is refused with a hint."""
    saved = tmp_path / "plan.json"

    planned = backed_up("restore", "plan", "r", *COPY, *WITH_FILE, "--save", saved)
    refused = backed_up("restore", "create", "--plan", saved, "--yes")
    done = backed_up("restore", "create", "--plan", saved, *WITH_FILE, "--yes")

    assert planned.next == (
        f"Next: kbackup restore create --plan {saved} --resource-modifiers-file {FILE}"
    )
    assert refused.code == 2
    assert "resource_modifiers: named is sha256:" in refused.err
    assert "give --resource-modifiers-file as when the plan was made" in refused.err
    assert done.code == 0, done.err
    assert replicas(simulated) == 1


def test_without_save_the_next_command_has_the_file(backed_up):
    """What is to be typed after a plan makes the same plan."""
    done = backed_up("restore", "plan", *COPY, *WITH_FILE)

    assert done.next.startswith("Next: kbackup restore create --from-backup shop-1 ")
    assert f"--resource-modifiers-file {FILE}" in done.next


def test_modifiers_of_a_config_map(backed_up, simulated):
    """Velero's option names a ConfigMap beside the target's Velero."""
    simulated.load(
        [
            {"apiVersion": "v1", "kind": "Namespace", "metadata": {"name": "velero"}},
            {
                "apiVersion": "v1",
                "kind": "ConfigMap",
                "metadata": {"name": "mods", "namespace": "velero"},
                "data": {"mods.yaml": FILE.read_text()},
            },
        ]
    )
    named = ("--resource-modifier-configmap", "mods")

    done = backed_up("restore", "create", "r", *COPY, *named, "--yes")
    described = backed_up("restore", "describe", "r")

    assert done.code == 0, done.err
    assert "modifiers 1 rule, ConfigMap velero/mods, sha256:" in done.err
    assert replicas(simulated) == 1
    assert "Modifiers:    ConfigMap velero/mods" in described.out


def test_a_config_map_that_is_not_there(backed_up):
    """A name that was mistyped is no restore without rules."""
    named = ("--resource-modifier-configmap", "mods")

    done = backed_up("restore", "plan", *COPY, *named)

    assert done.code == 2
    assert "the target has no ConfigMap velero/mods" in done.err


@pytest.mark.parametrize(
    ("old", "new", "message"),
    [
        ("path: /spec", "path: spec", "rule 1: patches[0].path: 'spec/replicas' does"),
        (
            "operation: replace",
            "operation: rm",
            "rule 1: patches[0].operation: expected",
        ),
        ("groupResource:", "type:", "rule 1: conditions: expected no other fields"),
        ("version: v1", "version: [", "mods.yaml: line "),
    ],
)
def test_a_file_that_is_none(backed_up, tmp_path, old, new, message):
    """A fault is told with rule and field, or the place, before anything is planned."""
    file = tmp_path / "mods.yaml"
    file.write_text(FILE.read_text().replace(old, new))

    done = backed_up("restore", "plan", *COPY, "--resource-modifiers-file", file)

    assert done.code == 2
    assert message in done.err

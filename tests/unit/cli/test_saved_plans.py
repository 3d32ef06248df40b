"""``kbackup restore plan --save`` and ``restore create --plan``."""

import json
import stat
import sys
from pathlib import Path

import jsonschema
import pytest

from kbackup.cli._app import run
from kbackup.cluster import Cluster
from kbackup.models import ServerVersion
from kbackup.restore._plan.digest import plan_digest
from kbackup.testing import SimulatedCluster, load_sample_shop

COPY = ("--from-backup", "shop-1", "--namespace-mappings", "shop:copy")
SCHEMA = json.loads(
    Path(__file__)
    .parents[3]
    .joinpath("docs/formats/schemas/plan.json")
    .read_text(encoding="utf-8")
)


def names(simulated, resource, namespace):
    """The names of what the cluster holds of a type in a namespace."""
    found = simulated.objects(resource, namespace)
    return sorted(item["metadata"]["name"] for item in found)


@pytest.fixture(name="file")
def fixture_file(tmp_path):
    """Where the plan goes."""
    return tmp_path / "plan.json"


@pytest.fixture(name="planned")
def fixture_planned(backed_up, file):
    """The command line after ``restore plan r --save plan.json``."""
    done = backed_up("restore", "plan", "r", *COPY, "--save", file)
    assert done.code == 0, done.err
    return backed_up


def test_saved_plan_is_carried_out(planned, simulated, file):
    """What was saved is shown again and done: name and options come from the file."""
    done = planned("restore", "create", "--plan", file, "--yes")

    assert done.code == 0, done.err
    assert f"writes to {simulated.url}" in done.err
    assert "Restore r: Completed, 11 created, 3 skipped, 1 unchanged" in done.out
    assert done.next == "Next: kbackup restore describe r"
    assert names(simulated, "configmaps", "copy") == ["settings"]


def test_settings_are_typed_again_as_they_were_typed(backed_up, file):
    """What comes next has each setting, commas in it too, and none where none is meant."""
    image = "velero.io/change-image-name:1=docker.io,mirror:80/a=b"
    none = "velero.io/change-storage-class:"
    words = (*COPY, "--action-setting", image, "--action-setting", none)

    planned = backed_up("restore", "plan", "r", *words)

    assert planned.code == 0, planned.err
    assert f"--action-setting {image} --action-setting {none}" in planned.next
    assert "settings of velero.io/change-image-name 1=docker.io,mirror:80/a=b" in (
        planned.out
    )
    saved = backed_up("restore", "plan", "r", *words, "--save", file)
    assert saved.code == 0, saved.err
    document = json.loads(file.read_text())
    jsonschema.validate(document, SCHEMA)
    done = backed_up("restore", "create", "--plan", file, "--yes")
    assert done.code == 0, done.err
    described = backed_up("restore", "describe", "r").out
    assert 'action_settings: {"velero.io/change-image-name": {"1": ' in described


def test_quiesced_plan_is_carried_out_quiesced(backed_up, simulated, file):
    """What --quiesce keeps still is kept still by a plan from a file as well."""
    done = backed_up("restore", "plan", "r", *COPY, "--quiesce", "--save", file)
    assert done.code == 0, done.err

    done = backed_up("restore", "create", "--plan", file, "--yes")

    assert done.code == 0, done.err
    (web,) = simulated.objects("deployments.apps", "copy")
    assert web["spec"]["replicas"] == 0


CHANGED = (
    *("--map-storage-class", "standard=fast", "--max-replicas", "1"),
    *("--map-registry", "docker.io=r.example.com:5000/hub", "--quiesce"),
)


def test_changes_of_the_command_line_are_in_the_plan(backed_up, simulated, file):
    """What was changed when it was planned is changed by the plan from a file as well."""
    done = backed_up("restore", "plan", "r", *COPY, *CHANGED, "--save", file)
    assert done.code == 0, done.err
    assert done.out.count("changed by kbackup.restore.transforms.storage_class") == 1
    record = json.loads(file.read_text())["options"]["transforms"]

    done = backed_up("restore", "create", "--plan", file, "--yes")

    assert done.code == 0, done.err
    (claim,) = simulated.objects("persistentvolumeclaims", "copy")
    assert claim["spec"]["storageClassName"] == "fast"
    assert record == [
        "kbackup.restore.transforms.registry({'docker.io': 'r.example.com:5000/hub'})",
        "kbackup.restore.transforms.storage_class({'standard': 'fast'})",
        "kbackup.restore.transforms.replicas(at_most=1)",
        "kbackup.restore.quiesce",
    ]


def test_what_is_typed_next_changes_the_same(backed_up):
    """The command that carries a plan out has the options that it was planned with."""
    done = backed_up("restore", "plan", *COPY, *CHANGED)

    assert done.code == 0, done.err
    for words in ("--map-storage-class standard=fast", "--max-replicas 1"):
        assert words in done.next
    assert "--map-registry docker.io=r.example.com:5000/hub" in done.next


def test_next_command_carries_the_file_out(backed_up, file):
    """A plan is shown as without --save; what follows is its file."""
    done = backed_up("restore", "plan", "r", *COPY, "--save", file)

    assert "create    namespaces/shop -> copy" in done.out
    assert done.next == f"Next: kbackup restore create --plan {file}"


@pytest.mark.usefixtures("planned")
def test_saved_plan_is_its_owners_alone(file):
    """The file is whole, fits its schema, and nobody else may read it."""
    jsonschema.validate(json.loads(file.read_text()), SCHEMA)

    if sys.platform != "win32":
        assert stat.S_IMODE(file.stat().st_mode) == 0o600
    assert list(file.parent.glob(".kbackup-*")) == []


def test_saving_replaces_an_older_plan(planned, file):
    """With --force a plan that was saved is replaced, whoever might read that one."""
    file.chmod(0o644)

    done = planned("restore", "plan", "later", *COPY, "--save", file, "--force")

    assert done.code == 0
    assert json.loads(file.read_text())["head"]["restore"]["name"] == "later"
    assert stat.S_IMODE(file.stat().st_mode) == 0o600


def test_printed_plan_is_a_plan_as_well(backed_up, simulated, file):
    """What -o json prints can be saved and carried out."""
    file.write_text(backed_up("restore", "plan", "r", *COPY, "-o", "json").out)

    done = backed_up("restore", "create", "--plan", file, "--yes", "-o", "json")

    assert json.loads(done.out)["restore"]["metadata"]["name"] == "r"
    assert names(simulated, "configmaps", "copy") == ["settings"]


@pytest.mark.parametrize(
    ("given", "named"),
    [
        (["r"], "NAME"),
        (["--from-backup", "shop-1"], "--from-backup"),
        (["-l", "app=web", "--validate"], "--selector, --validate"),
        (["--released-volumes", "leave"], "--released-volumes"),
        (["--redact", "configmaps"], "--redact"),
    ],
    ids=lambda value: " ".join(value) if isinstance(value, list) else "",
)
def test_options_beside_a_plan_are_wrong_use(planned, simulated, file, given, named):
    """A plan is carried out as it is: what would change it is refused by name."""
    before = simulated.calls

    done = planned("restore", "create", "--plan", file, "--yes", *given)

    assert done.code == 2
    assert f"the plan has its own; leave out: {named}" in done.err
    assert simulated.calls == before


def test_global_options_may_stand_beside_a_plan(planned, directory, file):
    """Where the backup is, and how to print, is not in the plan."""
    words = ("--plan", file, "--yes", "--location", directory, "--output", "yaml")

    done = planned("restore", "create", *words)

    assert done.code == 0, done.err
    assert "kind: RestoreResult" in done.out


@pytest.mark.parametrize("verb", ["plan", "create"])
def test_backup_is_needed_without_a_plan(offline, verb):
    """A restore of nothing is wrong use."""
    done = offline("restore", verb, "--include-namespaces", "shop")

    assert done.code == 2
    assert "Missing option '--from-backup'" in done.err


def _truncated(text):
    """Cut the file in the middle."""
    return text[: len(text) // 2]


def _unknown_action(text):
    """Ask for what nobody can do."""
    return text.replace('"action": "create"', '"action": "erase"', 1)


def _another_document(_text):
    """Give the result of something else."""
    return '{"apiVersion": "kbackup.io/v1", "kind": "RestoreResult"}'


def _with_a_function(text):
    """Name a function, as a plan that a program made does."""
    document = json.loads(text)
    document["options"]["transforms"] = ["shop.quiet"]
    return json.dumps({**document, "digest": plan_digest(document)})


def _with_a_call(text):
    """Name a transform of ours with what has to be run first."""
    document = json.loads(text)
    name = "kbackup.restore.transforms.replicas(at_most=print('run'))"
    document["options"]["transforms"] = [name]
    return json.dumps({**document, "digest": plan_digest(document)})


def _without_a_line(text):
    """Remove what somebody does not want to be restored."""
    document = json.loads(text)
    del document["entries"][-1]
    return json.dumps(document)


@pytest.mark.parametrize(
    ("spoil", "said"),
    [
        (_truncated, "it is no JSON"),
        (_unknown_action, "entries[1].action: Invalid enum value 'erase'"),
        (_another_document, "kind: expected RestorePlan, got 'RestoreResult'"),
        (_without_a_line, "it was changed after it was saved"),
        (_with_a_function, "transforms: named is shop.quiet, given is none"),
        (_with_a_call, "transforms: named is kbackup.restore.transforms.replicas("),
    ],
)
def test_spoilt_plan_is_refused(planned, simulated, file, spoil, said):
    """A file that is no plan is one clear error, and nothing is asked or written."""
    file.write_text(spoil(file.read_text()))
    before = simulated.calls

    done = planned("restore", "create", "--plan", file, "--yes")

    assert done.code == 2
    assert f"Error: {file}: the saved plan cannot be used: " in done.err
    assert said in done.err
    assert done.next.startswith("Next: kbackup restore plan --from-backup NAME --save")
    assert simulated.calls == before


def test_file_that_is_not_there(offline, file):
    """A plan that is not there is wrong use."""
    done = offline("restore", "create", "--plan", file, "--yes")

    assert done.code == 2
    assert "does not exist" in done.err


def test_plan_of_another_cluster_is_refused(planned, file, monkeypatch, tmp_path):
    """It is refused before it is shown: its head is not of where this would write."""
    with SimulatedCluster() as other:
        with other.connect() as cluster:
            load_sample_shop(cluster)
        kubeconfig = other.kubeconfig(tmp_path / "other")
        monkeypatch.setenv("KUBECONFIG", str(kubeconfig))

        done = planned("restore", "create", "--plan", file, "--yes")

        assert "writes to" not in done.err
        assert names(other, "configmaps", "copy") == []
    assert done.code == 1
    assert "Error: the plan was made for another cluster" in done.err
    assert done.next == "Next: kbackup restore plan --from-backup shop-1"


def test_the_head_of_a_saved_plan_is_of_the_server_that_is_connected(
    planned, file, monkeypatch
):
    """A server that was upgraded since the plan is shown with its version of now."""
    newer = ServerVersion(git_version="v9.9.9", major="9", minor="9")
    monkeypatch.setattr(Cluster, "version", lambda _: newer)

    done = planned("restore", "create", "--plan", file, "--yes")

    assert done.code == 0, done.err
    assert ", v9.9.9" in done.err


@pytest.fixture(name="say")
def fixture_say(monkeypatch):
    """A terminal, and somebody at it who gives the answer."""

    def say(answer):
        monkeypatch.setattr("sys.stdin.isatty", lambda: True)
        monkeypatch.setattr("sys.stderr.isatty", lambda: True)
        monkeypatch.setattr("click.termui.visible_prompt_func", lambda _: answer)

    return say


@pytest.mark.usefixtures("planned")
@pytest.mark.parametrize(("answer", "code"), [("n", 1), ("y", 0)])
def test_plan_is_asked_about(simulated, file, say, answer, code):
    """On a terminal a saved plan is shown and asked about as a new one is."""
    say(answer)

    assert run(["restore", "create", "--plan", str(file)]) == code
    made = "copy" in names(simulated, "namespaces", "")
    assert made == (answer == "y")


def test_redacted_types_show_no_value(backed_up, simulated, file):
    """Of what --redact names only keys are shown, on the screen and in the file."""
    changed = {
        "apiVersion": "v1",
        "kind": "ConfigMap",
        "metadata": {"name": "settings", "namespace": "shop"},
        "data": {"currency": "a-live-password"},
    }
    with simulated.connect() as cluster:
        resource = cluster.discover().resolve("configmaps")
        cluster.replace(resource, "settings", changed, namespace="shop")
    words = ("--from-backup", "shop-1", "--existing-resource-policy", "update")

    shown = backed_up("restore", "plan", *words)
    hidden = backed_up("restore", "plan", *words, "--redact", "cm", "--save", file)

    assert "a-live-password" in shown.out
    assert "data.currency: differs" in hidden.out
    assert "a-live-password" not in hidden.out + hidden.err + file.read_text()
    assert "EUR" not in hidden.out + file.read_text()


def test_plan_that_is_there_is_not_lost(planned, simulated, file):
    """A reviewed plan is overwritten only with --force, and nothing is read before."""
    saved, before = file.read_bytes(), simulated.calls

    refused = planned("restore", "plan", *COPY, "--save", file, "--detailed-exitcode")

    assert refused.code == 1
    assert f"Error: {file} exists already" in refused.err
    assert refused.next.endswith(f"--save {file} --force --detailed-exitcode")
    assert file.read_bytes() == saved
    assert simulated.calls == before
    assert planned("restore", "plan", *COPY, "--save", file, "--force").code == 0
    assert file.read_bytes() != saved


def test_plan_without_a_place_is_not_computed(backed_up, simulated, tmp_path):
    """A file in a directory that is not there is refused before the cluster is asked."""
    before = simulated.calls

    done = backed_up("restore", "plan", *COPY, "--save", tmp_path / "none/p.json")

    assert done.code == 2
    assert f"{tmp_path}/none is no directory" in done.err
    assert simulated.calls == before


@pytest.mark.parametrize(
    ("words", "said"),
    [
        (("--map-registry", "docker.io"), "'docker.io' is not OLD=NEW"),
        (("--map-registry", "nginx=a.io"), "'nginx' is no registry"),
        (("--map-storage-class", "a=b,a=c"), "a is given twice, as b and as c"),
        (("--map-ingress-host", "*.a.io=b.io"), "both have a wildcard, or none"),
        (("--max-replicas", "-1"), "is not in the range x>=0"),
    ],
)
def test_what_changes_nothing_is_wrong_use(backed_up, simulated, words, said):
    """A slip is told with the option, before the cluster is asked."""
    before = simulated.calls

    done = backed_up("restore", "plan", *COPY, *words)

    assert done.code == 2
    assert said in done.err
    assert words[0] in done.err
    assert simulated.calls == before

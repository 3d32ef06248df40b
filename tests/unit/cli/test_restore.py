"""``kbackup restore`` on a simulated cluster and a directory."""

import json
import re

import pytest

from kbackup.cli._app import run

WAIT = "post.hook.restore.velero.io/wait-timeout"


def names(simulated, resource, namespace):
    """The names of what the cluster holds of a type in a namespace."""
    found = simulated.objects(resource, namespace)
    return sorted(item["metadata"]["name"] for item in found)


def test_plan_shows_and_writes_nothing(backed_up, simulated):
    """The plan names target, actions and reasons, and no write is sent."""
    before = simulated.calls

    done = backed_up(
        *("restore", "plan", "--from-backup", "shop-1"),
        *("--namespace-mappings", "shop:copy"),
    )

    assert done.code == 0
    assert f"writes to {simulated.url}" in done.out
    assert "create    namespaces/shop -> copy" in done.out
    assert "made by ReplicaSet/web-6d4b8c9f7" in done.out
    verbs = {call.split()[0] for call in simulated.calls - before}
    assert verbs <= {"get", "list"}


def test_plan_ends_with_the_command_that_carries_it_out(backed_up):
    """What follows a plan is the same restore, created."""
    done = backed_up(
        *("restore", "plan", "r", "--from-backup", "latest"),
        *("--namespace-mappings", "shop:copy", "--selector", "app=web"),
        *("--existing-resource-policy", "update", "--include-cluster-resources=false"),
        *("--item-operation-timeout", "20m"),
    )

    assert done.code == 0, done.err
    assert done.next == (
        "Next: kbackup restore create r --from-backup shop-1 "
        "--include-cluster-resources=false --selector app=web "
        "--namespace-mappings shop:copy "
        "--existing-resource-policy update "
        "--item-operation-timeout 20m0s"
    )


def test_next_command_repeats_alternative_selectors(backed_up):
    """Alternatives are repeated as Velero writes them."""
    done = backed_up(
        *("restore", "plan", "r", "--from-backup", "shop-1"),
        *("--or-selector", "app=web or app=db", "--or-selector", "tier"),
    )

    assert done.next.endswith("--or-selector 'app=web or app=db or tier'")


def test_plan_of_a_live_namespace_has_nothing_to_do(backed_up):
    """Over the live namespace everything is unchanged."""
    done = backed_up(
        "restore", "plan", "--from-backup", "shop-1", "--detailed-exitcode"
    )

    assert done.code == 0
    assert "create" not in done.out
    assert "12 unchanged" in done.out


def test_plan_with_changes_has_exit_code_four(backed_up):
    """With --detailed-exitcode a plan that writes ends with 4."""
    done = backed_up(
        *("restore", "plan", "--from-backup", "shop-1", "--detailed-exitcode"),
        *("--namespace-mappings", "shop:copy"),
    )

    assert done.code == 4


def test_create_restores_under_another_name(restored, simulated):
    """What was backed up is in the other namespace, the Pods left to their ReplicaSet."""
    assert names(simulated, "deployments.apps", "shop-copy") == ["web"]
    assert names(simulated, "secrets", "shop-copy") == ["payment"]
    assert names(simulated, "coupons.shop.example.com", "shop-copy") == ["spring-sale"]
    assert names(simulated, "pods", "shop-copy") == []


def test_create_shows_head_and_numbers_and_what_was_done(backed_up, simulated):
    """Before the first write the target is named; at the end every count."""
    done = backed_up(
        *("restore", "create", "--from-backup", "latest", "--yes"),
        *("--namespace-mappings", "shop:copy"),
    )

    assert done.code == 0
    assert f"writes to {simulated.url}" in done.err
    assert "comes back empty" in done.err
    assert "Completed, 11 created, 3 skipped, 1 unchanged" in done.out
    assert done.next.startswith("Next: kbackup restore describe shop-1-")


def test_create_of_a_long_backup_name(kbackup):
    """The name that a restore gets by itself fits, however long that of its backup."""
    backup = "shop." * 45 + "shop"
    assert kbackup("backup", "create", backup, "--include-namespaces", "shop").code == 0

    done = kbackup(
        *("restore", "create", "--from-backup", backup, "--yes"),
        *("--namespace-mappings", "shop:copy"),
    )

    assert done.code == 0, done.err
    name = done.next.rpartition(" ")[2]
    assert re.fullmatch(r"(shop\.)+shop-\d{14}-[0-9a-f]{4}", name)
    assert kbackup("restore", "describe", name).code == 0


def test_create_without_a_terminal_needs_yes(backed_up, simulated):
    """Nothing is even read where nobody can be asked."""
    before = simulated.calls

    done = backed_up("restore", "create", "--from-backup", "shop-1")

    assert done.code == 2
    assert "give --yes" in done.err
    assert done.next == "Next: kbackup restore plan --from-backup shop-1"
    assert simulated.calls == before


@pytest.mark.parametrize(("answer", "code"), [("n", 1), ("y", 0)])
def test_create_asks_on_a_terminal(backed_up, simulated, monkeypatch, answer, code):
    """On a terminal the head is shown and the question decides."""
    monkeypatch.setattr("sys.stdin.isatty", lambda: True)
    monkeypatch.setattr("sys.stderr.isatty", lambda: True)
    monkeypatch.setattr("click.termui.visible_prompt_func", lambda _: answer)

    ended = run(
        [
            *("restore", "create", "--from-backup", "shop-1"),
            *("--namespace-mappings", "shop:copy"),
        ]
    )

    assert ended == code
    made = "copy" in names(simulated, "namespaces", "")
    assert made == (answer == "y")


def test_empty_plan_is_not_asked_about(backed_up, monkeypatch):
    """Where nothing would be written there is nothing to agree to."""
    monkeypatch.setattr("sys.stdin.isatty", lambda: True)
    monkeypatch.setattr("sys.stderr.isatty", lambda: True)
    monkeypatch.setattr("click.termui.visible_prompt_func", lambda _: "n")

    assert run(["restore", "create", "--from-backup", "shop-1"]) == 0


def test_ctrl_c_at_the_question_writes_nothing(backed_up, simulated, monkeypatch):
    """Leaving at the question is a cancel."""

    def interrupt(_):
        raise KeyboardInterrupt

    monkeypatch.setattr("sys.stdin.isatty", lambda: True)
    monkeypatch.setattr("sys.stderr.isatty", lambda: True)
    monkeypatch.setattr("click.termui.visible_prompt_func", interrupt)

    ended = run(
        [
            *("restore", "create", "--from-backup", "shop-1"),
            *("--namespace-mappings", "shop:copy"),
        ]
    )

    assert ended == 130
    assert "copy" not in names(simulated, "namespaces", "")


@pytest.mark.parametrize(
    ("flags", "made", "code"),
    [
        (["--include-resources", "configmaps,secret"], {"settings", "payment"}, 0),
        (["--include-resources", "cm"], {"settings"}, 0),
        (
            ["--exclude-resources", "secrets", "--selector", "app!=web"],
            {"settings"},
            0,
        ),
        (["--or-selector", "app=web or app=none"], set(), 0),
        (["--include-namespaces", "other"], set(), 3),
        (["--exclude-namespaces", "shop"], set(), 3),
    ],
    ids=["resources", "short", "exclude", "or", "namespace", "without"],
)
def test_selection(backed_up, simulated, flags, made, code):
    """Restores are narrowed by the flags that Velero has; to nothing, it is told."""
    done = backed_up(
        *("restore", "create", "--from-backup", "shop-1", "--yes", *flags),
        *("--namespace-mappings", "shop:copy"),
    )

    assert done.code == code, done.err
    configmaps = set(names(simulated, "configmaps", "copy"))
    secrets = set(names(simulated, "secrets", "copy"))
    assert configmaps | secrets == made


def test_existing_objects_are_left_alone_by_default(backed_up, simulated):
    """Policy none changes nothing; update makes it as in the backup, and shows it first."""
    changed = {
        "apiVersion": "v1",
        "kind": "ConfigMap",
        "metadata": {"name": "settings", "namespace": "shop"},
        "data": {"currency": "USD"},
    }
    with simulated.connect() as cluster:
        resource = cluster.discover().resolve("configmaps")
        cluster.replace(resource, "settings", changed, namespace="shop")
    restore = ("restore", "create", "--from-backup", "shop-1", "--yes")

    def currency():
        return simulated.objects("configmaps", "shop")[0]["data"]["currency"]

    kept = backed_up(*restore)
    assert (kept.code, currency()) == (0, "USD")
    updated = backed_up(*restore, "--existing-resource-policy", "update")
    assert (updated.code, currency()) == (0, "EUR")
    assert "            ~ data.currency: 'USD' -> 'EUR'\n" in updated.err


def test_other_cluster_than_expected_is_refused(backed_up, simulated):
    """With --expect-cluster a wrong target is refused before anything is written."""
    done = backed_up(
        *("restore", "create", "--from-backup", "shop-1", "--yes"),
        *("--expect-cluster", "production", "--namespace-mappings", "shop:copy"),
    )

    assert done.code == 1
    assert "expected production" in done.err
    assert "copy" not in names(simulated, "namespaces", "")


def test_expected_context_is_accepted(backed_up):
    """The context's name is as good as the cluster's uid."""
    done = backed_up(
        *("restore", "plan", "--from-backup", "shop-1"),
        *("--expect-cluster", "simulated"),
    )

    assert done.code == 0


def test_failed_items_end_with_three(backed_up, simulated):
    """What the target refuses is named, the rest is restored, the exit code is 3."""
    simulated.faults.forbid(verb="create", resource="secrets")

    done = backed_up(
        *("restore", "create", "--from-backup", "shop-1", "--yes"),
        *("--namespace-mappings", "shop:copy"),
    )

    assert done.code == 3
    assert "cannot create secrets" in done.err
    assert "PartiallyFailed" in done.out
    assert names(simulated, "configmaps", "copy") == ["settings"]


def test_a_second_run_tells_whose_record_it_leads_to(backed_up, simulated):
    """Who has completed a restore is not sent to the first run's errors unwarned."""
    create = (
        *("restore", "create", "copy-1", "--from-backup", "shop-1", "--yes"),
        *("--namespace-mappings", "shop:copy"),
    )
    simulated.faults.forbid(verb="create", resource="secrets")
    first = backed_up(*create)
    simulated.faults.clear()

    second = backed_up(*create)

    told = "On record stays the first run of copy-1, not this one: PartiallyFailed, started "
    assert first.code == 3
    assert told not in first.err
    assert second.code == 0
    assert told in second.err
    assert second.next == "Next: kbackup restore describe copy-1"


def test_taken_name_of_a_restore_is_refused(restored):
    """The name of another restore is refused with the way to look at it."""
    restored("backup", "create", "other", "--include-namespaces", "shop")

    done = restored("restore", "plan", "copy-1", "--from-backup", "other")

    assert done.code == 1
    assert "restore copy-1: exists already" in done.err
    assert done.next == "Next: kbackup restore describe copy-1"


def test_describe_tells_where_and_how(backed_up, simulated):
    """Afterwards one can see which cluster was written to, how much, with which options."""
    backed_up(
        *("restore", "create", "copy-1", "--from-backup", "shop-1", "--yes"),
        *("--namespace-mappings", "shop:copy", "--quiesce", "--deadline", "1m"),
    )

    described = backed_up("restore", "describe", "copy-1").out

    assert f"Target:       {simulated.url} (cluster uid " in described
    assert "Outcome:      11 created, 3 skipped, 1 unchanged" in described
    assert "Option:       deadline: 60.0" in described
    assert "Option:       transforms: kbackup.restore.quiesce" in described
    assert described.count("Option: ") == 2


def test_hooks_are_counted(kbackup, simulated):
    """Commands that were run in restored Pods, and those that failed, can be seen."""
    annotations = {"post.hook.restore.velero.io/command": "warm"}
    metadata = {"name": "db", "namespace": "bare", "annotations": annotations}
    container = {"name": "main", "image": "example.com/any:1"}
    space = {"apiVersion": "v1", "kind": "Namespace", "metadata": {"name": "bare"}}
    body = {
        "apiVersion": "v1",
        "kind": "Pod",
        "metadata": metadata | {"annotations": annotations | {WAIT: "300ms"}},
        "spec": {"containers": [container]},
    }
    simulated.load([space, body])
    kbackup("backup", "create", "bare-1", "--include-namespaces", "bare")

    done = kbackup(
        *("restore", "create", "hooked", "--from-backup", "bare-1", "--yes"),
        *("--namespace-mappings", "bare:copy"),
    )
    described = kbackup("restore", "describe", "hooked").out

    assert "> hook <from-annotation> in container main, within 300ms: warm" in done.err
    assert "Hooks:        1 due, 1 failed" in described
    assert "within 300ms container main was not running" in described


def test_get_describe_and_logs(restored):
    """What a restore did can be looked up afterwards."""
    listed = restored("restore", "get")
    one = restored("restore", "get", "copy-1")
    described = restored("restore", "describe", "copy-1", "--details")
    logged = restored("restore", "logs", "copy-1")

    assert listed.code == one.code == described.code == logged.code == 0
    assert len(listed.out.splitlines()) == len(one.out.splitlines())
    assert "copy-1   shop-1   Completed" in one.out  # its age may be another by now
    assert "copy-1   shop-1   Completed" in listed.out
    assert "Renamed:      shop to shop-copy" in described.out
    assert "data: none in this backup" in described.out
    assert "restore=velero/copy-1" in logged.out


@pytest.mark.parametrize("verb", ["describe", "logs", "get"])
def test_restore_that_is_not_there(offline, verb):
    """An unknown restore leads to the list of those that are."""
    done = offline("restore", verb, "nope")

    assert done.code == 1
    assert "restore nope: not found" in done.err
    assert done.next == "Next: kbackup restore get"


def test_get_of_a_damaged_record(restored, directory):
    """A restore whose record cannot be read is called damaged, not missing."""
    (directory / "restores/copy-1/kbackup-restore.json").write_bytes(b"{")

    done = restored("restore", "get", "copy-1")

    assert done.code == 1
    assert "Error: restore copy-1: is damaged: kbackup-restore.json" in done.err


def test_get_of_none(offline):
    """Without restores the first command is named."""
    done = offline("restore", "get")

    assert done.code == 0
    assert done.next == "Next: kbackup restore plan --from-backup latest"


def test_latest_of_none(kbackup):
    """Without a backup there is no latest one."""
    done = kbackup("restore", "plan", "--from-backup", "latest")

    assert done.code == 1
    assert "no whole backup" in done.err
    assert done.next == "Next: kbackup backup get"


def test_plan_as_json_has_no_secret(backed_up):
    """The plan is a document with every entry, and no value of a Secret."""
    done = backed_up(
        *("restore", "plan", "--from-backup", "shop-1", "-o", "json"),
        *("--namespace-mappings", "shop:copy"),
    )

    document = json.loads(done.out)
    assert document["kind"] == "RestorePlan"
    assert document["summary"] == {"create": 11, "skip": 3, "unchanged": 1}
    assert "api-key" not in done.out


@pytest.mark.parametrize(
    "verb",
    [["plan"], ["plan", "--detailed-exitcode"], ["create", "r", "--yes"]],
    ids=" ".join,
)
def test_a_restore_of_nothing(backed_up, verb):
    """What selects nothing ends with 3 and says so, already when it is planned."""
    done = backed_up(
        *("restore", *verb, "--from-backup", "shop-1"),
        *("--include-namespaces", "shopp"),
    )

    assert done.code == 3
    assert "nothing selected" in done.out
    assert ", \n" not in done.out
    assert "shopp" in done.out + done.err

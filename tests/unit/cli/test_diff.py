"""``kbackup backup diff``: two backups, or a backup and the cluster."""

import json
import os
import shlex
import signal
import time

import pytest

from kbackup.catalog._archives import Archives


@pytest.fixture(name="changed")
def fixture_changed(backed_up, simulated):
    """The shop with one setting changed since, and a second backup of it."""
    with simulated.connect() as cluster:
        maps = cluster.discover().resolve("configmaps")
        cluster.patch(maps, "settings", {"data": {"currency": "CHF"}}, namespace="shop")
    done = backed_up("backup", "create", "shop-2", "--include-namespaces", "shop")
    assert done.code == 0, done.err
    return backed_up


CHANGE = "~ configmaps/shop/settings\n    ~ data.currency: 'EUR' -> 'CHF'\n"


def test_two_backups(changed):
    """Two backups are compared without a cluster, line by line."""
    done = changed("backup", "diff", "shop-1", "shop-2")

    assert done.code == 0
    assert done.out.startswith(f"from backup shop-1 to backup shop-2:\n{CHANGE}")


def test_without_a_cluster(changed, monkeypatch, tmp_path):
    """To compare two backups nobody connects to a cluster."""
    monkeypatch.setenv("KUBECONFIG", str(tmp_path / "none"))

    assert changed("backup", "diff", "shop-1", "shop-2").code == 0


def test_live(changed):
    """A backup is compared with the cluster, and the way back is shown.

    What is there and differs comes back only where the restore may change it.
    """
    done = changed("backup", "diff", "shop-1", "--live")

    assert done.code == 0
    assert done.out.startswith(f"from backup shop-1 to cluster simulated:\n{CHANGE}")
    back = "kbackup restore plan --from-backup shop-1 --existing-resource-policy update"
    assert done.next == f"Next: {back}"


def test_the_way_back_of_a_copy(changed, simulated):
    """The restore that is named is into the copy, and of no more than was compared."""
    cluster = simulated.connect()
    copy = ("--namespace-mappings", "shop:copy")
    chosen = ("--resources", "cm,roles", "-l", "app!=none")
    done = changed("restore", "create", "--from-backup", "shop-1", *copy, "--yes")
    assert done.code == 0, done.err
    maps = cluster.discover().resolve("configmaps")
    cluster.patch(maps, "settings", {"data": {"currency": "X"}}, namespace="copy")
    cluster.close()

    done = changed(
        "backup", "diff", "shop-1", "--live", "--namespaces", "shop", *copy, *chosen
    )

    assert "shop/settings -> copy/settings" in done.out
    assert done.next.removeprefix(
        "Next: kbackup restore plan --from-backup shop-1 "
    ) == (
        "--include-namespaces shop --include-resources cm,roles "
        "--selector 'app notin (none)' --namespace-mappings shop:copy "
        "--existing-resource-policy update"
    )
    again = changed(*shlex.split(done.next)[2:])
    assert "1 update" in again.out


def test_the_way_back_of_what_is_in_no_namespace(changed, simulated):
    """Of cluster-scoped objects the other policy decides."""
    with simulated.connect() as cluster:
        volumes = cluster.discover().resolve("persistentvolumes")
        cluster.patch(volumes, "pv-orders", {"metadata": {"labels": {"a": "b"}}})

    done = changed("backup", "diff", "shop-1", "--live", "--resources", "pv")

    assert done.next.endswith("--existing-cluster-resource-policy update")
    assert "--existing-resource-policy" not in done.next


def test_json(changed):
    """Programs get one document with the fields."""
    done = changed("backup", "diff", "shop-1", "shop-2", "-o", "json")

    [item] = json.loads(done.out)["changed"]
    assert item["item"] == "configmaps/shop/settings"
    assert item["differences"][0]["to"] == "CHF"


@pytest.mark.parametrize(
    ("arguments", "code"),
    [
        (("shop-1", "shop-2"), 4),
        (("shop-2", "shop-2"), 0),
        (("shop-1", "--live"), 4),
        (("shop-2", "--live"), 0),
        (("shop-1", "shop-2", "--resources", "secrets"), 0),
        (("shop-1", "shop-2", "--resources", "cm", "--namespaces", "shop"), 4),
        (("shop-1", "shop-2", "-l", "no=such"), 0),
    ],
    ids=lambda x: " ".join(x) if isinstance(x, tuple) else None,
)
def test_detailed_exit_code(changed, arguments, code):
    """Asked for, the exit code says whether anything differs."""
    done = changed("backup", "diff", *arguments, "--detailed-exitcode")

    assert done.code == code, done.out + done.err


@pytest.mark.parametrize(
    "flags", [(), ("--detailed-exitcode",)], ids=["plain", "asked"]
)
def test_what_cannot_be_compared(changed, simulated, flags):
    """Where something could not be read the answer is not whole, and the code says so."""
    simulated.faults.forbid(verb="list", resource="secrets")

    done = changed("backup", "diff", "shop-1", "--live", *flags)

    assert done.code == 3
    assert "? secrets/shop/payment: not readable" in done.out


def test_a_copy(restored):
    """A copy under another name is held against its backup."""
    done = restored(
        *("backup", "diff", "shop-1", "--live", "--namespaces", "shop"),
        *("--namespace-mappings", "shop:shop-copy", "--detailed-exitcode"),
    )

    assert done.code == 0, done.out + done.err


@pytest.mark.parametrize("arguments", [(), ("shop-1", "--live")], ids=["none", "both"])
def test_one_other_side(changed, arguments):
    """A second backup or the cluster: one of them, and not both."""
    done = changed("backup", "diff", "shop-1", *arguments)

    assert done.code == 2
    assert "either a second backup or --live" in done.err


@pytest.mark.parametrize("other", ["shop-2", "--live"])
def test_a_slip_of_the_pen(changed, other):
    """A type that neither side has is wrong use, with what may be meant."""
    done = changed("backup", "diff", "shop-1", other, "--resources", "secretz")

    assert done.code == 2
    assert "neither side has a type 'secretz'" in done.err
    assert "secrets" in done.err


def test_no_such_backup(changed):
    """A backup that is not there is named."""
    done = changed("backup", "diff", "shop-1", "shop-9")

    assert done.code == 1
    assert "shop-9" in done.err


@pytest.fixture(name="damaged")
def fixture_damaged(changed, directory):
    """A byte in the middle of the first backup's archive is another one."""
    path = directory / "backups/shop-1/shop-1.tar.gz"
    content = bytearray(path.read_bytes())
    content[len(content) // 2] ^= 0xFF
    path.write_bytes(content)
    return changed


@pytest.mark.parametrize("other", ["shop-2", "--live"])
def test_a_damaged_backup(damaged, other):
    """It is compared only where that is asked for, and the answer is never whole."""
    refused = damaged("backup", "diff", "shop-1", other)
    done = damaged("backup", "diff", "shop-1", other, "--damaged")

    assert refused.code == 1
    assert "backup shop-1: is damaged: " in refused.err
    assert done.code == 3
    assert "backup shop-1 is damaged: " in done.out
    assert "+ " not in done.out


def test_ctrl_c(changed, monkeypatch):
    """Two backups in a slow store are given up at once, with the exit code of a cancel."""
    contents = Archives.contents

    def interrupted(*args, **how):
        os.kill(os.getpid(), signal.SIGINT)
        time.sleep(2)
        return contents(*args, **how)

    monkeypatch.setattr(Archives, "contents", interrupted)

    done = changed("backup", "diff", "shop-1", "shop-2")

    assert done.code == 130
    assert "ending cleanly" in done.err
    assert done.out == ""

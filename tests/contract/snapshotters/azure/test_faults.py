"""What refusals, faults and identities come to where managed disks are asked for."""

from __future__ import annotations

import socket

import pytest

from arm_stub import (
    GROUP,
    SECRET,
    SUBSCRIPTION,
    Answer,
    path_of,
)
from kbackup.errors import (
    NativeSnapshotNotFoundError,
    SnapshotterAccessError,
    SnapshotterError,
    SnapshotterThrottledError,
    SnapshotterUnavailableError,
    VolumeNotFoundError,
)
from kbackup.plugins import VolumeDescription
from kbackup_plugins_azure import open_disk_snapshotter

PREMIUM = VolumeDescription(volume_type="Premium_LRS")
ZONE = "westeurope-2"
TAGS = {"velero.io/backup": "shop-1", "velero.io/pv": "pvc-1"}
SET = path_of("disks", "x").replace("disks/x", "diskEncryptionSets/keys")
CSI = "disk.csi.azure.com"


# --- refusals -------------------------------------------------------------------------


def _forbidden(action):
    said = (
        f"The client '{'0' * 36}' with object id '{'1' * 36}' does not have "
        f"authorization to perform action '{action}' over scope '{'x' * 200}' or the "
        "scope is invalid."
    )
    return Answer.error(403, "AuthorizationFailed", said)


@pytest.mark.parametrize(
    ("method", "action"),
    [
        ("GET", "Microsoft.Compute/disks/read"),
        ("PUT", "Microsoft.Compute/snapshots/write"),
    ],
)
def test_no_permission_for_one_action(arm, snapshotter, disk, method, action):
    """A refusal is told once, with the volume and the action that is not allowed."""
    arm.answers = [(method, _forbidden(action))]

    with pytest.raises(
        SnapshotterAccessError, match=f"{disk}.*{action} is not allowed"
    ) as caught:
        snapshotter.create_snapshot(disk, ZONE, TAGS)

    assert not caught.value.retryable
    assert len(arm.named(method, "disks" if method == "GET" else "snapshots")) == 1


@pytest.mark.parametrize(
    ("status", "code"),
    [
        (401, "ExpiredAuthenticationToken"),
        (403, "RequestDisallowedByPolicy"),
        (403, "LinkedAuthorizationFailed"),
        (404, "SubscriptionNotFound"),
        (409, "ReadOnlyDisabledSubscription"),
        (409, "ScopeLocked"),
    ],
)
def test_refusals(arm, snapshotter, snapshot, status, code):
    """Who may not, may not; nothing counts as gone for that."""
    arm.answers = [("DELETE", Answer.error(status, code, "that is so"))]

    with pytest.raises(SnapshotterAccessError, match=rf"that is so \({code}\)"):
        snapshotter.delete_snapshot(snapshot)


def test_an_operation_that_lacks_a_right(arm, snapshotter, disk):
    """What is refused later is a refusal as well, with its action."""
    said = "does not have permission to perform action(s) 'Microsoft.Compute/x/read'"
    arm.failure = {"code": "LinkedAuthorizationFailed", "message": said}

    with pytest.raises(SnapshotterAccessError, match="x/read is not allowed"):
        snapshotter.create_snapshot(disk, ZONE, TAGS)


def test_a_quota(arm, snapshotter, disk):
    """A limit of Azure's is told; that nothing was made is looked up."""
    refusal = Answer.error(409, "OperationNotAllowed", "exceeding approved quota")
    arm.answers = [("PUT", refusal)]

    with pytest.raises(SnapshotterError, match="approved quota") as caught:
        snapshotter.create_snapshot(disk, ZONE, TAGS)

    assert not caught.value.retryable


def test_no_such_resource_group(arm, opened, disk):
    """It is named, with what to mend; a disk is there all the same."""
    snapshotter = opened(resourceGroup="nowhere")

    with pytest.raises(SnapshotterError, match="'nowhere'") as caught:
        snapshotter.create_snapshot(disk, ZONE, TAGS)
    assert not isinstance(caught.value, VolumeNotFoundError)
    assert "resourceGroup" in caught.value.hint

    elsewhere = path_of("disks", "d", group="nowhere")
    with pytest.raises(VolumeNotFoundError, match="'nowhere'"):
        snapshotter.describe(elsewhere, ZONE)
    snapshotter.delete_snapshot(path_of("snapshots", "s", group="nowhere"))


def test_a_disk_that_vanishes(arm, snapshotter, disk):
    """Between the look at it and its snapshot: it is the volume that is missing."""
    gone = Answer.error(404, "ResourceNotFound", "The Resource was not found.")
    arm.answers = [("PUT", gone)]

    with pytest.raises(VolumeNotFoundError, match=disk):
        snapshotter.create_snapshot(disk, ZONE, TAGS)


def test_not_everything_that_is_not_found_is_gone(arm, snapshotter, snapshot):
    """Somebody else's 404, as of a proxy, does not say that a snapshot is deleted."""
    arm.answers = [("DELETE", Answer(404, "<html>nothing here</html>"))]

    with pytest.raises(SnapshotterError, match="404") as caught:
        snapshotter.delete_snapshot(snapshot)

    assert not isinstance(caught.value, NativeSnapshotNotFoundError)


# --- what passes ----------------------------------------------------------------------


def test_retry_after(arm, patient, disk):
    """As long as the manager asks for is waited before the next attempt."""
    busy = Answer.error(429, "TooManyRequests", "not now", **{"Retry-After": "7"})
    arm.answers = [("GET", busy), ("GET", Answer(503, "<html>busy</html>"))]
    snapshotter, waits = patient()

    snapshotter.describe(disk, ZONE)

    assert waits == [7.0, 0.0]
    assert len(arm.named("GET")) == 3


def test_retry_after_the_time(arm, patient, disk):
    """Who would have to wait for longer than the call may take is told at once."""
    busy = Answer.error(429, "TooManyRequests", "not now", **{"Retry-After": "3600"})
    arm.answers = [("GET", busy)]
    snapshotter, waits = patient()

    with pytest.raises(SnapshotterThrottledError, match="not now") as caught:
        snapshotter.describe(disk, ZONE)

    assert caught.value.retry_after == 3600
    assert waits == []


def test_a_server_that_fails_for_good(arm, patient, disk):
    """After some attempts its failure is told, and later may be better."""
    arm.answers = [("GET", Answer.error(500, "InternalServerError", "oh no"))] * 9
    snapshotter, _ = patient()

    with pytest.raises(SnapshotterUnavailableError, match="oh no") as caught:
        snapshotter.describe(disk, ZONE)

    assert caught.value.retryable
    assert len(arm.named("GET")) == 5


def test_an_answer_that_is_none(arm, patient, disk):
    """What is no JSON is as good as no answer."""
    arm.answers = [("GET", Answer(200, "<html>"))]
    snapshotter, _ = patient()

    assert snapshotter.describe(disk, ZONE) == PREMIUM


def test_a_manager_that_hangs(arm_config):
    """No call takes longer than the location allows."""
    with socket.create_server(("127.0.0.1", 0)) as silent:
        url = f"https://127.0.0.1:{silent.getsockname()[1]}"
        config = arm_config({"AZURE_RESOURCE_MANAGER_ENDPOINT": url})
        snapshotter = open_disk_snapshotter({**config, "requestTimeout": "500ms"})
        with pytest.raises(SnapshotterUnavailableError, match=r"pvc-1.*within"):
            snapshotter.describe("pvc-1", ZONE)


def test_an_authority_that_hangs(arm_config):
    """Nor does a token."""
    with socket.create_server(("127.0.0.1", 0)) as silent:
        url = f"https://127.0.0.1:{silent.getsockname()[1]}"
        config = arm_config(activeDirectoryAuthorityURI=url, requestTimeout="500ms")
        snapshotter = open_disk_snapshotter(config)
        with pytest.raises(SnapshotterUnavailableError, match=r"pvc-1.*within"):
            snapshotter.describe("pvc-1", ZONE)


def test_nobody_answers(arm_config):
    """A manager that is not there is told as such, and later may be better."""
    with socket.socket() as taken:
        taken.bind(("127.0.0.1", 0))
        url = f"https://127.0.0.1:{taken.getsockname()[1]}"
        config = arm_config({"AZURE_RESOURCE_MANAGER_ENDPOINT": url})
        with pytest.raises(SnapshotterUnavailableError) as caught:
            open_disk_snapshotter(config).describe("pvc-1", ZONE)

    assert caught.value.retryable


def test_an_unknown_certificate(arm, snapshotter, disk, monkeypatch):
    """A server that nobody vouches for is not asked again."""
    monkeypatch.delenv("REQUESTS_CA_BUNDLE")

    with pytest.raises(SnapshotterAccessError, match="certificate") as caught:
        snapshotter.describe(disk, ZONE)

    assert not caught.value.retryable
    assert not arm.asked


# --- who asks -------------------------------------------------------------------------


def test_a_password_of_the_machine(arm, snapshotter, disk, tmp_path, monkeypatch):
    """What ``~/.netrc`` has for the server takes the place of no token."""
    netrc = tmp_path / "netrc"
    netrc.write_text("machine 127.0.0.1 login somebody password else\n")
    monkeypatch.setenv("NETRC", str(netrc))

    assert snapshotter.describe(disk, ZONE).volume_type == "Premium_LRS"


def test_a_wrong_secret(arm, arm_config, disk, caplog):
    """What Entra ID says is told; no secret is shown, in an error, a cause or a log."""
    caplog.set_level("DEBUG")
    wrong = "wr0ng~secret"
    snapshotter = open_disk_snapshotter(arm_config({"AZURE_CLIENT_SECRET": wrong}))

    with pytest.raises(SnapshotterAccessError, match="AADSTS7000215") as caught:
        snapshotter.describe(disk, ZONE)

    shown = f"{caught.value} {caught.value!r} {caught.value.__cause__!r} {caplog.text}"
    assert wrong not in shown
    assert wrong not in repr(snapshotter._settings)
    assert not arm.asked


def test_no_token_is_shown(arm, snapshotter, disk, caplog):
    """Neither where all is well nor in a refusal."""
    caplog.set_level("DEBUG")
    snapshotter.describe(disk, ZONE)
    arm.answers = [("GET", _forbidden("Microsoft.Compute/disks/read"))]
    with pytest.raises(SnapshotterAccessError) as caught:
        snapshotter.describe(disk, ZONE)

    shown = f"{caught.value!r} {caught.value.__cause__!r} {caplog.text}"
    assert "eyJ" not in shown
    assert SECRET not in shown


def test_a_busy_authority(arm, snapshotter, disk):
    """A token that is not to be had now may be later."""
    arm.answers = [("token", Answer(503, {"error": "temporarily_unavailable"}))] * 99

    with pytest.raises(SnapshotterError) as caught:
        snapshotter.describe(disk, ZONE)

    assert caught.value.retryable


def test_a_workload_identity(arm, arm_config, disk, tmp_path):
    """The token of a service account asks in place of a secret."""
    token = tmp_path / "token"
    token.write_text("eyJ.service-account")
    lines = {"AZURE_CLIENT_SECRET": "", "AZURE_FEDERATED_TOKEN_FILE": str(token)}

    snapshotter = open_disk_snapshotter(arm_config(lines))
    assert snapshotter.describe(disk, ZONE) == PREMIUM

    assert arm.tokens[0]["client_assertion"] == "eyJ.service-account"
    snapshotter.close()


def test_the_environment(arm, disk, monkeypatch):
    """Without a credentials file its lines are variables of the environment."""
    for name, text in {
        "AZURE_TENANT_ID": "33333333-3333-3333-3333-333333333333",
        "AZURE_CLIENT_ID": "55555555-5555-5555-5555-555555555555",
        "AZURE_CLIENT_SECRET": SECRET,
        "AZURE_SUBSCRIPTION_ID": SUBSCRIPTION,
        "AZURE_RESOURCE_GROUP": GROUP,
        "AZURE_RESOURCE_MANAGER_ENDPOINT": arm.url,
    }.items():
        monkeypatch.setenv(name, text)

    snapshotter = open_disk_snapshotter({"activeDirectoryAuthorityURI": arm.url})
    assert snapshotter.describe(disk, ZONE) == PREMIUM

    assert arm.tokens[0]["client_id"] == "55555555-5555-5555-5555-555555555555"
    snapshotter.close()

"""Tokens of ServiceAccounts are left to the target; other Secrets are untouched."""

import pytest

from kbackup.actions._restore_secret import SecretAction
from kbackup.models import RestoreSpec
from kbackup.testing import restore_input

ACCOUNT = {"kubernetes.io/service-account.name": "web"}
UID = {"kubernetes.io/service-account.uid": "u-1"}
FILLED = {"token": "eA==", "ca.crt": "eA=="}
NAMESPACE = {"namespace": "c2hvcA=="}
TOKEN = "kubernetes.io/service-account-token"


def secret(name, annotations, data, kind=TOKEN):
    """A Secret, of the token type unless told otherwise."""
    return {
        "apiVersion": "v1",
        "kind": "Secret",
        "metadata": {"name": name, "namespace": "shop", "annotations": annotations},
        "type": kind,
        "data": data,
    }


def execute(item, **mapping):
    """What the action answers under a namespace mapping."""
    spec = RestoreSpec(backup_name="nightly", namespace_mapping=mapping)
    return SecretAction().execute(restore_input("secrets", item, spec=spec))


def test_generated_tokens_are_skipped():
    """A token named as the controller names them is not restored, and it is said why."""
    output = execute(secret("web-token-x1x2x", {**ACCOUNT, **UID}, FILLED))

    assert output.skip == "token generated for ServiceAccount/web"


@pytest.mark.parametrize("name", ["web-token-jenkins", "web-token-abcde"])
def test_a_token_that_only_looks_generated(name):
    """A user's token Secret is restored though its name begins as generated ones do."""
    output = execute(secret(name, ACCOUNT, FILLED))

    assert output.skip == ""
    assert output.item == secret(name, ACCOUNT, {})


def test_tokens_on_request_are_emptied():
    """A token that a user asked for is restored empty, for the target to fill."""
    item = secret(
        "ci", {**ACCOUNT, **UID, "mine": "x"}, {**FILLED, **NAMESPACE, "a": "b"}
    )

    output = execute(item)

    assert output.skip == ""
    assert output.item == secret(
        "ci", {**ACCOUNT, "mine": "x"}, {**NAMESPACE, "a": "b"}
    )


def test_token_in_another_namespace():
    """Under another namespace the token's note of the old one goes as well."""
    output = execute(secret("ci", ACCOUNT, {**FILLED, **NAMESPACE}), shop="copy")

    assert output.item == secret("ci", ACCOUNT, {})


def test_other_secrets_are_untouched():
    """A Secret of another type is restored as it is, whatever its keys and name."""
    item = secret("web-token-x1x2x", UID, FILLED, kind="Opaque")

    output = execute(item)

    assert output.item == item
    assert output.skip == ""

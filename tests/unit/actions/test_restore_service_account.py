"""ServiceAccounts are restored without the token that the source made."""

import pytest

from kbackup.actions._restore_service_account import ServiceAccountAction
from kbackup.testing import restore_input


def account(*secrets):
    """A ServiceAccount with these Secrets."""
    item = {
        "apiVersion": "v1",
        "kind": "ServiceAccount",
        "metadata": {"name": "web", "namespace": "shop"},
        "imagePullSecrets": [{"name": "web-token-pull"}],
    }
    return {**item, "secrets": [{"name": n} for n in secrets]} if secrets else item


@pytest.mark.parametrize(
    ("before", "after"),
    [
        (["pull", "web-token-x1x2x"], ["pull"]),
        (["web-token-x1x2x"], []),
        (
            ["web-token-a", "web-token-b", "web-dockercfg"],
            ["web-token-a", "web-dockercfg"],
        ),
        (["web2-token-x", "token"], ["web2-token-x", "token"]),
        ([], []),
    ],
)
def test_last_generated_token_goes(before, after):
    """The last entry named like a generated token is dropped, no other."""
    given = restore_input("serviceaccounts", account(*before))

    assert ServiceAccountAction().execute(given).item == account(*after)

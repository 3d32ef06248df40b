"""Restore Secrets that hold tokens of ServiceAccounts so that the target fills them."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from kbackup._kits.edit import without
from kbackup._kits.service_tokens import ACCOUNT_UID, generated_for, is_token
from kbackup.models import ResourceSelector
from kbackup.plugins import RestoreInput, RestoreOutput


class SecretAction:
    """Leave tokens to the target's token controller (``velero.io/secret``).

    A token signed by the source is worth nothing in the target, and a Secret that names
    the uid of an account of the source is deleted by the controller at once.
    """

    name = "velero.io/secret"
    applies_to = ResourceSelector(included_resources=("secrets",))

    def concerns(self, item: Mapping[str, Any]) -> bool:
        """Tell whether `execute` would do anything: of most Secrets it would not."""
        return is_token(item)

    def execute(self, given: RestoreInput) -> RestoreOutput:
        """Skip a generated token; empty one that a user asked for.

        Velero asks the target whether the account exists. The answer would change while
        the restore makes the account, and without the account the controller deletes the
        Secret: so the name alone decides here.
        """
        item = given.item
        if not is_token(item):
            return RestoreOutput(item=item)
        if account := generated_for(item):
            return RestoreOutput(
                item=item, skip=f"token generated for ServiceAccount/{account}"
            )
        item = without(item, ("metadata", "annotations"), (ACCOUNT_UID,))
        filled = ["token", "ca.crt"]
        if given.identifier.namespace in given.restore.spec.namespace_mapping:
            filled.append("namespace")  # the controller fills it where it is absent
        return RestoreOutput(item=without(item, ("data",), filled))

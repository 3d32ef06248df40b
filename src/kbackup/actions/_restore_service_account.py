"""Restore ServiceAccounts without the token that the source made for them."""

from __future__ import annotations

from kbackup._kits.edit import JSONObject, with_list
from kbackup._kits.nested import objects_at, text_at
from kbackup.models import ResourceSelector
from kbackup.plugins import RestoreInput, RestoreOutput


class ServiceAccountAction:
    """Drop the generated token from ``secrets`` (``velero.io/service-account``).

    The target makes a new one where its version still does. Of several entries that
    look generated only the last is: it is the one that the source appended.
    """

    name = "velero.io/service-account"
    applies_to = ResourceSelector(included_resources=("serviceaccounts",))

    def concerns(self, item: JSONObject) -> bool:
        """Tell whether `execute` may do anything: since 1.24 accounts name no token."""
        return bool(item.get("secrets"))

    def execute(self, given: RestoreInput) -> RestoreOutput:
        """Drop one entry named ``<account>-token-...``, the last."""
        secrets = objects_at(given.item, "secrets")
        prefix = f"{given.identifier.name}-token-"
        generated = [
            index
            for index, secret in enumerate(secrets)
            if text_at(secret, "name").startswith(prefix)
        ]
        if not generated:
            return RestoreOutput(item=given.item)
        del secrets[generated[-1]]
        return RestoreOutput(item=with_list(given.item, ("secrets",), secrets))

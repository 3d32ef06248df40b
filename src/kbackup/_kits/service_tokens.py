"""Secrets that hold tokens of ServiceAccounts: which they are, and who made them.

Until Kubernetes 1.24 a controller made one for every account. Users make them, too.
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from typing import Any

from kbackup._kits.kinds import is_of

TOKEN_TYPE = "kubernetes.io/service-account-token"  # noqa: S105 - the name of a type
ACCOUNT = "kubernetes.io/service-account.name"
ACCOUNT_UID = "kubernetes.io/service-account.uid"
# What the control plane notes on them: the day of the last use, and since when one that
# nobody used any more is refused.
TOKEN_NOTES = (
    "kubernetes.io/legacy-token-last-used",
    "kubernetes.io/legacy-token-invalid-since",
)

# What the API server draws names from: no vowels, and nothing that reads as one. Its
# first versions drew from all digits.
_GENERATED = re.compile(r"-[bcdfghjklmnpqrstvwxz0-9]{5}")


def is_token(item: Mapping[str, Any]) -> bool:
    """Whether an object is a Secret with a token."""
    return item.get("type") == TOKEN_TYPE and is_of(item, ("", "Secret"))


def generated_for(secret: Mapping[str, Any]) -> str:
    """The account for which a controller made a token Secret; empty: a user made it."""
    metadata = secret.get("metadata") or {}
    account = (metadata.get("annotations") or {}).get(ACCOUNT, "")
    made = account and is_generated_name(metadata.get("name", ""), f"{account}-token-")
    return account if made else ""


def is_generated_name(name: str, *prefixes: str) -> bool:
    """Whether a name is one of *prefixes*, with their ``-``, and five random signs."""
    return name.startswith(prefixes) and _GENERATED.fullmatch(name[-6:]) is not None

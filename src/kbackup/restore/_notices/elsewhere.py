"""Whether an item names one of the namespaces that a restore copies from.

Such a copy works, and reaches into its original: it writes to the original's database,
or is let in where the original is. Pure, and only of what means a namespace beyond
doubt: fields that are called so, names of Services, accounts, arguments. What stands in
Secrets is not looked at, nor is what other places call the namespace.
"""

import re
from collections.abc import Iterable, Mapping
from typing import Any

from kbackup._kits.normalise import METADATA_NAME

# Its metadata is moved with it, the server keeps the others.
_NOT_LOOKED_AT = frozenset({"apiVersion", "kind", "metadata", "status"})
# An action maps the subjects of bindings, the engine the claim of a volume.
_MAPPED = frozenset({"subjects", "claimRef"})
_ABOUT = ("namespace", "namespaces")


class Elsewhere:
    """Finds the names of some namespaces in items that are restored under others.

    Args:
        namespaces: Those that are copied from; of none nothing is found.
    """

    def __init__(self, namespaces: Iterable[str]) -> None:
        self._namespaces = frozenset(namespaces)
        self._letters = tuple(name.encode() for name in self._namespaces)
        # How often each of them stands in the name of a namespace of the target.
        self._own: dict[str, list[tuple[bytes, int]]] = {}
        names = "|".join(map(re.escape, sorted(self._namespaces)))
        self._text = re.compile(
            rf"(?:\.(?:{names})\.svc"
            rf"|system:serviceaccounts?:(?:{names})"
            rf"""|namespaces?["']?\s*[:=]~?\s*["']?(?:{names}))(?![\w-])""",
            re.IGNORECASE,
        )

    def is_named_in(
        self, content: Mapping[str, Any], namespace: str, body: bytes | None
    ) -> bool:
        """Whether an item, as it would be written, names one of them.

        Args:
            content: The item.
            namespace: Where it is written.
            body: The item as JSON; None: nobody has it.
        """
        if not self._namespaces or content.get("kind") == "Secret":
            return False
        if body is not None and not self._is_spelt_in(body, namespace):
            return False
        return any(
            self._is_pair(key, value)
            for key, value in content.items()
            if key not in _NOT_LOOKED_AT
        )

    def _is_spelt_in(self, body: bytes, namespace: str) -> bool:
        """Whether the letters of one stand anywhere but in the item's own namespace."""
        own = self._own.get(namespace)
        if own is None:
            place = namespace.encode()
            own = [(name, place.count(name)) for name in self._letters]
            self._own[namespace] = own
        for name, times in own:  # noqa: SIM110 - of every item: a generator takes longer
            if body.count(name) > times:
                return True
        return False

    def _is_pair(self, key: str, value: Any) -> bool:
        if key in _MAPPED:
            return self._is_in_text(value)
        if key == METADATA_NAME or key.lower().endswith(_ABOUT):
            return self._is_one(value) or self._is_in(value)
        return self._is_in(value)

    def _is_one(self, value: Any) -> bool:
        if isinstance(value, list):
            return any(map(self._is_one, value))
        return isinstance(value, str) and value in self._namespaces

    def _is_in(self, value: Any) -> bool:
        if isinstance(value, str):
            # First what is fast: a ConfigMap may have a megabyte.
            named = any(name in value for name in self._namespaces)
            return named and self._text.search(value) is not None
        if isinstance(value, list):
            return any(map(self._is_in, value))
        if not isinstance(value, Mapping):
            return False
        if self._is_term(value):
            return True
        return any(self._is_pair(key, inner) for key, inner in value.items())

    def _is_in_text(self, value: Any) -> bool:
        """As `_is_in`, but that a field of its own may name them."""
        if isinstance(value, list):
            return any(map(self._is_in_text, value))
        values = value.values() if isinstance(value, Mapping) else (value,)
        return any(isinstance(x, str) and self._is_in(x) for x in values)

    def _is_term(self, value: Mapping[str, Any]) -> bool:
        """Whether two fields say it: a variable, or an expression of a selector."""
        name = str(value.get("name", "")).lower()
        if name.endswith(_ABOUT) and self._is_one(value.get("value")):
            return True
        return value.get("key") == METADATA_NAME and self._is_one(value.get("values"))

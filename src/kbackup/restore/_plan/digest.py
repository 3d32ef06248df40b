"""The digest of a saved plan: is the document still the one that was written?

It finds what was edited, cut or merged by mistake; whoever means to change a plan can
make the digest of the changed one as well. Called where documents are written and read.
"""

import hashlib
import json
from collections.abc import Mapping
from typing import Any

import msgspec

ALGORITHM = "sha256:"
DIGEST_KEY = "digest"


def plan_digest(document: Mapping[str, Any]) -> str:
    """Return the digest of all of a document but its own ``digest``.

    Of keys that this version does not know as well: a later one may have added them.
    The bytes are the JSON in UTF-8 with sorted keys and without white space, so that
    neither the order of the keys nor the layout of a file matters.

    Raises:
        TypeError: Something in it is no JSON value.
        RecursionError: It is nested too deeply.
    """
    content = {key: value for key, value in document.items() if key != DIGEST_KEY}
    return ALGORITHM + hashlib.sha256(_canonical(content)).hexdigest()


def _canonical(content: dict[str, Any]) -> bytes:
    try:
        return msgspec.json.encode(content, order="sorted")
    except UnicodeEncodeError:  # a lone surrogate, as a plugin's reason may have
        return json.dumps(content, sort_keys=True, separators=(",", ":")).encode()

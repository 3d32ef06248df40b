"""Velero's resource modifiers, from their text to the model.

Every leaf of the document is a text. As Velero does, a number or a truth without quotes
is taken for the text that it is written as: ``value: 3`` is ``value: "3"``.
"""

from __future__ import annotations

import hashlib
import json
import os
from pathlib import Path
from typing import Any

import msgspec

from kbackup.errors import CodecError, InvalidSpecError
from kbackup.models._codec import from_json, to_json
from kbackup.models._converters import type_of
from kbackup.models._policies import ResourceModifierRule, ResourceModifiers
from kbackup.models._yaml import load_yaml


def read_modifiers(text: str) -> ResourceModifiers:
    """Make the model of its YAML.

    Raises:
        CodecError: It is no such document.
        InvalidSpecError: With each rule that is none, by its number from 1.
    """
    document = load_yaml(text)
    if not isinstance(document, dict):
        raise CodecError("", "an object with resourceModifierRules", type_of(document))
    rules, broken = document.get("resourceModifierRules"), []
    for number, rule in enumerate(rules if isinstance(rules, list) else (), 1):
        try:
            from_json(ResourceModifierRule, _as_texts(rule, ""))
        except CodecError as exc:
            broken.append(f"resource modifier rule {number}: {exc}")
    if broken:
        raise InvalidSpecError(broken)
    return from_json(ResourceModifiers, _as_texts(document, ""))


def read_modifiers_file(path: str | os.PathLike[str]) -> ResourceModifiers:
    """Make the model of a file; see `read_modifiers`."""
    try:
        return read_modifiers(Path(path).read_text(encoding="utf-8"))
    except CodecError as exc:
        raise CodecError(f"{path}: {exc.path}", exc.expected, exc.got) from exc
    except InvalidSpecError as exc:
        raise InvalidSpecError([f"{path}: {rule}" for rule in exc.violations]) from exc
    except UnicodeDecodeError as exc:
        raise CodecError(str(path), "text in UTF-8", "other bytes") from exc


def digest_of(modifiers: ResourceModifiers) -> str:
    """Return the SHA-256 of what the rules say."""
    content = msgspec.json.encode(to_json(modifiers), order="sorted")
    return f"sha256:{hashlib.sha256(content).hexdigest()}"


def _as_texts(value: Any, path: str) -> Any:
    """Write the numbers and truths in a document as text.

    Raises:
        CodecError: A value is null: Velero takes that for an empty text, and who writes
            it means null.
    """
    if isinstance(value, dict):
        return {
            key: _as_texts(inner, f"{path}.{key}" if path else key)
            for key, inner in value.items()
        }
    if isinstance(value, list):
        return [_as_texts(inner, f"{path}[{i}]") for i, inner in enumerate(value)]
    if value is None and path.endswith(".value"):
        raise CodecError(path, 'a text, "null" or "" in quotes', "null")
    return json.dumps(value) if isinstance(value, bool | int | float) else value

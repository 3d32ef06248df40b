"""YAML in and out: the one loader and the one dumper.

The loader is PyYAML's C parser with less: no timestamps, no ``yes`` and ``on``, no
numbers to the base of 60, no tags but JSON's, no key twice, few aliases, bounded depth.
What it returns could have been JSON. The dumper quotes whatever any YAML reader, of
1.1 or 1.2, might take for something else than text.
"""

from __future__ import annotations

import re
from collections.abc import Hashable, Iterator
from typing import Any, TypeVar

import yaml

from kbackup.errors import CodecError
from kbackup.models._codec import from_json, to_json
from kbackup.models._converters import type_of
from kbackup.models._model import Model

_M = TypeVar("_M", bound=Model)

_DEEPEST = 100
_LARGEST = 1_000_000  # values, each alias counted as what it stands for

# libyaml is in every wheel; where PyYAML was built without it, its Python code serves.
_Parser: Any = getattr(yaml, "CSafeLoader", yaml.SafeLoader)
_Emitter: Any = getattr(yaml, "CSafeDumper", yaml.SafeDumper)

_TAG = "tag:yaml.org,2002:"
_BOOLEAN = re.compile(r"true|True|TRUE|false|False|FALSE")
_NULL = re.compile(r"~|null|Null|NULL|")
_INTEGER = re.compile(r"[-+]?(?:0b[01_]+|0o?[0-7_]+|0x[0-9a-fA-F_]+|0|[1-9][0-9_]*)")
_FLOAT = re.compile(
    r"[-+]?(?:[0-9][0-9_]*\.[0-9_]*|\.[0-9][0-9_]*)(?:[eE][-+]?[0-9]+)?"
)
# Text that some reader resolves: YAML 1.2's and Go's numbers, 1.1's words and times.
_RISKY = re.compile(
    r"[-+.0-9].*|[yY]|[nN]|yes|Yes|YES|no|No|NO|on|On|ON|off|Off|OFF|=|<<"
)


def load_yaml(text: str) -> Any:
    """Return the one document in *text* as JSON values; None where there is none.

    Raises:
        CodecError: *text* is no YAML that could have been JSON, or several documents.
    """
    documents = list(_documents(text))
    if len(documents) > 1:
        raise CodecError("", "one YAML document", f"{len(documents)}")
    return documents[0] if documents else None


def load_all_yaml(text: str) -> list[Any]:
    """Return every document in *text* that says something, as JSON values.

    Raises:
        CodecError: *text* is no YAML that could have been JSON.
    """
    return [document for document in _documents(text) if document is not None]


def load_objects(text: str, cls: type[_M]) -> list[_M]:
    """Return the objects in *text*: any number of documents, lists of kind List too.

    Raises:
        CodecError: A document is no YAML or JSON, or not what the model says.
    """
    return [
        from_json(cls, data)
        for document in load_all_yaml(text)
        for data in _items(document)
    ]


def dump_yaml(value: Any) -> str:
    """Write a model, plain JSON values, or lists of them, as one YAML document.

    Raises:
        CodecError: A field holds what no document can.
    """
    try:
        text: str = yaml.dump(
            to_json(value),
            Dumper=_Dumper,
            sort_keys=False,
            allow_unicode=True,
            default_flow_style=False,
        )
    except RecursionError as exc:
        raise CodecError("", "what YAML can hold", "values nested too deeply") from exc
    return text


def _items(document: Any) -> list[Any]:
    """Return the elements of a list object, else the document itself."""
    if isinstance(document, dict) and str(document.get("kind", "")).endswith("List"):
        items = document.get("items")
        if not isinstance(items, list):
            raise CodecError("items", "a list", type_of(items))
        return items
    return [document]


def _documents(text: str) -> Iterator[Any]:
    try:
        _check_size(text)
        yield from yaml.load_all(text, Loader=_Loader)
    except yaml.YAMLError as exc:
        raise CodecError(_place(exc), "YAML", f"none: {_problem(exc)}") from exc


# --- how large it would become --------------------------------------------------------


def _check_size(text: str) -> None:
    """Refuse what nests too deep or, its aliases expanded, is too large.

    The parser's events come one by one, without recursion and without building what
    they describe.
    """
    sizes: dict[str, int] = {}  # by anchor
    open_collections: list[tuple[str | None, int]] = [
        (None, 0)
    ]  # anchor, values so far
    for event in yaml.parse(text, Loader=_Parser):
        if isinstance(event, yaml.CollectionStartEvent):
            open_collections.append((event.anchor, 1))
            if len(open_collections) > _DEEPEST:
                raise CodecError(_line(event), f"at most {_DEEPEST} levels", "more")
            continue
        if isinstance(event, yaml.CollectionEndEvent):
            anchor, size = open_collections.pop()
        elif isinstance(event, yaml.AliasEvent):
            if event.anchor not in sizes:
                raise CodecError(_line(event), "an alias of what ended before", "none")
            anchor, size = None, sizes[event.anchor]
        elif isinstance(event, yaml.ScalarEvent):
            anchor, size = event.anchor, 1
        else:
            continue
        if anchor is not None:
            sizes[anchor] = size
        around, so_far = open_collections.pop()
        open_collections.append((around, so_far + size))
        if so_far + size > _LARGEST:
            raise CodecError(_line(event), f"at most {_LARGEST:,} values", "more")


# --- the loader -----------------------------------------------------------------------


class _Loader(_Parser):  # type: ignore[misc] # Any: with or without libyaml
    """Builds JSON values and nothing else."""

    # Not those that are inherited: our own, filled below.
    yaml_implicit_resolvers: dict[Any, Any] = {}  # noqa: RUF012 - PyYAML's protocol
    yaml_constructors: dict[Any, Any] = {}  # noqa: RUF012 - PyYAML's protocol
    yaml_multi_constructors: dict[Any, Any] = {}  # noqa: RUF012 - PyYAML's protocol

    def construct_mapping(
        self,
        node: yaml.MappingNode,
        deep: bool = False,  # noqa: FBT001, FBT002 - alike
    ) -> dict[Hashable, Any]:
        """Build an object; its keys are texts, each there once."""
        del deep  # always: nothing here refers to itself
        _check_keys(node, once=True)
        self.flatten_mapping(node)
        _check_keys(node)  # those that were merged in as well
        return {
            key.value: self.construct_object(value, deep=True)
            for key, value in node.value
        }


def _check_keys(node: yaml.MappingNode, *, once: bool = False) -> None:
    """Refuse keys that are no text as they are written or, with *once*, come twice."""
    if not isinstance(node, yaml.MappingNode):
        raise CodecError(_line(node), "an object", "something else")
    seen: set[str] = set()
    for key, _ in node.value:
        if not isinstance(key, yaml.ScalarNode) or key.tag == f"{_TAG}null":
            raise CodecError(_line(key), "a text as key", "something else")
        if once and key.value in seen:
            raise CodecError(_line(key), "each key once", f'"{key.value}" twice')
        seen.add(key.value)


def _integer(loader: Any, node: yaml.ScalarNode) -> int:
    text = loader.construct_scalar(node).replace("_", "")
    if not _INTEGER.fullmatch(text):
        raise CodecError(_line(node), "an integer", f'"{text}"')
    sign, digits = (-1, text[1:]) if text[0] == "-" else (1, text.lstrip("+"))
    if re.fullmatch("0[0-7]+", digits):  # as in YAML 1.1, and in file modes
        digits = f"0o{digits}"
    return sign * int(digits, 0)


def _float(loader: Any, node: yaml.ScalarNode) -> float:
    text = loader.construct_scalar(node).replace("_", "")
    try:
        return float(text)
    except ValueError as exc:
        raise CodecError(_line(node), "a number", f'"{text}"') from exc


def _boolean(loader: Any, node: yaml.ScalarNode) -> bool:
    text = loader.construct_scalar(node)
    if not _BOOLEAN.fullmatch(text):
        raise CodecError(_line(node), "true or false", f'"{text}"')
    return bool(text.lower() == "true")


def _null(loader: Any, node: yaml.ScalarNode) -> None:
    text = loader.construct_scalar(node)
    if not _NULL.fullmatch(text):
        raise CodecError(_line(node), "null", f'"{text}"')


def _unknown_tag(loader: Any, node: yaml.Node) -> None:
    del loader
    raise CodecError(_line(node), "no tag beyond JSON's", node.tag)


def _teach_loader() -> None:
    for kind, pattern, first in (
        ("bool", _BOOLEAN, "tTfF"),
        ("null", _NULL, ["~", "n", "N", ""]),
        ("int", _INTEGER, "-+0123456789"),
        ("float", _FLOAT, "-+.0123456789"),
        ("merge", re.compile("<<"), "<"),
    ):
        anchored = re.compile(rf"(?:{pattern.pattern})\Z")
        _Loader.add_implicit_resolver(f"{_TAG}{kind}", anchored, list(first))
    for kind, construct in (
        ("bool", _boolean),
        ("null", _null),
        ("int", _integer),
        ("float", _float),
        ("str", lambda loader, node: loader.construct_scalar(node)),
        ("seq", lambda loader, node: loader.construct_sequence(node, deep=True)),
        ("map", lambda loader, node: loader.construct_mapping(node)),
    ):
        _Loader.add_constructor(f"{_TAG}{kind}", construct)
    _Loader.add_constructor(None, _unknown_tag)


_teach_loader()


# --- the dumper -----------------------------------------------------------------------


class _Dumper(_Emitter):  # type: ignore[misc] # Any: with or without libyaml
    """Writes plainly, without anchors, and quotes what could be misread."""

    def ignore_aliases(self, data: Any) -> bool:
        """Write everything out; a reader may not know anchors."""
        del data
        return True


def _text(dumper: Any, text: str) -> yaml.ScalarNode:
    lines = text.split("\n")
    if not all(line.isprintable() for line in lines) or _RISKY.fullmatch(text):
        style: str | None = '"'
    else:
        style = "|" if len(lines) > 1 else None  # where the emitter can
    node: yaml.ScalarNode = dumper.represent_scalar(f"{_TAG}str", text, style=style)
    return node


_Dumper.add_representer(str, _text)


# --- words ----------------------------------------------------------------------------


def _line(where: Any) -> str:
    mark = where.start_mark
    return f"line {mark.line + 1}, column {mark.column + 1}"


def _place(error: yaml.YAMLError) -> str:
    mark = getattr(error, "problem_mark", None)
    return f"line {mark.line + 1}, column {mark.column + 1}" if mark else ""


def _problem(error: yaml.YAMLError) -> str:
    return getattr(error, "problem", None) or " ".join(str(error).split())

"""Gives the API pages the signatures that attrs and msgspec make.

The pages are read from the source, where such a class has fields and no ``__init__``. Names
and defaults are asked of the class itself, types of its source.
"""

import ast
import inspect
from collections.abc import Iterator
from importlib import import_module
from operator import attrgetter

import attrs
import griffe
import msgspec


class AttrsSignatures(griffe.Extension):
    """An extension of griffe: adds an ``__init__`` to classes whose decorator makes one."""

    def on_package(self, *, pkg: griffe.Module, **_: object) -> None:
        """Go through a package that was read."""
        for found in classes(pkg):
            made = class_of(found)
            if attrs.has(made) or issubclass(made, msgspec.Struct):
                add_signature(found, made)


def classes(place: griffe.Module | griffe.Class) -> Iterator[griffe.Class]:
    """All classes that are defined in a place and below."""
    for member in list(place.members.values()):
        if member.is_alias or not (member.is_class or member.is_module):
            continue
        if member.is_class:
            yield member
        yield from classes(member)


def class_of(found: griffe.Class) -> type:
    """The class itself."""
    module = found.module.path
    return attrgetter(found.path.removeprefix(f"{module}."))(import_module(module))


def add_signature(found: griffe.Class, made: type) -> None:
    """Add what calls of *made* take, unless the source says it."""
    if "__init__" in found.members:
        return
    parameters = [
        griffe.Parameter(
            parameter.name,
            annotation=annotation(found, made, parameter.name),
            kind=griffe.ParameterKind(parameter.kind.description),
            default=default(parameter),
        )
        for parameter in inspect.signature(made).parameters.values()
    ]
    method = griffe.Function("__init__", parameters=griffe.Parameters(*parameters))
    found.set_member("__init__", method)


def annotation(found: griffe.Class, made: type, name: str) -> str | griffe.Expr | None:
    """The type of a field, from the class of the source that has it."""
    for base in made.__mro__:
        path = f"{base.__module__}.{base.__qualname__}"
        if not path.startswith("kbackup."):
            continue
        members = found.modules_collection[path].members
        field = members.get(name) or members.get(f"_{name}")
        if field is not None:
            return field.annotation
    return None


def default(parameter: inspect.Parameter) -> str | None:
    """A default as it would be written; ``...`` where it cannot be, or is made anew."""
    if parameter.default is parameter.empty:
        return None
    if parameter.default in (attrs.NOTHING, msgspec.NODEFAULT):
        return "..."
    try:
        ast.parse(repr(parameter.default), mode="eval")
    except SyntaxError:
        return "..."
    return repr(parameter.default)

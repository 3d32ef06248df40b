"""What a restore was asked for beyond the defaults, in a line or two for a plan's head.

Who approves a plan reads there which part of the backup it takes, under which names, and
what is done to it. Pure.
"""

from collections.abc import Iterable, Iterator, Mapping
from typing import Any

from kbackup._kits.words import first_few
from kbackup.models import RestoreOptions, RestoreSpec, RestoreStatusSpec
from kbackup.restore._request.settings import settings_lines

_EVERYTHING = ((), ("*",))
# How a restore is done, not what it writes: whoever completes a killed one may want it
# slower, or checked. What is not named here, new options too, makes another restore.
_MANNER = frozenset(
    {
        "deadline",
        "expect_cluster",
        "max_in_flight",
        "priorities",
        "redact",
        "validate",
    }
)


def given_options(options: RestoreOptions) -> dict[str, Any]:
    """The options that are not as they are by default, as plain JSON."""
    defaults = RestoreOptions().to_record()
    record = options.to_record()
    return {key: value for key, value in record.items() if value != defaults[key]}


def deciding_options(options: RestoreOptions) -> dict[str, Any]:
    """Those of them that decide what is written.

    Defaults are left out: options that a later version adds change no restore's uid.
    """
    given = given_options(options)
    return {key: value for key, value in given.items() if key not in _MANNER}


def asked_lines(
    spec: RestoreSpec, options: RestoreOptions, sources: Mapping[str, str] | None = None
) -> list[str]:
    """The lines of a plan's head that say what was asked for; none: nothing special.

    Args:
        spec: The specification.
        options: With the settings of item actions.
        sources: The ConfigMaps that some of those are of.
    """
    selected, how = "; ".join(_selected(spec)), "; ".join(_how(spec, options))
    settings = settings_lines(options.action_settings, sources or {})
    lines = [line for line in (selected, how, *settings) if line]
    return [
        f"{'' if number else 'asked':<10}{line}" for number, line in enumerate(lines)
    ]


def _selected(spec: RestoreSpec) -> Iterator[str]:
    """Which part of the backup, and under which names."""
    if renamed := [f"{a} -> {b}" for a, b in spec.namespace_mapping.items()]:
        yield f"namespaces {first_few(renamed)}"
    yield from _names("namespaces", spec.included_namespaces, spec.excluded_namespaces)
    yield from _names("types", spec.included_resources, spec.excluded_resources)
    if spec.include_cluster_resources is not None:
        yield f"cluster-scoped objects {_yes(spec.include_cluster_resources)}"
    selectors = [spec.label_selector] if spec.label_selector else []
    if queries := [x.to_query() for x in (*selectors, *spec.or_label_selectors)]:
        yield f"only labelled {' or '.join(queries)}"


def _how(spec: RestoreSpec, options: RestoreOptions) -> Iterator[str]:
    """What is done about it."""
    if spec.existing_resource_policy is not None:
        yield f"existing resource policy {spec.existing_resource_policy}"
    if spec.restore_pvs is not None:
        yield f"volumes {_yes(spec.restore_pvs)}"
    if spec.preserve_node_ports is not None:
        yield f"preserve node ports {_yes(spec.preserve_node_ports)}"
    if spec.restore_status is not None:
        yield f"status {_status(spec.restore_status)}"
    if hooks := [entry.name for entry in spec.hooks.resources]:
        yield f"hooks {first_few(hooks)}"
    for name, value in deciding_options(options).items():
        if name == "resource_modifiers":
            continue  # the head says it of those of a ConfigMap as well
        if name == "action_settings":
            continue  # each has a line of its own
        yield f"{name.replace('_', ' ')} {_text(value)}"


def _names(
    what: str, included: tuple[str, ...], excluded: tuple[str, ...]
) -> Iterator[str]:
    if included not in _EVERYTHING:
        yield f"only {what} {first_few(included)}"
    if excluded:
        yield f"without {what} {first_few(excluded)}"


def _status(asked: RestoreStatusSpec) -> str:
    """Whose status is restored."""
    named = asked.included_resources
    types = "all types" if named in _EVERYTHING else first_few(named)
    left_out = asked.excluded_resources
    return f"of {types}{f' but {first_few(left_out)}' if left_out else ''}"


def _text(value: Any) -> str:
    if isinstance(value, bool):
        return _yes(value)
    if isinstance(value, Mapping):
        pairs = [
            f"{name}={given if isinstance(given, str) else ','.join(given)}"
            for name, given in value.items()
        ]
        between = "; " if any("," in pair for pair in pairs) else ", "
        return between.join(pairs) or "none"
    is_list = isinstance(value, Iterable) and not isinstance(value, str)
    return ", ".join(map(str, value)) if is_list else str(value)


def _yes(value: bool) -> str:  # noqa: FBT001 - the value itself
    return "yes" if value else "no"

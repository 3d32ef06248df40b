"""``kbackup plugin new``: a plugin as a whole project, to be changed into one's own."""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping
from importlib.resources import files
from pathlib import Path

import attrs
import click

from kbackup.cli._options import global_options
from kbackup.cli._output import document, echo, print_document, say_next
from kbackup.cli._session import Session
from kbackup.errors import InvalidConfigError
from kbackup.models import is_dns_subdomain


@attrs.frozen
class _Kind:
    """A family, in words.

    Attributes:
        offer: What the project offers.
        does: What the code that it starts with does.
        try_out: The options with which it is checked.
        before: A command that makes what it is checked on.
        more: Files that only it has, by path in the project.
    """

    offer: str
    does: str
    try_out: str = ""
    before: str = ""
    more: Mapping[str, str] = attrs.field(factory=dict)


_KINDS: Mapping[str, _Kind] = {
    "object-store": _Kind(
        "an object store",
        "Backups of kbackup lie in one SQLite file",
        " --config path=/tmp/check.db",
    ),
    "volume-snapshotter": _Kind(
        "a volume snapshotter",
        "Disks that are directories are snapshotted by kbackup",
        " --config directory=/tmp/trial --items volume.yaml",
        before="mkdir -p /tmp/trial/disks/trial",
        more={"volume.yaml": "{kind}/volume.yaml"},
    ),
    "backup-item-action": _Kind(
        "a backup item action", "Deployments take their runbooks into every backup"
    ),
    "restore-item-action": _Kind(
        "a restore item action", "Restored workloads pull their images from a mirror"
    ),
    "delete-item-action": _Kind(
        "a delete item action", "Copies of claims are deleted with their backup"
    ),
    "item-block-action": _Kind(
        "an item block action", "The Pods of one database are backed up together"
    ),
}
_FILES: Mapping[str, str] = {  # by path in the project; one of the kind or of all
    "pyproject.toml": "common/pyproject.toml",
    "README.md": "common/README.md",
    "CHANGELOG.md": "common/CHANGELOG.md",
    ".github/workflows/test.yml": "common/test.yml",
    "__MODULE__.py": "{kind}/module.py",
    "test___MODULE__.py": "{kind}/test_module.py",
}
_NAME = re.compile(r"[a-z][a-z0-9]*(-[a-z0-9]+)*")
_DEFAULT_PREFIX = "example.com"  # nobody's: to be replaced by the author's own


@click.command()
@click.argument("name")
@click.option(
    "--kind",
    type=click.Choice(list(_KINDS)),
    required=True,
    help="What the plugin is to offer.",
)
@click.option(
    "--directory",
    type=click.Path(path_type=Path),
    help="Where; it must not exist. Default kbackup-NAME.",
)
@global_options
@click.pass_obj
def new(session: Session, name: str, *, kind: str, directory: Path | None) -> None:
    """Write a complete project of a plugin: code, tests, packaging, CI, release notes.

    NAME is that of the project and of what it offers, such as `vault` or, with the
    prefix of your own domain, `example.org/vault`. The project works as it stands, and
    passes the contract suite of its family.
    """
    words = _words(name, kind)
    where = directory or Path(words["__DISTRIBUTION__"])
    contents = dict(_rendered(kind, words))
    try:
        where.mkdir(parents=True)
    except FileExistsError as exc:
        raise InvalidConfigError(
            f"{where} is there already, and nothing is overwritten",
            hint="choose another place by --directory",
        ) from exc
    for path, text in contents.items():
        target = where / path
        target.parent.mkdir(parents=True, exist_ok=True)
        target.write_text(text, encoding="utf-8")
    offered = f"{words['__PREFIX__']}/{words['__NAME__']}"
    content = document(
        "PluginProject",
        name=offered,
        pluginKind=kind,
        directory=str(where),
        files=sorted(contents),
    )

    def table() -> None:
        echo(f"{where} is a plugin that offers {_KINDS[kind].offer}: {offered}")
        for path in sorted(contents):
            echo(f"  {path}")

    print_document(session, content, table)
    # Not by --group: the pip of a new environment may not know it.
    say_next(session, f"pip install --editable {where} 'kbackup[testing]'")


def render_project(name: str, kind: str) -> Mapping[str, str]:
    """Return the texts of a new project by their paths.

    Raises:
        InvalidConfigError: *name* cannot be that of a project.
    """
    return dict(_rendered(kind, _words(name, kind)))


def _words(name: str, kind: str) -> dict[str, str]:
    """Return what the templates' words stand for."""
    prefix, slash, own = name.rpartition("/")
    prefix = prefix if slash else _DEFAULT_PREFIX
    if not _NAME.fullmatch(own):
        raise InvalidConfigError(
            f"{own!r} is no name for a project: small letters, digits and single "
            "hyphens, a letter first"
        )
    if not is_dns_subdomain(prefix):
        raise InvalidConfigError(f"the prefix {prefix!r} is not a DNS name")
    word = own.replace("-", "_")
    described = _KINDS[kind]
    checked = f"kbackup plugin check {prefix}/{own}{described.try_out}"
    return {
        "__MODULE__": f"kbackup_{word}",
        "__DISTRIBUTION__": f"kbackup-{own}",
        "__CLASS__": "".join(part.capitalize() for part in own.split("-")),
        "__WORD__": word,
        "__NAME__": own,
        "__PREFIX__": prefix,
        "__DESCRIPTION__": described.does,
        "__OFFER__": described.offer,
        "__CHECK__": "\n$ ".join(filter(None, (described.before, checked))),
    }


def _rendered(kind: str, words: Mapping[str, str]) -> Iterator[tuple[str, str]]:
    """Yield path and text of each file."""
    root = files("kbackup.cli").joinpath("_plugin_templates")
    for path, source in {**_FILES, **_KINDS[kind].more}.items():
        template = root.joinpath(f"{source.format(kind=kind)}.tmpl")
        yield _replaced(path, words), _replaced(template.read_text("utf-8"), words)


def _replaced(text: str, words: Mapping[str, str]) -> str:
    for word, meaning in words.items():
        text = text.replace(word, meaning)
    return text

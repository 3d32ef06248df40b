"""Write the pages of docs/reference that say what the code says.

    python docs/generate_reference.py

A test fails while the pages are not what this would write.
"""

import re
from datetime import timedelta
from pathlib import Path

import attrs
import click

from kbackup._kits.durations import format_duration
from kbackup.cli._app import app
from kbackup.models import BackupOptions, EngineSettings, RestoreOptions
from kbackup.restore.conversions import CONVERSIONS

REFERENCE = Path(__file__).parent / "reference"
GLOBAL = ("kubeconfig", "context", "location", "output")
OF_REPOSITORIES = (
    *("repo", "repository_file", "password_file", "password_command"),
    *("retry_lock", "no_lock", "json", "quiet"),
)

CLI = """# Command line

Written by `docs/generate_reference.py` from the commands themselves.

What was asked for goes to stdout; progress, questions, warnings and the command to type
next go to stderr. With `-o json` or `-o yaml` stdout is one document with
`apiVersion: kbackup.io/v1` and a `kind` (`backup show` prints the stored object itself);
its [schema](../formats/schemas/output.json) only ever grows. The results of `backup create`
and `restore create` have a `report`: seconds by step and by plugin, calls of each plugin,
requests to the API server by kind, bytes written to the store, and the lists that a backup was made of, each
with its resourceVersion.
Lists are comma-separated, and their options may be repeated. An option with the value
`[true|false]` means true at the end of a line and before another option; before any other
word it is written with its value, as in `--preserve-nodeports=true NAME`, so that a word that
is mistyped for `false` is refused. Exit codes are in
[exit-codes.md](exit-codes.md), environment variables and the file of settings in
[settings.md](settings.md).

Ctrl-C, SIGTERM and a terminal that is closed (SIGHUP; `nohup` lets a run go on) end a run
cleanly: nothing of it is published, its name is free again, the exit code is 130. A restore
that was cancelled says how much of its plan it has written, and is completed by the same
command under the same name. A second Ctrl-C aborts. A signal that is ignored when the
command starts, as Ctrl-C is behind `&` in a script, stays ignored.

What is typed before a question stands there is no answer to it, and is thrown away.

A command whose output cannot be written, as on a full disk, says so on stderr, does what it
was to do, and ends with 1 instead of 0. A reader that has seen enough, such as `head`, is no
fault.

`latest`, in `--from-backup` and where a verb that reads takes a backup's name, is the newest
backup that is whole, holds something and ended as Completed or PartiallyFailed, and whose
archive is as large as its manifest says; newer ones that are damaged, incomplete, failed or
empty are named as not taken, and so is what a restore saved before it replaced it. `backup
delete` takes full names only. No backup is made under the name `latest`; one that has it
all the same, from Velero, is meant by it.

Of several names each is done that can be; each that is not there is told, and the exit code
is 1 (2 where one cannot be a name at all). `backup delete` looks at all of them first, and
deletes nothing where one is not there: what else was typed may not be meant either. With
`-o json` one name gives its own document, several give a list, also where one was found.

A location in memory (`memory://`) ends with the command, so `backup create` refuses it.

Values of Secrets are printed by one command only, `backup show`, when a Secret is asked
for by its name.

`kbackup repo` has verbs, flags and exit codes of restic, and with `--json`, or `-o json`,
its JSON; there is no YAML. It differs where the rest of this command line does: `forget`,
`prune` and `restore --delete` ask before they remove anything, `--yes` answers beforehand, and
wrong use ends with 2. restic's `repair index` is `repair-index`. What has no verb here, such as
`tag`, `rewrite`, `mount` and `repair snapshots`, stock restic does with the same repository.
No password is printed, nor `--password-command` in the command to type next.

## Global options

They may stand before or after the verb.

"""
REPOSITORIES = """
## Options of `kbackup repo`

They may stand before or after the verb. A URL is an address of a location, such as
`s3://bucket/prefix` or `sftp://user@host/path`; a directory needs no `./`.
`$KBACKUP_REPO_PASSWORD` and what a file or a command holds are the password; without any of
them it is asked for on a terminal.
"""
SETTINGS = """# Settings

Written by `docs/generate_reference.py` from the code.

The library reads no environment variables and no files of settings, but for
`Cluster.connect`, which looks for a kubeconfig, and for a proxy, as kubectl does: a host
application passes values. The command line reads what is listed at the end and passes it
on.

"""
COMMAND_LINE_SETTINGS = """## Environment variables of the command line

| variable | meaning |
|---|---|
| `KBACKUP_LOCATION` | the location where `--location` is not given: an address, a directory, or a name of the file of settings |
| `KBACKUP_REPOSITORY` | the repository where neither `--repo` nor `--repository-file` is given |
| `KBACKUP_REPO_PASSWORD` | its password where neither `--password-file` nor `--password-command` is given |
| `KBACKUP_FROM_REPOSITORY`, `KBACKUP_FROM_REPO_PASSWORD` | the same of the other repository of `repo copy` |
| `KBACKUP_DISABLE_PLUGINS` | plugins that are not loaded, by entry-point name, comma-separated |
| `KBACKUP_STRICT_PLUGINS` | anything but `0`: a plugin that cannot be loaded ends the command |
| `XDG_CONFIG_HOME` | where `kbackup/config.toml` is looked for; default `~/.config` |
| `KUBECONFIG` | as for kubectl; `Cluster.connect` reads it, too |

Providers read those of their SDKs, such as `AWS_PROFILE` or
`GOOGLE_APPLICATION_CREDENTIALS`.

## The file of settings

`~/.config/kbackup/config.toml` gives locations names. A word without `://` and without a
slash is such a name; a directory beside you is written `./name`. A directory in the file
is an absolute path, or one below `~`, your home directory.

```toml
default-location = "prod"

[locations.prod]
url = "s3://backups/prod?region=eu-west-1"

[locations.mirrored]
url = ["/mnt/bak1", "/mnt/bak2"]

[locations.archive]
url = "/mnt/archive"
read-only = true             # listed, verified and restored from, never written

[locations.usb]
url = "/mnt/usb"
uuid = "6f1c0c9e-5d0a-4f0e-9a43-3b1f0e6f7a52"    # this location and no other

[locations.minio]            # what a url cannot say: the fields of Velero's location
provider = "aws"
bucket = "backups"
prefix = "prod"
[locations.minio.config]
s3Url = "http://minio:9000"
s3ForcePathStyle = "true"
```

With `uuid` only the location that has it is used: another disk, and the empty directory that
a disk leaves where it is not mounted, are refused. `kbackup location validate` prints it,
once a backup was made there. Beside `url` only `read-only` and `uuid` may stand. A setting that is not in this example
is refused by name.
"""


def cli_page() -> str:
    """Return the page of the command line."""
    context = click.Context(app, info_name="kbackup")
    lines = [CLI.rstrip(), "", *_table(_options(app, of=GLOBAL))]
    for name in app.list_commands(context):
        command = app.get_command(context, name)
        if name == "repo":
            lines += [REPOSITORIES, *_table(_options(command, of=OF_REPOSITORIES))]
        lines += _sections(command, f"kbackup {name}")
    return "\n".join(lines) + "\n"


def _sections(command, path):
    if isinstance(command, click.Group):
        for _, sub in sorted(command.commands.items()):
            yield from _sections(sub, f"{path} {sub.name}")
        return
    arguments = [p.make_metavar(click.Context(command)) for p in _arguments(command)]
    usage = " ".join([path, *arguments, "[OPTIONS]"])
    yield from ("", f"## `{path}`", "", f"```\n{usage}\n```", "")
    yield re.sub(r"\n\s+", "\n", (command.help or "").strip())
    if rows := _options(command):
        yield from ("", *_table(rows))


def _arguments(command):
    return [p for p in command.params if isinstance(p, click.Argument)]


def _options(command, *, of=()):
    """Return a row for each option that is the command's own, or one *of* some names."""
    rows = []
    for param in command.params:
        if isinstance(param, click.Argument):
            continue
        shared = (*GLOBAL, *OF_REPOSITORIES)
        if param.name not in of if of else param.name in shared:
            continue
        names = ", ".join(f"`{name}`" for name in sorted(param.opts, key=len))
        context = click.Context(command)
        value = "" if param.is_flag else f"`{param.make_metavar(context)}`"
        rows.append((names, value.replace("|", "\\|"), param.help or ""))
    return rows


def _table(rows):
    yield "| option | value | meaning |"
    yield "|---|---|---|"
    yield from (f"| {' | '.join(row)} |".replace("|  |", "| |") for row in rows)


def settings_page() -> str:
    """Return the page of the settings."""
    parts = [SETTINGS.rstrip()]
    for cls, how in (
        (EngineSettings, "Passed to the engines and to `Cluster.connect`."),
        (BackupOptions, "Passed to `BackupEngine.run` and `plan`."),
        (RestoreOptions, "Passed to `RestoreEngine.run` and `plan`."),
    ):
        parts += ["", f"## `{cls.__name__}`", "", f"{_summary(cls)} {how}", ""]
        parts += ["| name | default | meaning |", "|---|---|---|"]
        told = _attributes(cls)
        parts += [
            f"| `{field.name}` | {_default(field)} | {told[field.name]} |"
            for field in attrs.fields(cls)
        ]
    return "\n".join(parts) + "\n\n" + COMMAND_LINE_SETTINGS


def _summary(cls):
    return cls.__doc__.strip().splitlines()[0]


def _attributes(cls):
    """Return what the docstring says of each attribute."""
    text = cls.__doc__.partition("Attributes:\n")[2]
    found = re.findall(r"^ {8}(\w+): (.*(?:\n {12}.*)*)", text, re.MULTILINE)
    return {name: " ".join(words.replace("``", "`").split()) for name, words in found}


def _default(field):
    value = field.default
    if isinstance(value, timedelta):
        return f"`{format_duration(value)}`"
    if isinstance(value, attrs.Factory):
        return f"`{value.factory()!r}`"
    return f"`{value!r}`"


CONVERTED = """# API conversions

Written by `docs/generate_reference.py` from the table that the code uses.

A restore converts an item whose API version the target does not serve to one that it
serves, without loss or not at all. What the target serves it takes as it is stored, and
converts by itself. The plan says in the line of each item *converted from
extensions/v1beta1 to networking.k8s.io/v1*; an item of which something has no home in the
newer version is a conflict that names field and reason, and nothing of it is written.
`RestoreOptions(convert=False)`, on the command line `--no-convert`, makes all of them
conflicts.

- Of several versions that the target serves one with the same fields is taken before one
  with other fields.
- Types that moved to another group are the target's from the beginning: filters, the order
  of writing, objects that exist, transforms and resource modifiers go by it.
  `--include-resources` and `--exclude-resources` take the old name as well. An object that
  a backup has under both groups is written once.
- Field managers keep what they manage where the fields are called the same; others are not
  given back.
- What other objects say of a version stays as it is, as an autoscaler's `scaleTargetRef`
  does; but owner references are tied to the version that is written.
- Nothing is converted to an older version.
- Held against an API server of Kubernetes 1.20, which serves both versions of most: what
  it shows of an object in the newer one is what a conversion makes of it.

## Versions with the same fields

Only the version changes, and for some the group: any of a row to any later one.

| kind | versions |
|---|---|
"""

CHANGED = """
## Versions with other fields

"""


def conversions_page() -> str:
    """Return the page of what is converted."""
    parts = [*_renamed(), CHANGED, *_changed()]
    return CONVERTED + "".join(parts).rstrip() + "\n"


def _renamed():
    """Yield a row for each kind, its versions in order."""
    chains = {}
    for each in CONVERSIONS:
        if each.is_renaming:
            found = chains.setdefault(each.kind, {})
            found.setdefault(each.source, 0)
            found[each.target] = max(found.get(each.target, 0), found[each.source] + 1)
    for kind, found in sorted(chains.items()):
        versions = sorted(found, key=found.get)
        yield f"| {kind} | {', '.join(f'`{each}`' for each in versions)} |\n"


def _changed():
    """Yield a section for each kind and version."""
    groups = {}
    for each in CONVERSIONS:
        if not each.is_renaming:
            what = (each.source, each.moves, tuple(each.refuses.items()))
            group = groups.setdefault(what, {})
            group.setdefault(each.kind, []).append(each.target)
    for (source, moves, refuses), kinds in groups.items():
        targets = dict.fromkeys(target for found in kinds.values() for target in found)
        told = " and ".join(f"`{target}`" for target in targets)
        yield f"### {', '.join(kinds)} of {source}\n\nTo {told}.\n\n"
        yield "".join(f"- {move}\n" for move in moves)
        if refuses:
            yield "\n| no home | because |\n|---|---|\n"
            yield "".join(f"| `{field}` | {reason} |\n" for field, reason in refuses)
        yield "\n"


PAGES = {
    "api-conversions.md": conversions_page,
    "cli.md": cli_page,
    "settings.md": settings_page,
}

if __name__ == "__main__":
    for page, make in PAGES.items():
        (REFERENCE / page).write_text(make())

"""What is printed may be anybody's text; a terminal obeys none of it."""

import ast
import gzip
import io
import json
import os
import sys
from pathlib import Path

import pytest

from kbackup import cli
from kbackup._kits.words import printable
from kbackup.cli._app import run
from kbackup.cli._output import echo
from kbackup.restore._plan.digest import plan_digest

CLEAR = "\x1b[2J\x07"  # clears the screen, and rings
TOLD = "\\u001b[2J\\u0007"
MODULES = sorted(Path(cli.__file__).parent.rglob("*.py"))


@pytest.mark.parametrize(
    ("text", "printed"),
    [
        ("größe → 1\tkB\n日本 🎉", "größe → 1\tkB\n日本 🎉"),
        (CLEAR, TOLD),
        ("\r\x00\x7f\x9b\x85", "\\u000d\\u0000\\u007f\\u009b\\u0085"),
        ("\ud800", "\\ud800"),
    ],
    ids=["plain", "escape", "others", "surrogate"],
)
def test_control_characters_are_shown_not_obeyed(text, printed):
    """Letters of all scripts stay; what a terminal would obey is written out."""
    assert printable(text) == printed


@pytest.mark.parametrize("module", MODULES, ids=lambda path: path.stem)
def test_nothing_is_printed_past_it(module):
    """Only the one function prints, so that no verb can forget to write it out."""
    tree = ast.parse(module.read_text(encoding="utf-8"))
    called = [ast.unparse(n.func) for n in ast.walk(tree) if isinstance(n, ast.Call)]

    past = [x for x in called if x in {"click.echo", "click.secho", "print"}]

    assert past == (["click.echo"] if module.stem == "_output" else [])


def test_a_saved_plan_commands_no_terminal(backed_up, tmp_path):
    """What a plan file says in the place of a phase or a reason is only shown."""
    file = tmp_path / "plan.json"
    backed_up("restore", "plan", "--from-backup", "shop-1", "--save", file)
    document = json.loads(file.read_text())
    document["head"]["backup"]["phase"] += CLEAR
    document["digest"] = plan_digest(document)
    file.write_text(json.dumps(document))

    done = backed_up("restore", "create", "--plan", file, "--yes")

    assert TOLD in done.out + done.err
    assert "\x1b" not in done.out + done.err


def test_a_log_commands_no_terminal(restored, directory):
    """A line of a log, whoever wrote it, is only shown; its line end is no character."""
    (log,) = directory.glob("restores/copy-1/*-logs.gz")
    log.write_bytes(gzip.compress(f"level=info msg={CLEAR}\r\n".encode()))

    done = restored("restore", "logs", "copy-1")

    assert done.out == f"level=info msg={TOLD}\n"


def test_nobody_reads_any_more(kbackup, monkeypatch):
    """A command whose reader has gone ends as it would have; its errors are not lost."""
    reader, writer = os.pipe()
    os.close(reader)

    with os.fdopen(writer, "w") as broken:
        monkeypatch.setattr(sys, "stdout", broken)
        monkeypatch.setattr(sys, "stderr", broken)
        code = run(["backup", "create", "b", "--include-namespaces", "shop,gone"])
        monkeypatch.undo()

    assert code == 3


@pytest.fixture
def unwritable(tmp_path, monkeypatch, capsys):
    """The command line with a stdout that takes nothing, as on a full disk."""

    def call(*arguments):
        capsys.readouterr()
        path = tmp_path / "out"
        path.touch()
        with os.fdopen(os.open(path, os.O_RDONLY), "w") as refusing:
            monkeypatch.setattr(sys, "stdout", refusing)
            code = run(list(arguments))
            monkeypatch.undo()
        lines = capsys.readouterr().err.splitlines()
        return code, [line for line in lines if "Error" in line], lines[-1]

    return call


UNWRITTEN = "Error: the output could not be written: Bad file descriptor"


@pytest.mark.parametrize("output", ["table", "json"])
def test_output_that_cannot_be_written(kbackup, directory, unwritable, output):
    """The backup is made, and what follows looks at it, not makes it again."""
    place = ("--location", str(directory))
    arguments = ("backup", "create", "b", "--include-namespaces", "shop", "-o", output)

    code, errors, following = unwritable(*place, *arguments)

    assert (code, errors) == (1, [UNWRITTEN])
    assert following == f"Next: kbackup backup describe b --location {directory}"
    assert kbackup("backup", "describe", "b", *place).code == 0


def test_a_list_that_cannot_be_written(backed_up, directory, unwritable):
    """What only reads is to be typed again."""
    code, errors, following = unwritable("backup", "get", "--location", str(directory))

    assert (code, errors) == (1, [UNWRITTEN])
    assert following == f"Next: kbackup backup get --location {directory}"


def test_a_deletion_that_cannot_be_told(backed_up, directory, unwritable):
    """All that were named are deleted, though the first could not be told."""
    backed_up("backup", "create", "shop-2", "--include-namespaces", "shop")
    place = ("--location", str(directory))

    code, errors, following = unwritable(
        "backup", "delete", "shop-1", "shop-2", "--confirm", *place
    )

    assert (code, errors) == (1, [UNWRITTEN])
    assert following == f"Next: kbackup backup get --location {directory}"
    assert backed_up("backup", "get", "-o", "json", *place).out.count('"name"') == 0


def test_an_archive_that_cannot_be_written(backed_up, directory, unwritable):
    """An archive for stdout is lost like any output, and that is told as well."""
    place = ("--location", str(directory))

    code, errors, _ = unwritable("backup", "download", "shop-1", "-f", "-", *place)

    assert (code, errors) == (1, [UNWRITTEN])


@pytest.mark.parametrize("stream", ["stdin", "stdout", "stderr"])
def test_a_closed_stream(kbackup, monkeypatch, stream):
    """Without a stream, as in some services, a backup is made, and nobody is asked."""
    monkeypatch.setattr(sys, stream, None)

    made = run(["backup", "create", "b", "--include-namespaces", "shop"])
    asked = run(["backup", "delete", "b"])
    monkeypatch.undo()

    assert (made, asked) == (0, 2)


def test_an_encoding_without_the_letters(kbackup, monkeypatch):
    """What the terminal's encoding does not have is written as its number."""
    name = "M\u00fcnchen \u65e5\u672c"
    printed = io.TextIOWrapper(io.BytesIO(), encoding="latin-1")
    monkeypatch.setattr(sys, "stdout", printed)

    echo(name)
    monkeypatch.undo()

    assert printed.buffer.getvalue() == b"M\xfcnchen \\u65e5\\u672c\n"

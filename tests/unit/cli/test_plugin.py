"""``kbackup plugin check`` and ``new``: what people who write plugins type."""

import json
import sys
import tomllib
from pathlib import Path

import jsonschema
import pytest

from kbackup.cli._plugin_new import render_project

ROOT = Path(__file__).parents[3]
SCHEMA = json.loads((ROOT / "docs/formats/schemas/output.json").read_text())
EXAMPLES = {
    "03-provider-plugin": ("sqlite", "object-store"),
    "04-item-action": ("registry-mirror", "restore-item-action"),
}
KINDS = {
    "object-store": "object_stores",
    "volume-snapshotter": "volume_snapshotters",
    "backup-item-action": "backup_item_actions",
    "restore-item-action": "restore_item_actions",
    "delete-item-action": "delete_item_actions",
    "item-block-action": "item_block_actions",
}


@pytest.fixture(autouse=True)
def elsewhere(tmp_path, monkeypatch):
    """Work in an empty directory."""
    monkeypatch.chdir(tmp_path)


def test_check_of_a_provider(offline, directory):
    """A live location is tried; the report is text with a sum, the exit code 0."""
    done = offline(
        "plugin", "check", "kbackup.io/local", "--config", f"path={directory}"
    )

    assert done.code == 0, done.out + done.err
    first, *promises, last = done.out.splitlines()
    assert first.startswith("kbackup.io/local of kbackup ")
    assert first.endswith(", by ObjectStoreContract")
    assert all(line.startswith("kept    ") for line in promises)
    assert last == f"{len(promises)} of {len(promises)} promises are kept"
    assert list(directory.rglob("*")) == []


def test_check_of_a_location(offline):
    """An address says which provider is meant; the document fits its schema."""
    done = offline(
        "plugin", "check", "--location", "memory://bucket/prefix", "-o", "json"
    )

    report = json.loads(done.out)
    jsonschema.validate(report, SCHEMA)
    assert (done.code, report["name"]) == (0, "kbackup.io/memory")
    assert report["pluginKind"] == "ObjectStore"
    assert report["conforming"] is True


def test_check_of_an_action(offline):
    """An action is tried on the sample shop, or on objects of a file."""
    words = ("plugin", "check", "pod", "--kind", "restore-item-action")

    done = offline(*words)
    assert done.code == 0, done.out + done.err
    assert "velero.io/pod of kbackup" in done.out

    Path("none.yaml").write_text("apiVersion: v1\nkind: Secret\nmetadata: {name: x}\n")
    refused = offline(*words, "--items", "none.yaml")
    assert refused.code == 1
    assert "applies to none of the 1 objects" in refused.err


BROKEN = """
from kbackup.models import ResourceSelector
from kbackup.plugins import hookimpl

class Action:
    name = "example.com/broken"
    applies_to = ResourceSelector(included_resources=("services",))

    def execute(self, given):
        return "nonsense"

@hookimpl
def kbackup_register_restore_item_actions():
    return {Action.name: Action()}
"""


def test_check_of_what_is_broken(offline, tmp_path, monkeypatch):
    """Broken promises are marked, with what was found, and the exit code is 1."""
    site = tmp_path / "site"
    info = site / "kb_broken-1.0.dist-info"
    info.mkdir(parents=True)
    (site / "kb_broken.py").write_text(BROKEN)
    (info / "METADATA").write_text(
        "Metadata-Version: 2.1\nName: kb-broken\nVersion: 1.0\n"
    )
    (info / "entry_points.txt").write_text("[kbackup]\nbroken = kb_broken\n")
    monkeypatch.syspath_prepend(str(site))
    monkeypatch.setattr(sys, "dont_write_bytecode", True)

    done = offline("plugin", "check", "example.com/broken")
    sys.modules.pop("kb_broken", None)

    assert done.code == 1
    assert "example.com/broken of kb-broken 1.0" in done.out
    assert (
        "BROKEN  The answer is JSON about the same object, and names other objects."
        in done.out
    )
    assert "        services web: " in done.out


VOLUME = """
apiVersion: v1
kind: PersistentVolume
metadata: {name: trial}
spec: {hostPath: {path: /nowhere}}
"""
SNAPSHOTTER = ("--kind", "volume-snapshotter")
RESTORE = ("--kind", "restore-item-action")


@pytest.mark.parametrize(
    ("words", "code", "told"),
    [
        (["velero.io/pod"], 2, "choose by --kind backup-item-action or item-block"),
        (["kbackup.io/local"], 2, "name it by --config or --location"),
        (["kbackup.io/local", "--config", "path"], 2, "it is written KEY=VALUE"),
        (
            ["kbackup.io/local", "--location", "memory://b"],
            2,
            "not of kbackup.io/local",
        ),
        (["kbackup.io/local", "--config", "path=x", "--location", "/x"], 2, "give one"),
        ([], 2, "Missing argument 'NAME'"),
        (["example.com/nobody"], 1, "no plugin offers"),
        (["nobody", "--kind", "item-block-action"], 1, "no plugin offers 'nobody'"),
        (["nobody", *SNAPSHOTTER], 1, "no plugin offers the volume snapshotter"),
        (["velero.io/pod", *SNAPSHOTTER], 1, "here, not VolumeSnapshotter"),
        (["kbackup.io/local", *SNAPSHOTTER], 2, "kubectl get pv NAME -o yaml"),
        (
            ["kbackup.io/local", *SNAPSHOTTER, "--items", "volume.yaml"],
            2,
            "has no snapshots",
        ),
        (
            ["aws", *SNAPSHOTTER, "--items", "volume.yaml", "--config", "region=r"],
            1,
            "none of the 1 PersistentVolumes that it could be tried on is one of",
        ),
        (["pod", *RESTORE, "--items", "binary.yaml"], 2, "binary.yaml cannot be read"),
        (["pod", *RESTORE, "--items", "broken.yaml"], 2, "broken.yaml cannot be read"),
        (["pod", *RESTORE, "--items", "list.yaml"], 2, "are objects of Kubernetes"),
        (["kbackup.io/local", "--config", "path=here"], 2, "absolute"),
    ],
)
def test_check_says_what_is_missing(offline, words, code, told):
    """What cannot be checked as it was asked for is refused with a way on."""
    Path("volume.yaml").write_text(VOLUME)
    Path("binary.yaml").write_bytes(b"\xff\xfe\x00")
    Path("broken.yaml").write_text("{")
    Path("list.yaml").write_text("- 1\n- kind: Pod\n")

    done = offline("plugin", "check", *words)

    assert done.code == code
    assert told in done.err
    assert done.next.startswith("Next: kbackup plugin ")


def test_check_of_a_snapshotter_is_asked_for(offline, tmp_path, monkeypatch):
    """A person is told what will be made, and who says no has it not made."""
    asked = []
    data = tmp_path / "volumes" / "data"
    data.mkdir(parents=True)
    Path("volume.yaml").write_text(VOLUME.replace("/nowhere", str(data)))
    module = "kbackup.cli._plugin_check_volumes"
    monkeypatch.setattr(f"{module}.require_somebody_to_ask", lambda **_: None)
    monkeypatch.setattr(f"{module}.agreed", lambda text, yes: bool(asked.append(text)))

    done = offline(
        *("plugin", "check", "kbackup.io/local", *SNAPSHOTTER),
        *("--items", "volume.yaml", "--config", f"snapshots={tmp_path / 'made'}"),
    )

    assert (done.code, asked) == (1, ["Check kbackup.io/local so?"])
    assert f"- makes a snapshot of the volume {data}" in done.err
    assert "Nothing was made." in done.err
    assert list(data.parent.iterdir()) == [data]
    assert not (tmp_path / "made").exists()


def test_an_interrupted_check_tells_what_it_made(offline, tmp_path, monkeypatch):
    """After Ctrl-C the volumes that stay are named, and no snapshot stays."""
    data = tmp_path / "volumes" / "data"
    data.mkdir(parents=True)
    Path("volume.yaml").write_text(VOLUME.replace("/nowhere", str(data)))

    def interrupt(*_):
        raise KeyboardInterrupt

    monkeypatch.setattr("kbackup.testing._conformance_volumes.run_suite", interrupt)

    done = offline(
        *("plugin", "check", "kbackup.io/local", *SNAPSHOTTER, "--yes"),
        *("--items", "volume.yaml", "--config", f"snapshots={tmp_path / 'made'}"),
    )

    (copy,) = (path for path in data.parent.iterdir() if path != data)
    assert done.code == 130
    assert f"MADE    {copy}" in done.err
    assert list((tmp_path / "made").iterdir()) == []


def test_check_without_pytest(offline, monkeypatch):
    """Without pytest the error has the command that installs it."""
    monkeypatch.setitem(sys.modules, "pytest", None)

    done = offline("plugin", "check", "velero.io/pod")

    assert done.code == 1
    assert "need pytest, which is not installed" in done.err
    assert "pip install 'kbackup[testing]'" in done.err


# --- new ------------------------------------------------------------------------------


@pytest.mark.parametrize("example", EXAMPLES)
def test_the_examples_are_what_is_written(example):
    """The example projects are new projects, letter by letter, but for their README."""
    name, kind = EXAMPLES[example]
    place = ROOT / "examples" / example

    written = dict(render_project(name, kind))
    del written["README.md"]

    assert written == {path: (place / path).read_text() for path in written}
    others = {"README.md", *written}
    assert {path.name for path in place.glob("*.*")} <= {*others, ".github"}


@pytest.mark.parametrize("kind", KINDS)
def test_new_project(offline, kind):
    """A project is written whole, with no word of the template left in it."""
    done = offline("plugin", "new", "example.org/two-words", "--kind", kind)

    assert done.code == 0, done.err
    place = Path("kbackup-two-words")
    files = [path for path in place.rglob("*") if path.is_file()]
    assert {str(path.relative_to(place)) for path in files} == {
        *("pyproject.toml", "README.md", "CHANGELOG.md", ".github/workflows/test.yml"),
        *("kbackup_two_words.py", "test_kbackup_two_words.py"),
        *({"volume.yaml"} if kind == "volume-snapshotter" else ()),
    }
    for path in files:
        text = path.read_text()
        assert not any(word in text for word in ("__MODULE__", "__NAME__", "__CLASS__"))
        if path.suffix == ".py":
            compile(text, path, "exec")
    project = tomllib.loads((place / "pyproject.toml").read_text())
    assert project["project"]["entry-points"]["kbackup"] == {
        "two-words": "kbackup_two_words"
    }
    code = (place / "kbackup_two_words.py").read_text()
    assert "example.org/two-words" in code
    assert f"def kbackup_register_{KINDS[kind]}()" in code
    assert "\n  kbackup_two_words.py\n" in done.out
    assert done.next == (  # any pip understands it
        "Next: pip install --editable kbackup-two-words 'kbackup[testing]'"
    )


def test_new_as_a_document(offline):
    """With -o json the document says what was written where."""
    done = offline(
        *("plugin", "new", "vault", "--kind", "object-store"),
        *("--directory", "deep/er", "-o", "json"),
    )

    written = json.loads(done.out)
    jsonschema.validate(written, SCHEMA)
    assert written["directory"] == "deep/er"
    assert {str(path) for path in map(Path("deep/er").joinpath, written["files"])} == {
        str(path) for path in Path("deep/er").rglob("*") if path.is_file()
    }


def test_new_overwrites_nothing(offline, tmp_path):
    """A directory that is there is refused, also an empty one, and stays as it is."""
    (tmp_path / "kbackup-vault").mkdir()

    done = offline("plugin", "new", "vault", "--kind", "object-store")

    assert done.code == 2
    assert "nothing is overwritten" in done.err
    assert list((tmp_path / "kbackup-vault").iterdir()) == []


@pytest.mark.parametrize("name", ["Vault", "a_b", "-x", "a--b", "x/", "B@d/x", "../x"])
def test_new_refuses_a_name(offline, name, tmp_path):
    """A name that could be none of a project writes nothing."""
    done = offline("plugin", "new", "--kind", "object-store", "--", name)

    assert done.code == 2
    assert list(tmp_path.iterdir()) == []

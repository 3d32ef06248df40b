"""A location that cannot be written is enough to look, verify, plan and restore."""

import pytest

from kbackup.errors import StoreAccessError

LOOKING = [
    ["backup", "get"],
    ["backup", "describe", "shop-1", "--details"],
    ["backup", "logs", "shop-1"],
    ["backup", "ls", "shop-1"],
    ["backup", "show", "shop-1", "deployment/web"],
    ["backup", "verify", "shop-1"],
    ["restore", "plan", "--from-backup", "latest", "--namespace-mappings", "shop:b"],
    ["restore", "get"],
    ["doctor"],
]


@pytest.fixture(name="unwritable")
def fixture_unwritable(backed_up, monkeypatch):
    """A location whose directory refuses every write, as modes do for non-root."""
    from kbackup_plugins_local._directory import Directory  # noqa: PLC0415 - a fault

    def refuse(self, key, *arguments, **options):
        raise StoreAccessError(key, "Permission denied")

    monkeypatch.setattr(Directory, "put", refuse)
    monkeypatch.setattr(Directory, "delete", refuse)
    return backed_up


@pytest.fixture(name="settings")
def fixture_settings(backed_up, monkeypatch, tmp_path):
    """A function that gives the command line a location of the file of settings."""

    def settings(place):
        monkeypatch.setenv("XDG_CONFIG_HOME", str(tmp_path))
        monkeypatch.setenv("KBACKUP_LOCATION", "archive")
        (tmp_path / "kbackup").mkdir()
        path = tmp_path / "kbackup/config.toml"
        path.write_text(f"[locations.archive]\nread-only = true\n{place}")
        return backed_up

    return settings


@pytest.fixture(name="declared")
def fixture_declared(settings, directory):
    """A location that the file of settings calls read-only, by its address."""
    return settings(f'url = "{directory}"\n')


def test_fields_can_be_declared_read_only(settings, directory):
    """Velero's fields are declared read-only as an address is."""
    kbackup = settings(
        'provider = "kbackup.io/local"\n'
        f'[locations.archive.config]\npath = "{directory}"\n'
    )

    assert kbackup("backup", "get").code == 0
    refused = kbackup("backup", "create", "b")
    assert refused.code == 1
    assert "read-only" in refused.err


@pytest.mark.parametrize("arguments", LOOKING, ids=lambda words: " ".join(words[:2]))
def test_looking_at_what_cannot_be_written(unwritable, arguments):
    """Nothing that only looks wants to write."""
    done = unwritable(*arguments)

    assert done.code == 0, done.err


@pytest.mark.parametrize("arguments", LOOKING, ids=lambda words: " ".join(words[:2]))
def test_looking_at_what_is_declared_read_only(declared, arguments):
    """Nothing that only looks is refused by a read-only location."""
    done = declared(*arguments)

    assert done.code == 0, done.err


@pytest.mark.parametrize("location", ["unwritable", "declared"])
def test_restoring_from_it(request, location, simulated):
    """A restore is carried out; that it left no record is a warning."""
    kbackup = request.getfixturevalue(location)

    done = kbackup(
        *("restore", "create", "r", "--from-backup", "shop-1", "--yes"),
        *("--namespace-mappings", "shop:copy"),
    )

    assert done.code == 0, done.err
    assert "the record of the restore could not be stored" in done.err
    assert len(simulated.objects("deployments.apps", "copy")) == 1


@pytest.mark.parametrize("location", ["unwritable", "declared"])
@pytest.mark.parametrize(
    "arguments",
    [["backup", "create", "b"], ["backup", "delete", "shop-1", "--confirm"]],
    ids=["create", "delete"],
)
def test_writing_to_it(request, location, arguments):
    """What has to write says that it cannot, and by which command to learn more."""
    kbackup = request.getfixturevalue(location)

    done = kbackup(*arguments)

    assert done.code == 1
    assert "Permission denied" in done.err or "read-only" in done.err
    assert done.next == "Next: kbackup location validate"


def test_validating_it(unwritable):
    """Validation tells what cannot be done, and ends with 1."""
    done = unwritable("location", "validate")

    assert done.code == 1
    assert "Permission denied" in done.out


def test_validating_what_is_declared(declared):
    """What is meant to be read only is fit without being written."""
    done = declared("location", "validate")

    assert done.code == 0
    assert "is available: listed" in done.out


@pytest.mark.parametrize("place", ["declared", "unwritable"])
def test_restore_leads_to_what_is_there(request, place):
    """After a restore that could not be recorded nothing leads to its record."""
    kbackup = request.getfixturevalue(place)

    done = kbackup(
        *("restore", "create", "r", "--from-backup", "shop-1", "--yes"),
        *("--namespace-mappings", "shop:copy"),
    )

    assert done.code == 0, done.err
    assert done.next == "Next: kbackup backup describe shop-1"

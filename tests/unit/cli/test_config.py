"""Locations are given by address, or by a name in the file of settings."""

import pytest

from kbackup.cli._config import Config, choose_location, is_address, read_config
from kbackup.errors import InvalidConfigError, UnknownLocationError


@pytest.fixture(name="config")
def fixture_config(tmp_path):
    """A function that reads a file of settings with the given text."""

    def read(text):
        path = tmp_path / "config.toml"
        path.write_text(text)
        return read_config(path)

    return read


@pytest.mark.parametrize(
    "text", ["s3://b/p", "/mnt/b", "./b", "b/c", ".", "memory://x"]
)
def test_addresses(text):
    """What has a scheme or a separator is an address."""
    assert is_address(text)


def test_a_bare_word_is_a_name():
    """What could be a name is looked up, not taken for a directory."""
    assert not is_address("prod")


def test_file_need_not_exist(tmp_path):
    """Without a file there are no names and no default."""
    config = read_config(tmp_path / "none.toml")

    assert config.locations == {}
    assert config.default_location == ""


@pytest.mark.parametrize("text", ["locations = 3", "default-location = 1", "not toml"])
def test_unreadable_file_names_itself(config, text):
    """A file that means nothing is an error with its path."""
    with pytest.raises(InvalidConfigError, match=r"config\.toml"):
        config(text)


def test_name_with_url(config):
    """A name stands for its address."""
    settings = config('[locations.prod]\nurl = "s3://b/p"\n')

    assert choose_location(["prod"], settings) == ["s3://b/p"]


def test_name_with_fields(config):
    """A name may stand for Velero's fields."""
    settings = config(
        '[locations.minio]\nprovider = "aws"\nbucket = "b"\nprefix = "p"\n'
        '[locations.minio.config]\ns3ForcePathStyle = "true"\n'
    )

    location = choose_location(["minio"], settings)

    assert location.metadata.name == "minio"
    assert location.spec.provider == "aws"
    assert location.spec.object_storage.bucket == "b"
    assert location.spec.object_storage.prefix == "p"
    assert location.spec.config == {"s3ForcePathStyle": "true"}


def test_default_location(config):
    """Without a word the file's default counts."""
    settings = config('default-location = "p"\n[locations.p]\nurl = "/b"\n')

    assert choose_location([], settings) == ["/b"]


def test_several_addresses_stay_together(tmp_path):
    """Mirrored directories are given by repeating the option."""
    assert choose_location(["/a", "/b"], Config(path=tmp_path)) == ["/a", "/b"]


def test_unknown_name_says_what_there_is(config):
    """An unknown name is refused with the known ones and the way to mean a directory."""
    settings = config('[locations.prod]\nurl = "/b"\n')

    with pytest.raises(UnknownLocationError, match=r"'backup'.*prod") as caught:
        choose_location(["backup"], settings)

    assert "./backup" in caught.value.hint


def test_nothing_given_says_how(tmp_path):
    """Without any location the hint names all three ways to give one."""
    with pytest.raises(UnknownLocationError) as caught:
        choose_location([], Config(path=tmp_path / "config.toml"))

    assert "--location" in caught.value.hint
    assert "KBACKUP_LOCATION" in caught.value.hint
    assert "config.toml" in caught.value.hint


def test_read_only_location(config):
    """A location can be declared read-only."""
    settings = config('[locations.a]\nprovider = "aws"\nread-only = true\n')

    assert choose_location(["a"], settings).spec.read_only


@pytest.mark.parametrize("text", ['url = "/b"\nread-only = true', 'bucket = "b"'])
def test_location_that_means_nothing(config, text):
    """A location needs a url alone, or a provider."""
    with pytest.raises(InvalidConfigError, match="location 'a'"):
        choose_location(["a"], config(f"[locations.a]\n{text}\n"))


@pytest.fixture(name="home")
def fixture_home(tmp_path, monkeypatch):
    """A home directory."""
    home = tmp_path / "home"
    home.mkdir()
    monkeypatch.setenv("HOME", str(home))
    return home


@pytest.mark.parametrize("text", ["~", "~/backups", "~/a#~/b"])
def test_tilde_is_the_home_directory(home, tmp_path, text):
    """A quoted ``~`` means the home directory, not a directory of that name."""
    (address,) = choose_location([text], Config(path=tmp_path))

    assert address == text.replace("~", str(home))


@pytest.mark.parametrize("url", ['"~/backups"', '["~/backups"]'])
def test_tilde_in_the_settings(home, config, url):
    """The file of settings may name a directory below the home directory."""
    settings = config(f"[locations.a]\nurl = {url}\n")

    assert choose_location(["a"], settings) == [f"{home}/backups"]


def test_tilde_in_a_path_field(home, config):
    """The path among Velero's fields may begin with the home directory, too."""
    settings = config(
        '[locations.a]\nprovider = "local"\n[locations.a.config]\npath = "~/b"\n'
    )

    assert choose_location(["a"], settings).spec.config == {"path": f"{home}/b"}


@pytest.mark.parametrize("url", ['"backups"', '"./backups"', '["/a", "b"]', '"/a#b"'])
def test_relative_path_in_the_settings(config, url):
    """A path that means another place in every directory is refused."""
    with pytest.raises(InvalidConfigError, match="location 'a' is no absolute path"):
        choose_location(["a"], config(f"[locations.a]\nurl = {url}\n"))

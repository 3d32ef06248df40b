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

    assert choose_location(["prod"], settings).source == ["s3://b/p"]


def test_name_with_fields(config):
    """A name may stand for Velero's fields."""
    settings = config(
        '[locations.minio]\nprovider = "aws"\nbucket = "b"\nprefix = "p"\n'
        '[locations.minio.config]\ns3ForcePathStyle = "true"\n'
    )

    location = choose_location(["minio"], settings).source

    assert location.metadata.name == "minio"
    assert location.spec.provider == "aws"
    assert location.spec.object_storage.bucket == "b"
    assert location.spec.object_storage.prefix == "p"
    assert location.spec.config == {"s3ForcePathStyle": "true"}


def test_default_location(config):
    """Without a word the file's default counts."""
    settings = config('default-location = "p"\n[locations.p]\nurl = "/b"\n')

    assert choose_location([], settings).source == ["/b"]


def test_several_addresses_stay_together(tmp_path):
    """Mirrored directories are given by repeating the option."""
    assert choose_location(["/a", "/b"], Config(path=tmp_path)).source == ["/a", "/b"]


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


@pytest.mark.parametrize("place", ['provider = "aws"', 'url = "/b"', 'url = ["/b"]'])
def test_read_only_location(config, place):
    """A location can be declared read-only, whichever way it is given."""
    settings = config(
        f"[locations.a]\n{place}\nread-only = true\n[locations.b]\n{place}\n"
    )

    assert choose_location(["a"], settings).read_only
    assert not choose_location(["b"], settings).read_only


@pytest.mark.parametrize(
    ("text", "fault"),
    [
        ('bucket = "b"', "needs url, or provider with bucket"),
        ('url = "/b"\nbucket = "b"\nprefix = "p"', "takes no bucket, prefix beside it"),
        ('url = "/b"\nread_only = true', "has no setting read_only"),
        ('provider = "aws"\nread-olny = true', "has no setting read-olny"),
        ('url = "/b"\nread-only = "false"', "read-only is true or false"),
        ('url = "/b"\nuuid = 3', "uuid is a string"),
        ("url = 3", "url is an address, or a list of them"),
        ("url = []", "url is an address, or a list of them"),
    ],
)
def test_location_that_means_nothing(config, text, fault):
    """What would be passed over is refused, and the key named."""
    with pytest.raises(InvalidConfigError, match=f"location 'a'.*{fault}"):
        choose_location(["a"], config(f"[locations.a]\n{text}\n"))


def test_location_that_is_no_table(config):
    """A location written as a mere value is refused by name."""
    with pytest.raises(InvalidConfigError, match="location 'a' is no table"):
        choose_location(["a"], config('[locations]\na = "/b"\n'))


def test_a_slip_in_a_setting_leads_to_the_right_one(config):
    """The nearest setting is named: a missing read-only could cost a backup."""
    settings = config('[locations.a]\nurl = "/b"\nread_only = true\n')

    with pytest.raises(InvalidConfigError) as caught:
        choose_location(["a"], settings)

    assert caught.value.hint == "the nearest setting is read-only"


def test_a_slip_beside_the_locations(config):
    """A mistyped default-location is refused, and is not as if there were none."""
    with pytest.raises(
        InvalidConfigError, match="no setting default_location"
    ) as caught:
        config('default_location = "a"\n[locations.a]\nurl = "/b"\n')

    assert caught.value.hint == "the nearest setting is default-location"


def test_an_address_beside_the_locations(config):
    """An address outside of a location's table is no setting."""
    with pytest.raises(InvalidConfigError, match=r"config\.toml has no setting url"):
        config('url = "/b"\n')


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
    (address,) = choose_location([text], Config(path=tmp_path)).source

    assert address == text.replace("~", str(home))


@pytest.mark.parametrize("url", ['"~/backups"', '["~/backups"]'])
def test_tilde_in_the_settings(home, config, url):
    """The file of settings may name a directory below the home directory."""
    settings = config(f"[locations.a]\nurl = {url}\n")

    assert choose_location(["a"], settings).source == [f"{home}/backups"]


def test_tilde_in_a_path_field(home, config):
    """The path among Velero's fields may begin with the home directory, too."""
    settings = config(
        '[locations.a]\nprovider = "local"\n[locations.a.config]\npath = "~/b"\n'
    )

    assert choose_location(["a"], settings).source.spec.config == {"path": f"{home}/b"}


@pytest.mark.parametrize("url", ['"backups"', '"./backups"', '["/a", "b"]', '"/a#b"'])
def test_relative_path_in_the_settings(config, url):
    """A path that means another place in every directory is refused."""
    with pytest.raises(InvalidConfigError, match="location 'a' is no absolute path"):
        choose_location(["a"], config(f"[locations.a]\nurl = {url}\n"))

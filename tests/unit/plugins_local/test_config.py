"""Which directories a configuration or an address means."""

from __future__ import annotations

from pathlib import Path

import pytest

from kbackup.errors import InvalidConfigError
from kbackup.plugins import PluginManager
from kbackup_plugins_local._config import directories, local_spec


def test_one_directory():
    """A path is the directory itself: backups/ goes directly into it."""
    assert directories({"path": "/x/y/"}) == (Path("/x/y"),)


def test_several_directories_and_a_bucket():
    """Paths joined by # are several; a bucket is a sub-directory of each."""
    found = directories({"path": "/mnt/bak1#/mnt/bak2", "bucket": "prod"})

    assert found == (Path("/mnt/bak1/prod"), Path("/mnt/bak2/prod"))


@pytest.mark.parametrize(
    "config",
    [
        {},
        {"path": ""},
        {"path": "relative"},
        {"path": "/a#"},
        {"path": "#/a"},
        {"path": "/a#b"},
        {"path": "/a\0b"},
        {"path": "/a#/a/"},
        {"path": "/a#/a/b"},
        {"path": "/a", "bucket": ".."},
        {"path": "/a", "bucket": "../b"},
    ],
    ids=str,
)
def test_paths_that_cannot_be_meant(config):
    """A missing, relative or repeated path, or a bucket that climbs out, is refused."""
    with pytest.raises(InvalidConfigError):
        directories(config)


@pytest.mark.parametrize(
    ("url", "path"),
    [
        ("file:///var/backups", "/var/backups"),
        ("file://localhost/var/backups", "/var/backups"),
        ("file:///with%20blank/%C3%A9", "/with blank/é"),
        ("file:///mnt/bak1%23/mnt/bak2", "/mnt/bak1#/mnt/bak2"),
    ],
)
def test_addresses(url, path):
    """An address is unquoted; %23 separates directories."""
    spec = local_spec(url)

    assert spec.provider == "kbackup.io/local"
    assert spec.config == {"path": path}


@pytest.mark.parametrize(
    "url", ["file://host/x", "file://x", "file:///a#/b", "file:///a#", "file:///a?b=c"]
)
def test_addresses_that_cannot_be_meant(url):
    """A host, a bare # or a query in an address is refused with what to write."""
    with pytest.raises(InvalidConfigError):
        local_spec(url)


def test_provider_names():
    """The provider answers to both of its names and to its scheme."""
    plugins = PluginManager()

    factory = plugins.object_store_factory("kbackup.io/local")

    assert plugins.object_store_factory("csdz.io/local") is factory
    assert plugins.object_store_factory("file") is factory

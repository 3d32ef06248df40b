"""The version that documents name as their writer's."""

from importlib.metadata import version

from kbackup._kits.versions import installed_version


def test_installed_version():
    """It is the installed distribution's; without one the word for that."""
    assert installed_version("kbackup") == version("kbackup")
    assert installed_version("kbackup-that-nobody-has") == "unknown"

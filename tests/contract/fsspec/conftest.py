"""The SFTP server that the tests of this directory speak to."""

from __future__ import annotations

import os
import shutil

import pytest

from kbackup_plugins_fsspec import open_filesystem_store
from sftp_server import running_sftp


@pytest.fixture(scope="session")
def sftp_server(tmp_path_factory):
    """Run OpenSSH's server for all tests of a process."""
    program = shutil.which("sshd", path=f"{os.environ['PATH']}:/usr/sbin")
    if program is None:
        if os.environ.get("KBACKUP_REQUIRE_REAL"):
            pytest.fail("sshd is not installed")
        pytest.skip("sshd is not installed")
    with running_sftp(program, tmp_path_factory.mktemp("sshd")) as server:
        yield server


@pytest.fixture
def sftp_config(sftp_server, tmp_path):
    """What a store on the server is opened with; its directory is not there yet."""
    return sftp_server.config(tmp_path / "there/store")


@pytest.fixture
def store(sftp_config):
    """Open an empty store."""
    store = open_filesystem_store(sftp_config)
    yield store
    store.close()

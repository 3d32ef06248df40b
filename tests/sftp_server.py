"""OpenSSH's server on a loopback port, for tests of a store that speaks SFTP to it."""

from __future__ import annotations

import getpass
import os
import signal
import socket
import subprocess
import time
from contextlib import contextmanager
from pathlib import Path

import attrs

_CONFIGURATION = """\
ListenAddress 127.0.0.1
Port {port}
HostKey {directory}/host_key
AuthorizedKeysFile {directory}/key.pub
PidFile none
StrictModes no
UsePAM no
UseDNS no
PasswordAuthentication no
KbdInteractiveAuthentication no
LogLevel ERROR
Subsystem sftp internal-sftp {options}
"""


@attrs.frozen
class SFTPServer:
    """A server that lets the user of the tests in by a key of its own.

    Attributes:
        directory: With ``key``, which opens it, and ``known_hosts``.
    """

    port: int
    directory: Path
    process: subprocess.Popen

    @property
    def address(self):
        """The address without a path."""
        return f"sftp://{getpass.getuser()}@127.0.0.1:{self.port}"

    def config(self, path, **more):
        """Return the provider's configuration for a directory."""
        return {
            "url": f"{self.address}{path}",
            "key_filename": str(self.directory / "key"),
            "knownHosts": str(self.directory / "known_hosts"),
            "allow_agent": "false",
            "look_for_keys": "false",
            **more,
        }

    def sessions(self):
        """Return the processes that serve connections, without the one that listens."""
        found = []
        for stat in Path("/proc").glob("[0-9]*/stat"):
            try:
                parent = int(stat.read_text().rpartition(")")[2].split()[1])
            except (OSError, ValueError):  # it has just ended
                continue
            if parent == self.process.pid:
                found.append(int(stat.parent.name))
        return found

    def cut(self):
        """End every connection."""
        for session in self.sessions():
            os.kill(session, signal.SIGKILL)
        deadline = time.monotonic() + 30
        while self.sessions() and time.monotonic() < deadline:
            time.sleep(0.01)


def new_key(path):
    """Make a pair of keys."""
    subprocess.run(
        ["ssh-keygen", "-q", "-t", "ed25519", "-N", "", "-C", "test", "-f", path],
        check=True,
        stdin=subprocess.DEVNULL,
    )


@contextmanager
def running_sftp(program, directory, options=""):
    """Run sshd with keys of its own in *directory*; *options* are those of sftp."""
    for name in ("host_key", "key"):
        new_key(directory / name)
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        port = free.getsockname()[1]
    public = (directory / "host_key.pub").read_text()
    (directory / "known_hosts").write_text(f"[127.0.0.1]:{port} {public}")
    configuration = directory / "sshd_config"
    configuration.write_text(
        _CONFIGURATION.format(port=port, directory=directory, options=options)
    )
    if os.geteuid() == 0:  # sshd wants this directory of root's, and does not make it
        Path("/run/sshd").mkdir(mode=0o755, exist_ok=True)
    command = [program, "-D", "-e", "-f", configuration]
    with (directory / "log").open("wb") as log:
        process = subprocess.Popen(command, stderr=log, stdin=subprocess.DEVNULL)
    server = SFTPServer(port, directory, process)
    try:
        _wait_for(server)
        yield server
    finally:
        process.terminate()
        process.wait(30)
        server.cut()


def _wait_for(server):
    deadline = time.monotonic() + 30
    while time.monotonic() < deadline and server.process.poll() is None:
        try:
            with socket.create_connection(("127.0.0.1", server.port), 5) as greeted:
                if greeted.recv(4) == b"SSH-":
                    return
        except OSError:
            time.sleep(0.02)
    raise AssertionError((server.directory / "log").read_text())

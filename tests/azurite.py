"""Azurite, Microsoft's emulator of Azure's blobs, on a loopback port."""

from __future__ import annotations

import os
import queue
import re
import shutil
import subprocess
import threading
from contextlib import contextmanager
from pathlib import Path

import attrs
from azure.storage.blob import BlobServiceClient

ACCOUNT = "devstoreaccount1"
# Azurite's own, which is published.
KEY = (
    "Eby8vdM02xNOcqFlqUwJPLlmEtlCDXJ1OUzFT50uSRZ6IFsuFq2UVErCz4I6tq/"
    "K1SZFPTOtr/KBHBeksoGMGw=="
)
KEY_VARIABLE = "AZURITE_ACCOUNT_KEY"
_STARTING = 60  # seconds
_LISTENS = re.compile(r"listens on (https?://[0-9.:]+)")


@attrs.frozen
class Azurite:
    """A running Azurite: where it is, and what its location's config says."""

    url: str

    def config(self, container, **more):
        """Return the provider's configuration for a container."""
        return {
            "bucket": container,
            "storageAccount": ACCOUNT,
            "storageAccountURI": f"{self.url}/{ACCOUNT}",
            "storageAccountKeyEnvVar": KEY_VARIABLE,
            **more,
        }

    def client(self, **options):
        """Return the SDK's own client, to look at what is there."""
        url = f"{self.url}/{ACCOUNT}"
        return BlobServiceClient(url, credential=KEY, retry_total=0, **options)


def azurite_program(home):
    """Return where Azurite is: on the path, or where ``.ci/run`` puts it; else None."""
    kept = Path(home) / ".cache/kbackup/azurite/node_modules/.bin"
    path = os.pathsep.join([os.environ.get("PATH", ""), str(kept)])
    return shutil.which("azurite-blob", path=path)


@contextmanager
def running_azurite(program, directory, *options):
    """Run Azurite in a process of its own, on a port that the system picks."""
    kept = ("--inMemoryPersistence", "--skipApiVersionCheck", "--disableTelemetry")
    with subprocess.Popen(
        [program, "--blobHost", "127.0.0.1", "--blobPort", "0", *kept, *options],
        cwd=directory,
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        text=True,
    ) as process:
        said = queue.Queue()
        reader = threading.Thread(target=_read, args=(process.stdout, said))
        reader.start()
        try:
            yield Azurite(said.get(timeout=_STARTING))
        finally:
            process.kill()
            reader.join()


def _read(output, said):
    """Pass on where it listens, and read the rest so that it is never held up."""
    for line in output:
        if found := _LISTENS.search(line):
            said.put(found[1])

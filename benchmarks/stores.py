"""Put and get objects by our stores and by the vendors' own libraries, in turn.

    python benchmarks/stores.py [--providers s3,gcs,azure] [--rounds 3] [--scale 1.0]

One object of 1 GiB, 64 of 16 MiB and 1,000 of 100 kB, against a server that throws away
what it gets and sends zeros (`object_sink.py`), each measurement in a process of its own.
Against boto3's transfer manager, google-cloud-storage and azure-storage-blob, each with as
many threads. Budgets: 0.9 of their throughput, 256 MiB. Then a list of 100,000 objects,
with the memory that it takes. Exit code 1 where a budget is missed.
"""

import argparse
import io
import json
import os
import sys
import tempfile
from concurrent.futures import ThreadPoolExecutor
from contextlib import ExitStack, closing
from pathlib import Path

from measuring import in_own_process, median, timed
from object_sink import LISTED, running

SIZES = {
    "1 x 1 GiB": (1, 1 << 30),
    "64 x 16 MiB": (64, 16 << 20),
    "1000 x 100 kB": (1000, 100_000),
}
THREADS = 16  # for many objects; a single one has what its library gives it
LEAST, MOST = 0.9, 256  # of their throughput; MiB
KEY = "a2V5LW9mLW5vYm9keQ=="  # of an account that the sink does not look at


class Nowhere(io.RawIOBase):
    """Takes every byte."""

    def writable(self):
        """It is."""
        return True

    def seekable(self):
        """It is, for whoever writes pieces in any order."""
        return True

    def tell(self):
        """Say where it is: at the beginning."""
        return 0

    def seek(self, place, whence=0):
        """Go where it is all the same."""
        del whence
        return place

    def write(self, data):
        """Say that all of it was written."""
        return len(data)


def main():
    """Measure in turns and print."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--providers", default="s3,gcs,azure", help="with commas")
    parser.add_argument("--rounds", type=int, default=3)
    parser.add_argument("--scale", type=float, default=1.0, help="of how many bytes")
    parser.add_argument("--measure", nargs=5, help=argparse.SUPPRESS)
    options = parser.parse_args()
    if options.measure:
        print(json.dumps(measured(options.measure, options.scale)))
        return False
    missed = False
    for provider in options.providers.split(","):
        with running(provider) as url:
            for sizes in SIZES:
                for work in ("put", "get"):
                    missed |= compared(options, (provider, url, work, sizes))
            missed |= listed(options, provider, url)
    return missed


def compared(options, given):
    """Measure both ways in turn, and print a line; tell whether a budget is missed."""
    provider, url, work, sizes = given
    found = {"ours": [], "theirs": []}
    for number in range(options.rounds):
        for way in sorted(found, reverse=bool(number % 2)):
            taken = measure(options, way, provider, url, work, sizes)
            found[way].append(taken)
    count, size = scaled(sizes, options.scale)
    ours, theirs = (
        count * size / 2**20 / median(found[way], "seconds") for way in found
    )
    memory = max(each["mebibytes"] for each in found["ours"])
    most = max(each["mebibytes"] for each in found["theirs"])
    print(
        f"{provider:5} {work} {sizes:13} {ours:6.0f} MiB/s, theirs {theirs:6.0f}:"
        f" {ours / theirs:.2f} x, budget {LEAST} x; {memory} MiB, theirs {most}",
        flush=True,
    )
    return ours < LEAST * theirs or memory > MOST


def listed(options, provider, url):
    """Measure a list, print, and tell whether it takes too much."""
    taken = measure(options, "ours", provider, url, "list", next(iter(SIZES)))
    each = taken["seconds"] / LISTED * 1e6
    print(
        f"{provider:5} list {LISTED:,} objects: {each:.1f} us each, {taken['mebibytes']} MiB"
    )
    return taken["mebibytes"] > MOST


def measure(options, *given):
    """Measure one way in a process of its own."""
    return in_own_process(__file__, "--scale", str(options.scale), "--measure", *given)


def scaled(sizes, scale):
    """How many objects, and of how many bytes."""
    count, size = SIZES[sizes]
    return count, int(size * scale)


# --- in a process of its own ----------------------------------------------------------


def measured(given, scale):
    """Do it once with one small object, so that what is loaded is, and then in time."""
    way, provider, url, work, sizes = given
    count, size = scaled(sizes, scale)
    with ExitStack() as leaving:
        scratch = leaving.enter_context(tempfile.TemporaryDirectory())
        if way == "ours":
            do = ours(leaving.enter_context(closing(opened(provider, url))), work)
        else:
            do = theirs(provider, url, work)
        small, source = Path(scratch, "small"), Path(scratch, "source")
        small.write_bytes(b"x" * 1000)
        with source.open("wb") as file:
            file.truncate(size)
        do("backups/warm-1000", small)
        if count == 1:
            return timed(lambda: do(f"backups/0-{size}", source))
        with ThreadPoolExecutor(THREADS) as pool:
            keys = [f"backups/{number}-{size}" for number in range(count)]
            return timed(lambda: list(pool.map(lambda key: do(key, source), keys)))


def ours(store, work):
    """Return what our store does with a key and a file."""
    return {
        "put": store.put,
        "get": lambda key, _: store.get(key, Nowhere()),
        "list": lambda _, __: sum(1 for _ in store.list("backups/")),
    }[work]


def opened(provider, url):
    """Open our store at the sink."""
    if provider == "s3":
        from kbackup_plugins_aws import open_s3_store  # noqa: PLC0415 - of one provider only

        os.environ |= {"AWS_ACCESS_KEY_ID": "x", "AWS_SECRET_ACCESS_KEY": "x"}
        path = {"region": "r", "s3Url": url, "s3ForcePathStyle": "true"}
        return open_s3_store({"bucket": "bucket", **path})
    if provider == "gcs":
        from kbackup_plugins_gcp import open_gcs_store  # noqa: PLC0415 - of one provider only

        return open_gcs_store({"bucket": "bucket", "storeEndpoint": url})
    from kbackup_plugins_azure import open_blob_store  # noqa: PLC0415 - of one provider only

    os.environ["SINK_KEY"] = KEY
    account = {"storageAccount": "account", "storageAccountURI": f"{url}/account"}
    return open_blob_store(
        {"bucket": "container", "storageAccountKeyEnvVar": "SINK_KEY", **account}
    )


def theirs(provider, url, work):
    """Return what the vendor's library does with a key and a file."""
    return {"s3": boto3s, "gcs": googles, "azure": microsofts}[provider](url)[work]


def boto3s(url):
    """By boto3's transfer manager."""
    import boto3  # noqa: PLC0415 - of one provider only
    from botocore.config import Config  # noqa: PLC0415 - of one provider only

    client = boto3.client(
        "s3",
        endpoint_url=url,
        region_name="r",
        aws_access_key_id="x",
        aws_secret_access_key="x",  # noqa: S106 - the sink takes any
        config=Config(max_pool_connections=50, s3={"addressing_style": "path"}),
    )
    return {
        "put": lambda key, source: client.upload_file(str(source), "bucket", key),
        "get": lambda key, _: client.download_fileobj("bucket", key, Nowhere()),
    }


def googles(url):
    """By google-cloud-storage."""
    from google.auth.credentials import AnonymousCredentials  # noqa: PLC0415 - of one provider only
    from google.cloud import storage  # noqa: PLC0415 - of one provider only

    client = storage.Client(
        "project",
        credentials=AnonymousCredentials(),
        client_options={"api_endpoint": url},
    )
    bucket = client.bucket("bucket")

    def put(key, source):
        bucket.blob(key).upload_from_filename(str(source), checksum=None)

    def get(key, _):
        bucket.blob(key).download_to_file(Nowhere(), checksum=None)

    return {"put": put, "get": get}


def microsofts(url):
    """By azure-storage-blob."""
    from azure.storage.blob import BlobServiceClient  # noqa: PLC0415 - of one provider only

    service = BlobServiceClient(f"{url}/account", credential=KEY)
    container = service.get_container_client("container")

    def put(key, source):
        with source.open("rb") as file:
            container.upload_blob(key, file, overwrite=True, max_concurrency=4)

    def get(key, _):
        container.download_blob(key, max_concurrency=4).readinto(Nowhere())

    return {"put": put, "get": get}


if __name__ == "__main__":
    sys.exit(main())

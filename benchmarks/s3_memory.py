"""How much memory the upload and download of a large object in S3 takes.

    python benchmarks/s3_memory.py [MIB]

Runs against a bare sink in a process of its own, which throws away what it gets, and
prints the peak of this process beyond its state before. Budget: 160 MiB for 512 MiB,
whatever the size. The throughput is printed for orientation.
"""

import http.server
import multiprocessing
import os
import re
import resource
import sys
import tempfile
import time
from pathlib import Path

from kbackup_plugins_aws import open_s3_store

BUDGET = 160  # MiB
XML = '<?xml version="1.0" encoding="UTF-8"?>'


class Sink(http.server.BaseHTTPRequestHandler):
    """Answers as S3 does; keeps nothing but the size of the object."""

    protocol_version = "HTTP/1.1"
    size = 0

    def do_PUT(self):
        """Take an object or a part."""
        left = int(self.headers["Content-Length"])
        Sink.size += left
        while left:
            left -= len(self.rfile.read(min(left, 1 << 20)))
        self.answer(b"", ETag='"part"')

    def do_POST(self):
        """Begin or end an upload in parts."""
        self.rfile.read(int(self.headers.get("Content-Length") or 0))
        if "uploads" in self.path:
            Sink.size = 0
            body = "<InitiateMultipartUploadResult><UploadId>u</UploadId>"
            body += "</InitiateMultipartUploadResult>"
        else:
            body = '<CompleteMultipartUploadResult><ETag>"e"</ETag>'
            body += "</CompleteMultipartUploadResult>"
        self.answer((XML + body).encode())

    def do_HEAD(self):
        """Describe the object."""
        self.send_response(200)
        self.send_header("Content-Length", str(Sink.size))
        self.send_header("ETag", '"e"')
        self.end_headers()

    def do_GET(self):
        """Send zeros."""
        first, last = re.findall(r"\d+", self.headers["Range"])
        self.send_response(206)
        self.send_header("Content-Length", str(int(last) - int(first) + 1))
        self.end_headers()
        for _ in range(int(first), int(last) + 1, 1 << 20):
            self.wfile.write(bytes(1 << 20))

    def answer(self, body, **headers):
        """Send a whole answer."""
        self.send_response(200)
        for name, value in headers.items():
            self.send_header(name, value)
        self.send_header("Content-Length", str(len(body)))
        self.end_headers()
        self.wfile.write(body)

    def log_message(self, *args):
        """Say nothing."""


def serve(connection):
    """Run the sink on a port that the system picks, and tell it."""
    server = http.server.ThreadingHTTPServer(("127.0.0.1", 0), Sink)
    connection.send(server.server_port)
    server.serve_forever()


def peak():
    """Return the highest memory so far in MiB."""
    return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1024


def main():
    """Measure and print."""
    size = int(sys.argv[1]) if len(sys.argv) > 1 else 512
    ours, theirs = multiprocessing.Pipe()
    context = multiprocessing.get_context("spawn")
    sink = context.Process(target=serve, args=(theirs,), daemon=True)
    sink.start()
    for name in ("AWS_ACCESS_KEY_ID", "AWS_SECRET_ACCESS_KEY"):
        os.environ[name] = "x"  # the sink takes any
    store = open_s3_store(
        {
            "bucket": "bucket",
            "region": "r",
            "s3Url": f"http://127.0.0.1:{ours.recv()}",
            "s3ForcePathStyle": "true",
        }
    )
    store.put("backups/warm/up", b"x" * 1000)
    with tempfile.TemporaryDirectory() as directory:
        source = Path(directory) / "object"
        with source.open("wb") as file:
            file.truncate(size << 20)
        for name, work in (
            ("put", lambda: store.put("backups/b/b.tar.gz", source, create=True)),
            ("get", lambda: read(store)),
        ):
            before, start = peak(), time.perf_counter()
            work()
            seconds = time.perf_counter() - start
            print(
                f"{name} {size} MiB: peak + {peak() - before:.0f} MiB "
                f"(budget {BUDGET}), {size / seconds:.0f} MiB/s"
            )
    store.close()
    sink.kill()


def read(store):
    """Read the object and throw it away."""
    with Path(os.devnull).open("wb") as nowhere:
        store.get("backups/b/b.tar.gz", nowhere)


if __name__ == "__main__":
    main()

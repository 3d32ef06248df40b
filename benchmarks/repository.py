"""Back up and restore files with kbackup and with stock restic, in turn.

    python benchmarks/repository.py [--cases a,b,c,d] [--rounds 3] [--scale 1.0]

The same files, the same directory on disk, the same parameters of the key (restic made
both repositories), each command in a process of its own, kbackup and restic in turn: the
first backup, one with nothing changed, one with a hundredth of the files changed, and a
restore. What of it is starting and opening a repository, half a second on purpose, is
measured and printed on its own. Prints medians, ratios and the most memory, with the
budgets of docs/benchmarks.md. Needs `restic`.
Exit code 1 where a budget is missed.
"""

import argparse
import os
import random
import shutil
import statistics
import subprocess
import sys
import tempfile
import time
from pathlib import Path

PASSWORD = "benchmark"  # noqa: S105 - of files that nobody needs
STEPS = ("first", "unchanged", "changed", "restore")
QUICKER = 0.75
TO_BE_QUICKER = {
    *((case, "first") for case in ("a", "b", "d")),
    *((case, "restore") for case in ("a", "b")),
}
KBACKUP = """
import sys
from kbackup.repository import Repository
what, place, *rest = sys.argv[1:]
repository = Repository.open(place, sys.stdin.read())
if what == "backup":
    assert not repository.back_up(rest[0]).unreadable
elif what == "restore":
    assert not repository.restore("latest", rest[0]).problems
else:
    repository.list()
"""
WORDS = [
    bytes(random.Random(n).choices(b"abcdefghijklmnopqrstuvwxyz", k=n % 9 + 2))
    for n in range(5000)
]


def main():
    """Measure in turns and print."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--cases", default="a,b,c,d", help="of a to f, with commas")
    parser.add_argument("--rounds", type=int, default=3)
    parser.add_argument("--scale", type=float, default=1.0, help="of all sizes")
    parser.add_argument("--make", nargs=2, help=argparse.SUPPRESS)
    options = parser.parse_args()
    if options.make:
        return make_files(Path(options.make[0]), options.make[1], options.scale)
    missed = False
    print(subprocess.check_output(["restic", "version"], text=True).strip())
    for case in options.cases.split(","):
        with tempfile.TemporaryDirectory() as scratch:
            files = Path(scratch, "files")
            # What this process holds would count as theirs.
            making = ["--make", files, case, "--scale", str(options.scale)]
            subprocess.run([sys.executable, __file__, *making], check=True)
            found = measured(Path(scratch), files, options.rounds)
        missed |= report(case, found)
    return missed


# --- the files ------------------------------------------------------------------------


def make_files(root, case, scale):
    """Make the files of a case; d has those of a to c."""
    makers = {
        "a": random_files,
        "b": text_files,
        "c": small_files,
        "e": tiny_files,
        "f": one_directory,
    }
    for each in "abc" if case == "d" else case:
        directory = root / each
        directory.mkdir(parents=True)
        makers[each](directory, scale)


def random_files(directory, scale):
    """Eight files of 64 MiB that nothing compresses."""
    for number in range(8):
        content = random.Random(number).randbytes(int(scale * (64 << 20)))
        (directory / f"{number}").write_bytes(content)


def text_files(directory, scale):
    """Eight files of 32 MiB of words."""
    for number in range(8):
        draw, size = random.Random(number), 0
        with (directory / f"{number}.txt").open("wb") as file:
            while size < scale * (32 << 20):
                size += file.write(b" ".join(draw.choices(WORDS, k=10_000)) + b"\n")


def small_files(directory, scale):
    """20,000 files of 0.1 to 20 kB, half of them text."""
    draw = random.Random(1)
    for number in range(int(scale * 20_000)):
        size = draw.randint(100, 20_000)
        put_small(directory, number, draw, size)


def tiny_files(directory, scale):
    """200,000 files of about 1 kB."""
    draw = random.Random(1)
    for number in range(int(scale * 200_000)):
        put_small(directory, number, draw, draw.randint(500, 1500))


def one_directory(directory, scale):
    """A million files in one directory, with a thousand contents among them."""
    for number in range(int(scale * 1_000_000)):
        (directory / f"{number:07d}").write_bytes(b"%d" % (number % 1000))


def put_small(directory, number, draw, size):
    """Write one small file, two hundred of them in each directory."""
    text = b" ".join(draw.choices(WORDS, k=size // 7 + 1))[:size]
    content = draw.randbytes(size) if number % 2 else text
    below = directory / f"{number // 200:04d}"
    below.mkdir(exist_ok=True)
    (below / f"{number:06d}").write_bytes(content)


def change(root, number):
    """Change a hundredth: of many files some, of few some bytes in each."""
    files = sorted(path for path in root.rglob("*") if path.is_file())
    for path in files[number :: max(1, len(files) // max(8, len(files) // 100))]:
        with path.open("r+b") as file:
            file.seek(path.stat().st_size // 2)
            file.write(os.urandom(max(1, path.stat().st_size // 100)))


# --- what is measured -----------------------------------------------------------------


def measured(scratch, files, rounds):
    """Return seconds and memory by program and step."""
    found = {}
    for number in range(rounds):
        places = {name: scratch / name for name in ("restic", "kbackup")}
        for place in places.values():
            shutil.rmtree(place, ignore_errors=True)
        restic(places["restic"], "init")
        shutil.copytree(places["restic"], places["kbackup"])
        for step in ("open", *STEPS):
            if step == "changed":
                change(files, number)
            order = sorted(places, reverse=bool(number % 2))
            for name in order:
                run = restic if name == "restic" else kbackup
                target = scratch / "target"
                shutil.rmtree(target, ignore_errors=True)
                taken = run(places[name], *arguments_of(name, step, files, target))
                found.setdefault((name, step), []).append(taken)
    return found


def arguments_of(name, step, files, target):
    """Return what the program of that name is called with."""
    if step == "open":
        return ["snapshots"]
    if step == "restore":
        named = ["latest", "--target", target] if name == "restic" else [target]
        return ["restore", *named]
    return ["backup", files]


def restic(place, *arguments):
    """Run restic; return seconds and MiB."""
    command = ["restic", "--repo", place, "--no-cache", "--quiet", *arguments]
    return timed(command, b"")


def kbackup(place, what, *arguments):
    """Run kbackup; return seconds and MiB."""
    return timed(
        [sys.executable, "-c", KBACKUP, what, place, *arguments], PASSWORD.encode()
    )


def timed(command, stdin):
    """Run a command; return seconds and the most MiB that it held."""
    os.sync()  # what one command leaves to be written is no time of the next
    began = time.perf_counter()
    process = subprocess.Popen(
        command,
        env=os.environ | {"RESTIC_PASSWORD": PASSWORD},
        stdin=subprocess.PIPE,
        stdout=subprocess.DEVNULL,
    )
    process.stdin.write(stdin)
    process.stdin.close()
    _, status, usage = os.wait4(process.pid, 0)
    process.returncode = os.waitstatus_to_exitcode(status)
    assert process.returncode == 0, command
    return time.perf_counter() - began, memory_of(usage)


def memory_of(usage):
    """Return MiB; macOS counts bytes."""
    return usage.ru_maxrss / (2**20 if sys.platform == "darwin" else 2**10)


# --- the report -----------------------------------------------------------------------


def report(case, found):
    """Print a table of one case; tell whether a budget was missed."""
    missed = False
    opened = {name: median(found[name, "open"], 0) for name in ("restic", "kbackup")}
    print(
        f"{case}: to start and open: restic {opened['restic']:.2f} s,"
        f" kbackup {opened['kbackup']:.2f} s"
    )
    for step in STEPS:
        ours, theirs = (median(found[name, step], 0) for name in ("kbackup", "restic"))
        budget = QUICKER if (case, step) in TO_BE_QUICKER else 1.0
        ratio = ours / theirs
        missed |= ratio > budget
        print(
            f"   {step:10} kbackup {ours:6.2f} s, restic {theirs:6.2f} s:"
            f" {ratio:.2f} x, budget {budget} x;"
            f" {most(found['kbackup', step]):.0f} MiB,"
            f" restic {most(found['restic', step]):.0f} MiB",
            flush=True,
        )
    return missed


def median(taken, which):
    """The median of one figure."""
    return statistics.median(each[which] for each in taken)


def most(taken):
    """The most memory of all rounds."""
    return max(each[1] for each in taken)


if __name__ == "__main__":
    sys.exit(main())

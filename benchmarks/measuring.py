"""What a piece of work takes, in a process of its own, and the line that tells it."""

import json
import re
import resource
import statistics
import subprocess
import sys
import time
from pathlib import Path


def in_own_process(script, *arguments):
    """Measure in a fresh process, whose memory and CPU time are then its own.

    That prints what it found as JSON.
    """
    command = [sys.executable, script, *arguments]
    answer = subprocess.run(command, check=True, stdout=subprocess.PIPE, text=True)
    return json.loads(answer.stdout)


def measure(script, calls, found):
    """Let a script measure one after the other, print and keep what each took."""
    for what, *arguments in calls:
        taken = in_own_process(script, "--measure", what, *arguments)
        found.setdefault(what, []).append(taken)
        print(f"  {what:10} {taken}", flush=True)


def timed(work):
    """Wall time, CPU time and memory of *work*."""
    began, cpu = time.perf_counter(), time.process_time()
    work()
    return {
        "seconds": round(time.perf_counter() - began, 3),
        "cpu": round(time.process_time() - cpu, 3),
        "mebibytes": round(peak_memory()),
    }


def peak_memory():
    """Return the most MiB that this process held.

    Not `ru_maxrss`, which on Linux begins with what the parent held at the fork.
    """
    try:
        status = Path("/proc/self/status").read_text()
    except FileNotFoundError:  # macOS, in bytes there
        return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 2**20
    return int(re.search(r"VmHWM:\s+(\d+) kB", status)[1]) / 1024


def median(measured, key):
    """The median of one figure."""
    return statistics.median(each[key] for each in measured)


def compare(what, measured, floors, ratio, most):
    """Print one line; tell whether a budget was missed."""
    wall, floor = median(measured, "seconds"), median(floors, "seconds")
    memory = max(each["mebibytes"] for each in measured)
    print(
        f"{what:17} {wall:7.2f} s, floor {floor:7.2f} s: {wall / floor:.2f} x,"
        f" budget {ratio} x; {memory} MiB, budget {most} MiB"
    )
    return wall > ratio * floor or memory > most

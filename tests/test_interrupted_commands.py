"""Ctrl-C and SIGTERM while a command works: its exit code, one line, no file begun, no process and no memory left."""

import contextlib
import os
import signal
import subprocess
import sys
import time
from pathlib import Path

import h5py
import numpy as np
import pytest

from bm_core.data import shipped

pytestmark = pytest.mark.skipif(sys.platform != "linux", reason="looks for processes in /proc")

STREAM = shipped("motions", "stream_s2_000.npz")
PATIENCE_S = 180.0
"""For a machine that does much else; nobody waits so long on another."""
AT_WORK = "at work"
DRIVER = f"""
import sys
import rich.progress

start = rich.progress.Progress.start


def tell(self):
    start(self)
    print({AT_WORK!r}, flush=True)


rich.progress.Progress.start = tell
from bm_sim2real.cli import main

if __name__ == "__main__":  # processes of a pool import this file
    sys.exit(main(sys.argv[1:]))
"""
"""`bm`, which says when its progress bar appears: from then on it works."""


def eventually(is_so, what):
    end = time.monotonic() + PATIENCE_S
    while not (found := is_so()):
        assert time.monotonic() < end, f"waited for {what}"
        time.sleep(0.02)
    return found


def below(pid):
    """All processes that `pid` has started, and those that they have, each with when it began."""
    children = {}
    for folder in Path("/proc").glob("[0-9]*"):
        with contextlib.suppress(OSError):
            fields = (folder / "stat").read_text().rpartition(")")[2].split()
            if fields[0] != "Z":
                children.setdefault(int(fields[1]), []).append((int(folder.name), fields[19]))
    found, todo = [], [pid]
    while todo:
        more = children.get(todo.pop(), [])
        found += more
        todo += [child for child, _ in more]
    return found


def is_alive(process):
    pid, began = process
    try:
        fields = Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()
    except OSError:
        return False
    return fields[19] == began and fields[0] != "Z"


class Job:
    """One command in a session of its own, in an empty folder, with temporary files of its own.

    Commands choose a DDS tag of their own; `bm bridge` does not and gets one, or it would meet bridges of other tests.
    """

    def __init__(self, words, folder):
        self.folder, self.temporary = folder / "work", folder / "temporary"
        self.folder.mkdir()
        self.temporary.mkdir()
        driver = folder / "driver.py"
        driver.write_text(DRIVER)
        # Not measured by `make coverage`: what a signal raises inside a lock of coverage stops the process for good.
        left_out = ("BM_DDS_TAG", "COVERAGE")
        environment = {name: value for name, value in os.environ.items() if not name.startswith(left_out)}
        if words[0] == "bridge":
            environment["BM_DDS_TAG"] = f"lone-{os.getpid()}"
        with open(folder / "out", "wb") as out, open(folder / "err", "wb") as err:
            self.process = subprocess.Popen(
                [sys.executable, str(driver), *words],
                cwd=self.folder, stdin=subprocess.DEVNULL, stdout=out, stderr=err, start_new_session=True,
                env={**environment, "TMPDIR": str(self.temporary), "PYTHONUNBUFFERED": "1"},
            )  # fmt: skip
        self._out, self._err = folder / "out", folder / "err"

    @property
    def out(self):
        return self._out.read_text(errors="replace")

    @property
    def said(self):
        return [line for line in self._err.read_text(errors="replace").splitlines() if line.strip()]

    def wait_for(self, is_so, what):
        eventually(lambda: is_so() or self.process.poll() is not None, what)
        assert self.process.poll() is None, self.said[-20:]

    def end(self, signals):
        """Send them, to the group as a terminal does or to the one process; exit code and what outlives it."""
        started = self.started = below(self.process.pid)
        for number in signals:
            if number is signal.SIGINT:
                os.killpg(self.process.pid, number)
            else:
                self.process.send_signal(number)
        code = self.process.wait(PATIENCE_S)
        with contextlib.suppress(AssertionError):  # those that clean up get their time
            eventually(lambda: not any(map(is_alive, started)), "the end of its processes")
        return code, [process for process in started if is_alive(process)]

    def left(self):
        """Files in its folder and among its temporary ones, and shared memory with the number of one of its own."""
        # ONNX Runtime keeps a file .ses of its own there.
        temporary = [path for path in self.temporary.rglob("*") if path.name != ".ses"]
        numbers = {str(pid) for pid, _ in [*self.started, (self.process.pid, "")]}
        memory = [path for path in Path("/dev/shm").glob("bm-bridge*") if path.name.rpartition("-")[2] in numbers]
        return sorted(self.folder.rglob("*")), temporary, memory

    def kill(self):
        for pid, _ in [*below(self.process.pid), (self.process.pid, "")]:
            with contextlib.suppress(ProcessLookupError):
                os.kill(pid, signal.SIGKILL)
        self.process.wait()


@pytest.fixture
def job(tmp_path):
    jobs = []
    faults = tmp_path / "faults.yaml"
    # Each with a bridge, its shared memory and temporary files, in a process of the pool; more than anybody waits for.
    entries = [f"  - {{name: fault {index}, fault: IMU quaternion NaN}}" for index in range(500)]
    faults.write_text("\n".join(["scenarios:", *entries]) + "\n")

    def start(line):
        jobs.append(Job(line.format(stream=STREAM, faults=faults).split(), tmp_path))
        return jobs[-1]

    yield start
    for one in jobs:
        one.kill()
    Path(f"/dev/shm/bm-bridge-lo-lone-{os.getpid()}").unlink(missing_ok=True)


def at_work(job, processes):
    """Its progress bar is there, and so many processes of its own."""
    job.wait_for(lambda: AT_WORK in job.out and len(below(job.process.pid)) >= processes, "its work to begin")


LINES = {
    "eval tracking": ("eval tracking --jobs 2 --json x.json", 3),
    "eval brake": ("eval brake --jobs 2 --json x.json", 3),
    "regress": ("regress {faults} --jobs 2 --json x.json --report report", 3),
    "demo": ("demo --report report", 0),
    "bench": ("bench --loads 0 --steps 100000 --json x.json", 0),
    "fuzz": ("fuzz --json x.json", 0),
    "soak": (
        "soak --real-time-factor 0.1 --json x.json",
        4,
    ),  # or the robot leaves two slow cores nothing for its start
    "motion generate": ("motion generate --out clips", 0),
    "motion render": ("motion render {stream} --out x.mp4", 0),
    "motion check": ("motion check --json x.json", 0),
}
"""A command and how many processes of its own it has when it is at work (a pool has one more, which tracks)."""
ONCE = {
    "eval brake": signal.SIGINT,
    "bench": signal.SIGTERM,
    "fuzz": signal.SIGTERM,
    "soak": signal.SIGTERM,
    "motion generate": signal.SIGINT,
    "motion check": signal.SIGINT,
}
"""Tried with one of the two signals; the way from there on is that of the others."""
CODES = {signal.SIGINT: (130, "interrupted"), signal.SIGTERM: (143, "terminated")}


STOPS = [(name, number) for name in LINES for number in CODES if ONCE.get(name, number) == number]


@pytest.mark.parametrize("name, number", STOPS, ids=lambda value: getattr(value, "name", value))
def test_a_command_that_is_stopped_leaves_nothing_and_says_one_line(name, number, job):
    line, processes = LINES[name]
    running = job(line)
    at_work(running, processes)
    if name == "motion render":
        running.wait_for(lambda: list(running.folder.glob(".x.*.mp4")), "a film that has been begun")
    code, alive = running.end([number])
    assert (code, running.said) == (CODES[number][0], [CODES[number][1]])
    assert alive == []
    assert running.left() == ([], [], [])


def test_processes_of_a_pool_clean_up_behind_their_task(job):
    """Stopped while each has a bridge: its shared memory bears the process's number."""
    running = job(LINES["regress"][0])

    def has_bridges():
        names = [path.name for path in Path("/dev/shm").glob("bm-bridge-lo-regress-*")]
        return any(f"bm-bridge-lo-regress-{pid}" in names for pid, _ in below(running.process.pid))

    running.wait_for(has_bridges, "a bridge in the pool")
    code, alive = running.end([signal.SIGTERM])
    assert (code, alive) == (143, [])
    assert running.left() == ([], [], [])


def test_processes_of_a_pool_end_with_a_command_that_is_killed(job):
    """SIGKILL leaves it no time to end them."""
    running = job(LINES["eval tracking"][0])
    at_work(running, 3)
    assert running.end([signal.SIGKILL]) == (-signal.SIGKILL, [])


def recorded(file):
    """Names of its columns, its rows, its account of itself."""
    if file.suffix == ".npz":
        with np.load(file) as arrays:
            return set(arrays.files), len(arrays["time"]), str(arrays["info"])
    with h5py.File(file) as arrays:
        return set(arrays), len(arrays["time"]), arrays.attrs["info"]


@pytest.mark.parametrize("number", CODES, ids=lambda number: number.name)
@pytest.mark.parametrize("suffix", ["h5", "npz"])
def test_a_recording_of_a_run_that_is_stopped_is_whole(suffix, number, job):
    # In lockstep: in real time the guard ends the run by itself where this machine stands still for 60 ms.
    running = job(f"run --seconds 6000 --record x.{suffix} --json x.json")
    running.wait_for(lambda: " hang" in running.out, "the robot's first mode")
    code, alive = running.end([number])
    assert (code, running.said, alive) == (CODES[number][0], [CODES[number][1]], [])
    file = running.folder / f"x.{suffix}"
    assert running.left() == ([file], [], [])
    names, rows, info = recorded(file)
    assert {"time", "joint_pos", "written_q"} <= names and rows > 0 and "contract" in info


@pytest.mark.parametrize("number", CODES, ids=lambda number: number.name)
def test_a_bridge_that_still_waits_for_its_robot_ends_at_once(number, job):
    running = job("bridge --network-interface lo --wait 500")
    running.wait_for(lambda: "guardian:" in running.out and below(running.process.pid), "its writer")
    assert running.end([number]) == (0, [])
    assert running.said == []

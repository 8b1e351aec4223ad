"""How long this computer stands still, and how much of its time a hypervisor gives to others.

The first by a bare loop on each core, above the priority of everything that a launch starts; the second from
/proc/stat. Run as a program it is one such loop: `stillness.py CORE` says at SIGTERM by how much its worst tick was
late, s.
"""

from __future__ import annotations

import os
import signal
import subprocess
import sys
import threading
from pathlib import Path

_PERIOD_S = 0.01
_PRIORITY = 90
"""The guardian has 80."""


class Stillness:
    """A context; says afterwards what it saw."""

    worst_s = 0.0
    """Longest time for which a core did not run what it had to."""
    stolen = 0.0
    """Largest share of a second, of all cores, that went to others."""

    def __enter__(self) -> Stillness:
        self._loops = [
            subprocess.Popen([sys.executable, __file__, str(core)], stdout=subprocess.PIPE, text=True)
            for core in sorted(os.sched_getaffinity(0))
        ]
        for loop in self._loops:
            assert loop.stdout is not None
            loop.stdout.readline()
        self._ends = threading.Event()
        self._thread = threading.Thread(target=self._watch)
        self._thread.start()
        return self

    def __exit__(self, *_: object) -> None:
        self._ends.set()
        self._thread.join()
        for loop in self._loops:
            loop.terminate()
        self.worst_s = max(float(loop.communicate()[0]) for loop in self._loops)

    def __str__(self) -> str:
        return f"stood still for {self.worst_s:.2f} s and lost {self.stolen:.0%} of a second to others"

    def _watch(self) -> None:
        before = _jiffies()
        while not self._ends.wait(1.0):
            now = _jiffies()
            self.stolen = max(self.stolen, (now[0] - before[0]) / max(1, now[1] - before[1]))
            before = now


def _jiffies() -> tuple[int, int]:
    """Stolen and all, of all cores together (proc_stat(5))."""
    numbers = [int(number) for number in Path("/proc/stat").read_text().splitlines()[0].split()[1:9]]
    return numbers[7], sum(numbers)


def _main(core: int) -> None:
    from bm_sim2real.bridge.realtime import make_realtime
    from bm_sim2real.process_signals import Stop
    from bm_sim2real.timing import WallClock

    os.sched_setaffinity(0, {core})
    signal.signal(signal.SIGINT, signal.SIG_IGN)
    stop, clock, worst = Stop(), WallClock(_PERIOD_S, slip_s=0.0), 0.0
    make_realtime(priority=_PRIORITY)
    print("begins", flush=True)
    while not stop.requested:
        worst = max(worst, clock.wait())
    print(worst)


if __name__ == "__main__":
    _main(int(sys.argv[1]))

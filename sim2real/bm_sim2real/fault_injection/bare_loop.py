"""A 500 Hz loop that does nothing, in a process of its own, beside whatever is measured: how late is the machine?"""

from __future__ import annotations

import contextlib
import json
import subprocess
import sys

from bm_sim2real.process_signals import children_ignore_sigint, close_undisturbed, temporary_folder

_PATIENCE_S = 10.0


class BareLoop:
    """Runs while the context is open."""

    def __init__(self) -> None:
        self.late_ticks: list[int] | None = None
        """Histogram with the classes LATE_MS, once the context is closed; None if the process did not answer."""

    def __enter__(self) -> BareLoop:
        with contextlib.ExitStack() as ends:
            self._out = ends.enter_context(temporary_folder()) / "idle.json"
            command = [sys.executable, "-m", "bm_sim2real.soak_processes", "idle", str(self._out)]
            with children_ignore_sigint():
                self._process = subprocess.Popen(command)
                ends.callback(self._kill)
            self._ends = ends.pop_all()
        return self

    def __exit__(self, *_: object) -> None:
        try:
            self._process.terminate()
            self._process.wait(_PATIENCE_S)
            self.late_ticks = json.loads(self._out.read_text())["late_ticks"]
        except (subprocess.TimeoutExpired, FileNotFoundError):
            pass
        finally:
            close_undisturbed(self._ends)

    def _kill(self) -> None:
        """If it still runs."""
        self._process.kill()
        self._process.wait()

"""A 500 Hz loop that does nothing, in a process of its own, beside whatever is measured: how late is the machine?"""

from __future__ import annotations

import json
import subprocess
import sys
import tempfile
from pathlib import Path

from bm_sim2real.process_signals import children_ignore_sigint

_PATIENCE_S = 10.0


class BareLoop:
    """Runs while the context is open."""

    def __init__(self) -> None:
        self.late_ticks: list[int] | None = None
        """Histogram with the classes LATE_MS, once the context is closed; None if the process did not answer."""

    def __enter__(self) -> BareLoop:
        self._folder = tempfile.TemporaryDirectory()
        self._out = Path(self._folder.name) / "idle.json"
        command = [sys.executable, "-m", "bm_sim2real.soak_processes", "idle", str(self._out)]
        with children_ignore_sigint():
            self._process = subprocess.Popen(command)
        return self

    def __exit__(self, *_: object) -> None:
        self._process.terminate()
        try:
            self._process.wait(_PATIENCE_S)
            self.late_ticks = json.loads(self._out.read_text())["late_ticks"]
        except (subprocess.TimeoutExpired, FileNotFoundError):
            self._process.kill()
            self._process.wait()
        self._folder.cleanup()

"""What happened in the bridge, with its tick, as JSON lines. Written beside the loop: a full disk must not stop it."""

from __future__ import annotations

import json
import queue
import threading
import time
from pathlib import Path
from typing import Any


class EventLog:
    """Appends to a file on a thread of its own; without a path it only counts."""

    def __init__(self, path: Path | None, source: str) -> None:
        """`source`: writer or guardian, both may append to one file."""
        self._path, self._source = path, source
        self.lost = 0
        """Events that could not be written."""
        self._queue: queue.SimpleQueue[str | None] = queue.SimpleQueue()
        self._thread: threading.Thread | None = None
        if path is not None:
            self._thread = threading.Thread(target=self._write, name="event log", daemon=True)
            self._thread.start()

    def add(self, event: str, tick: int, **details: Any) -> None:
        """Returns at once. `tick` is the source's own."""
        line = {"source": self._source, "tick": tick, "event": event, "wall": time.time(), **details}
        if self._thread is not None:
            self._queue.put(json.dumps(line))

    def close(self) -> None:
        """Waits until all is written, at most 2 s."""
        if self._thread is not None:
            self._queue.put(None)
            self._thread.join(timeout=2.0)

    def _write(self) -> None:
        assert self._path is not None
        while (line := self._queue.get()) is not None:
            try:
                with self._path.open("a") as file:
                    file.write(line + "\n")
            except OSError:
                self.lost += 1


def read_events(path: Path) -> list[dict[str, Any]]:
    """All whole lines of an event log, in order; none if there is no file."""
    if not path.exists():
        return []
    return [json.loads(line) for line in path.read_text().splitlines() if line.endswith("}")]

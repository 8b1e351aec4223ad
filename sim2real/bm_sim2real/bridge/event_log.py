"""What happened in the bridge, with its tick, as JSON lines. Written beside the loop: a full disk must not stop it."""

from __future__ import annotations

import json
import queue
import sys
import threading
import time
from pathlib import Path
from typing import Any

from bm_core.atomic_file import cannot_be_written


class EventLog:
    """Appends to a file on a thread of its own; without a path it forgets them."""

    def __init__(self, path: Path | None, source: str) -> None:
        """`source`: writer or guardian, both may append to one file. Makes its folder.

        ConfigError if the file cannot be written: now, as later nothing stops the bridge.
        """
        self._path, self._source = path, source
        self.lost = 0
        """Events that could not be written."""
        self._cause = ""
        self._queue: queue.SimpleQueue[str | None] = queue.SimpleQueue()
        self._thread: threading.Thread | None = None
        if path is not None:
            _open_once(path)
            self._thread = threading.Thread(target=self._write, name="event log", daemon=True)
            self._thread.start()

    def add(self, event: str, tick: int, **details: Any) -> None:
        """Returns at once. `tick` is the source's own."""
        line = {"source": self._source, "tick": tick, "event": event, "wall": time.time(), **details}
        if self._thread is not None:
            self._queue.put(json.dumps(line))

    def close(self) -> None:
        """Waits until all is written, at most 2 s; says on stderr how many events are not. Harmless the second time."""
        thread, self._thread = self._thread, None
        if thread is None:
            return
        self._queue.put(None)
        thread.join(timeout=2.0)
        if thread.is_alive():
            self.lost += self._queue.qsize()
        if self.lost:
            cause = f": {self._cause}" if self._cause else ""
            sys.stderr.write(f"{self._path}: {self.lost} events of the {self._source} could not be written{cause}\n")

    def _write(self) -> None:
        assert self._path is not None
        while (line := self._queue.get()) is not None:
            try:
                with self._path.open("a") as file:
                    file.write(line + "\n")
            except OSError as error:
                self.lost += 1
                self._cause = error.strerror or str(error)


def _open_once(path: Path) -> None:
    """ConfigError if nothing can be appended to the file."""
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
        path.open("a").close()
    except OSError as error:
        raise cannot_be_written(path, error) from error


def read_events(path: Path) -> list[dict[str, Any]]:
    """All whole lines of an event log, in order; none if there is no file."""
    if not path.exists():
        return []
    return [json.loads(line) for line in path.read_text().splitlines() if line.endswith("}")]

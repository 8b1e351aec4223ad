"""What every live viewer is: a server, and one thread that steps in real time; callbacks only leave requests."""

from __future__ import annotations

import contextlib
import io
import logging
import queue
import threading
import time
from abc import ABC, abstractmethod
from collections.abc import Callable, Iterator

import numpy as np

from bm_core.errors import RobotError
from bm_core.g1 import CONTROL_DT
from bm_sim2real.viewer_meshes import robot_meshes
from bm_sim2real.viewer_scene import Scene

SCENE_S, PANEL_S = 0.04, 0.25
"""s between two updates of the picture and of the readouts."""
SLIP_S = 0.1
"""More than that behind, time slips instead of being made up in a rush."""


class LiveViewer(ABC):
    """Whoever inherits builds its panel, then calls `_begin`. Also a context manager."""

    def __init__(self, label: str, *, host: str, port: int) -> None:
        """Binds the port (the next free one if it is taken). `label` is the page's title."""
        import viser

        logging.getLogger("websockets").setLevel(logging.WARNING)
        self._requests: queue.SimpleQueue[Callable[[], None]] = queue.SimpleQueue()
        self._is_running, self._is_closed = False, False
        self._message = ""
        self._rng = np.random.default_rng(0)
        with _silent():
            self.server = viser.ViserServer(host=host, port=port, label=label, verbose=False)
        self._scene = Scene(self.server, robot_meshes())

    def __enter__(self):
        return self

    def __exit__(self, *_: object) -> None:
        self.close()

    @property
    def url(self) -> str:
        return f"http://{self.server.get_host()}:{self.server.get_port()}"

    def close(self) -> None:
        """Stops the simulation and the server; returns when both have ended."""
        self._is_closed = True
        self._thread.join()
        with _silent():
            self.server.stop()

    def wait(self) -> None:
        """Until the simulation thread ends. Raises RobotError if it did so by itself."""
        while self._thread.is_alive():
            self._thread.join(timeout=0.5)
        if not self._is_closed:
            raise RobotError("the simulation stopped; the traceback above says why")

    def request(self, action: Callable[[], None]) -> None:
        """Have the simulation thread do this between two steps."""
        self._requests.put(action)

    # -- of the one that inherits

    @abstractmethod
    def _advance(self) -> None:
        """One control step."""

    @abstractmethod
    def _draw(self) -> None:
        """The newest step into the picture."""

    @abstractmethod
    def _show(self, speed: float) -> None:
        """The newest step into the readouts; `speed` is simulated over real time."""

    def _pace(self) -> float:
        """How fast time should go; 1 is real time."""
        return 1.0

    # -- for the one that inherits

    def _begin(self, name: str) -> None:
        """The first picture, then the thread `name`; paused."""
        self._draw()
        self._thread = threading.Thread(target=self._run, name=name, daemon=True)
        self._thread.start()

    def _set_running(self, is_running: bool) -> None:
        self._is_running = is_running

    def _heading(self) -> float:
        """rad, drawn anew for each push."""
        return self._rng.uniform(-np.pi, np.pi)

    def _run(self) -> None:
        due = drawn = shown = since = time.perf_counter()
        simulated = 0.0
        while not self._is_closed:
            while not self._requests.empty():
                self._requests.get()()
            now = time.perf_counter()
            if self._is_running and now >= due:
                self._advance()
                simulated += CONTROL_DT
                due = max(due + CONTROL_DT / self._pace(), now - SLIP_S)
            if now - drawn > SCENE_S:
                self._draw()
                drawn = now
            if now - shown > PANEL_S:
                speed, simulated = simulated / (now - since), 0.0
                since = shown = now
                self._show(speed)
            pause = (due if self._is_running else now + SCENE_S) - time.perf_counter()
            if pause > 0.0:
                time.sleep(min(pause, SCENE_S))


@contextlib.contextmanager
def _silent() -> Iterator[None]:
    """viser 1.1 writes a banner and a farewell to stdout whatever `verbose` says; here the command speaks."""
    with contextlib.redirect_stdout(io.StringIO()):
        yield

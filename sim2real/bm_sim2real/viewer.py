"""`bm view`: the robot live in a browser. One thread steps the session; the browser's callbacks only leave requests."""

from __future__ import annotations

import contextlib
import io
import logging
import queue
import threading
import time
from collections.abc import Callable, Iterator

import numpy as np

from bm_core.errors import RobotError
from bm_core.g1 import CONTROL_DT
from bm_sim2real.evaluation import Start
from bm_sim2real.modes import Mode
from bm_sim2real.viewer_meshes import robot_meshes
from bm_sim2real.viewer_panel import Actions, Panel
from bm_sim2real.viewer_scene import Scene
from bm_sim2real.viewer_session import Snapshot, ViewSession

SCENE_S, PANEL_S = 0.04, 0.25
"""s between two updates of the picture and of the readouts."""
SLIP_S = 0.1
"""More than that behind, time slips instead of being made up in a rush."""
STAND_S = 1.5
"""s of standing after a motion before it is repeated."""


class Viewer:
    """Serves one session. Also a context manager."""

    def __init__(self, session: ViewSession, title: str, *, host: str = "127.0.0.1", port: int = 8080) -> None:
        """Binds the port (the next free one if it is taken) and begins to serve, paused."""
        import viser

        logging.getLogger("websockets").setLevel(logging.WARNING)
        self._session = session
        self._requests: queue.SimpleQueue[Callable[[], None]] = queue.SimpleQueue()
        self._is_running, self._is_closed = False, False
        self._message = ""
        self._stood_steps = 0
        self._rng = np.random.default_rng(0)
        with _silent():
            self.server = viser.ViserServer(host=host, port=port, label="G1 tracker", verbose=False)
        self._scene = Scene(self.server, robot_meshes())
        self.panel = Panel(self.server, title, list(session.clips), self._actions())
        self._snapshot = session.snapshot()
        self._draw(self._snapshot)
        self._thread = threading.Thread(target=self._run, name="viewer", daemon=True)
        self._thread.start()

    def __enter__(self) -> Viewer:
        return self

    def __exit__(self, *_: object) -> None:
        self.close()

    @property
    def url(self) -> str:
        return f"http://{self.server.get_host()}:{self.server.get_port()}"

    @property
    def snapshot(self) -> Snapshot:
        """The world after the newest step."""
        return self._snapshot

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

    def _actions(self) -> Actions:
        session = self._session
        return Actions(
            run=lambda is_running: setattr(self, "_is_running", is_running),
            step=lambda: self.request(self._step),
            reset=lambda: self.request(self._reset),
            select=lambda name: self.request(lambda: self._restart(lambda: session.select(name))),
            start=lambda start: self.request(lambda: self._set_start(start)),
            play=lambda: self.request(lambda: self._say(session.play())),
            brake=lambda: self.request(lambda: self._say(session.brake())),
            estop=lambda: self.request(session.estop),
            push=lambda speed: self.request(lambda: session.push(speed, self._rng.uniform(-np.pi, np.pi))),
        )

    def _run(self) -> None:
        due = drawn = shown = speed_since = time.perf_counter()
        simulated, speed = 0.0, 0.0
        while not self._is_closed:
            while not self._requests.empty():
                self._requests.get()()
            now = time.perf_counter()
            if self._is_running and now >= due:
                self._step()
                self._repeat()
                simulated += CONTROL_DT
                due = max(due + CONTROL_DT / self.panel.speed.value, now - SLIP_S)
            if now - drawn > SCENE_S:
                self._draw(self._snapshot)
                drawn = now
            if now - shown > PANEL_S:
                speed, simulated = simulated / (now - speed_since), 0.0
                speed_since = shown = now
                self.panel.show(self._snapshot, self._session.clip.duration, speed, self._message)
            pause = (due if self._is_running else now + SCENE_S) - time.perf_counter()
            if pause > 0.0:
                time.sleep(min(pause, SCENE_S))

    def _step(self) -> None:
        self._snapshot = self._session.step()
        self.panel.note(self._snapshot)

    def _reset(self) -> None:
        self._restart(self._session.reset)

    def _restart(self, begin: Callable[[], Snapshot]) -> None:
        self._message, self._stood_steps = "", 0
        self._snapshot = begin()
        self.panel.note(self._snapshot)

    def _set_start(self, start: Start) -> None:
        self._session.start = start
        self._reset()

    def _say(self, refusal: str) -> None:
        self._message = refusal

    def _repeat(self) -> None:
        """A motion that began on its first frame and ended in standing starts over; a fault stays to be looked at."""
        is_over = self._snapshot.mode is Mode.STAND and self._session.start is Start.REFERENCE
        self._stood_steps = self._stood_steps + 1 if is_over else 0
        if self.panel.repeat.value and self._stood_steps * CONTROL_DT > STAND_S:
            self._reset()

    def _draw(self, snapshot: Snapshot) -> None:
        reference = snapshot.reference
        with self.server.atomic():
            self._scene.follow(snapshot.truth.body_pos_w[0] if self.panel.follow.value else None)
            self._scene.robot.place(snapshot.truth.body_pos_w, snapshot.truth.body_quat_w)
            self._scene.reference.show(reference is not None and self.panel.reference.value)
            if reference is not None:
                self._scene.reference.place(reference.body_pos_w, reference.body_quat_w)


@contextlib.contextmanager
def _silent() -> Iterator[None]:
    """viser 1.1 writes a banner and a farewell to stdout whatever `verbose` says; here the command speaks."""
    with contextlib.redirect_stdout(io.StringIO()):
        yield

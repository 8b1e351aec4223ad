"""`bm play-diffusion` in the browser. One thread steps the session; the browser's callbacks only leave requests."""

from __future__ import annotations

import contextlib
import io
import logging
import queue
import threading
import time
from collections.abc import Callable

import numpy as np

from bm_core.errors import BmError, RobotError
from bm_core.g1 import CONTROL_DT
from bm_sim2real.diffusion_play.marker_nodes import MarkerNodes
from bm_sim2real.diffusion_play.panel import PlayActions, PlayPanel
from bm_sim2real.diffusion_play.session import PlaySession, PlaySnapshot, PlayTask
from bm_sim2real.guidance.operator_input import Sticks
from bm_sim2real.viewer import PANEL_S, SCENE_S, SLIP_S
from bm_sim2real.viewer_meshes import robot_meshes
from bm_sim2real.viewer_scene import Scene


class PlayViewer:
    """Serves one session. Also a context manager."""

    def __init__(
        self,
        session: PlaySession,
        title: str,
        *,
        poll: Callable[[], Sticks] | None = None,
        host: str = "127.0.0.1",
        port: int = 8080,
    ) -> None:
        """`poll`: the operator's device; None: the panel's sliders. Begins to serve, paused."""
        import viser

        logging.getLogger("websockets").setLevel(logging.WARNING)
        self._session, self._poll = session, poll
        self._requests: queue.SimpleQueue[Callable[[], None]] = queue.SimpleQueue()
        self._is_running, self._is_closed, self._message = False, False, ""
        self._rng = np.random.default_rng(0)
        with contextlib.redirect_stdout(io.StringIO()):  # viser's banner
            self.server = viser.ViserServer(host=host, port=port, label="G1 guided diffusion", verbose=False)
        self._scene = Scene(self.server, robot_meshes())
        self._scene.reference.show(False)
        self.markers = MarkerNodes(self.server)
        self.panel = PlayPanel(self.server, title, session.task, self._actions())
        self.snapshot: PlaySnapshot = session.snapshot()
        """The world after the newest step."""
        self._draw()
        self._thread = threading.Thread(target=self._run, name="play", daemon=True)
        self._thread.start()

    def __enter__(self) -> PlayViewer:
        return self

    def __exit__(self, *_: object) -> None:
        self.close()

    @property
    def url(self) -> str:
        return f"http://{self.server.get_host()}:{self.server.get_port()}"

    def close(self) -> None:
        """Stops simulation and server; returns when both have ended."""
        self._is_closed = True
        self._thread.join()
        with contextlib.redirect_stdout(io.StringIO()):
            self.server.stop()

    def wait(self) -> None:
        """Until the simulation thread ends. Raises RobotError if it did so by itself."""
        while self._thread.is_alive():
            self._thread.join(timeout=0.5)
        if not self._is_closed:
            raise RobotError("the simulation stopped; the traceback above says why")

    def _actions(self) -> PlayActions:
        session = self._session
        return PlayActions(
            run=lambda is_running: setattr(self, "_is_running", is_running),
            reset=lambda: self._request(self._reset),
            task=lambda task: self._request(lambda: self._select(task)),
            go_to=lambda x, y: self._request(lambda: session.go_to([(x, y)])),
            stop=lambda: self._request(session.stop),
            estop=lambda: self._request(session.estop),
            push=lambda speed: self._request(lambda: session.push(speed, self._rng.uniform(-np.pi, np.pi))),
        )

    def _request(self, action: Callable[[], None]) -> None:
        self._requests.put(action)

    def _reset(self) -> None:
        self._message, self.snapshot = "", self._session.reset()

    def _select(self, task: PlayTask) -> None:
        self._message = ""
        self._session.select(task)

    def _run(self) -> None:
        due = drawn = shown = since = time.perf_counter()
        simulated, speed = 0.0, 0.0
        while not self._is_closed:
            self._obey()
            now = time.perf_counter()
            if self._is_running and now >= due:
                self.snapshot = self._session.step((self._poll or (lambda: self.panel.sticks))())
                simulated += CONTROL_DT
                due = max(due + CONTROL_DT, now - SLIP_S)
            if now - drawn > SCENE_S:
                self._draw()
                drawn = now
            if now - shown > PANEL_S:
                speed, simulated = simulated / (now - since), 0.0
                since = shown = now
                self.panel.show(self.snapshot, speed, self._message)
            pause = (due if self._is_running else now + SCENE_S) - time.perf_counter()
            if pause > 0.0:
                time.sleep(min(pause, SCENE_S))

    def _obey(self) -> None:
        while not self._requests.empty():
            try:
                self._requests.get()()
            except BmError as error:
                self._message = str(error)

    def _draw(self) -> None:
        truth = self.snapshot.truth
        with self.server.atomic():
            self._scene.follow(truth.body_pos_w[0] if self.panel.follow.value else None)
            self._scene.robot.place(truth.body_pos_w, truth.body_quat_w)
            self.markers.show(self.snapshot.markers)

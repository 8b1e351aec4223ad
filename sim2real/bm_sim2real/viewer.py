"""`bm view`: the robot live in a browser."""

from __future__ import annotations

from collections.abc import Callable

from bm_core.g1 import CONTROL_DT
from bm_sim2real.evaluation import Start
from bm_sim2real.live_viewer import LiveViewer
from bm_sim2real.modes import Mode
from bm_sim2real.viewer_panel import Actions, Panel
from bm_sim2real.viewer_session import Snapshot, ViewSession

STAND_S = 1.5
"""s of standing after a motion before it is repeated."""


class Viewer(LiveViewer):
    """Serves one session. Also a context manager."""

    def __init__(self, session: ViewSession, title: str, *, host: str = "127.0.0.1", port: int = 8080) -> None:
        """Binds the port (the next free one if it is taken) and begins to serve, paused."""
        super().__init__("G1 tracker", host=host, port=port)
        self._session = session
        self._stood_steps = 0
        self.panel = Panel(self.server, title, list(session.clips), self._actions())
        self._snapshot = session.snapshot()
        self._begin("viewer")

    @property
    def snapshot(self) -> Snapshot:
        """The world after the newest step."""
        return self._snapshot

    def _actions(self) -> Actions:
        session = self._session
        return Actions(
            run=self._set_running,
            step=lambda: self.request(self._step),
            reset=lambda: self.request(self._reset),
            select=lambda name: self.request(lambda: self._restart(lambda: session.select(name))),
            start=lambda start: self.request(lambda: self._set_start(start)),
            play=lambda: self.request(lambda: self._say(session.play())),
            brake=lambda: self.request(lambda: self._say(session.brake())),
            estop=lambda: self.request(session.estop),
            push=lambda speed: self.request(lambda: session.push(speed, self._heading())),
        )

    def _advance(self) -> None:
        self._step()
        self._repeat()

    def _pace(self) -> float:
        return self.panel.speed.value

    def _show(self, speed: float) -> None:
        self.panel.show(self._snapshot, self._session.clip.duration, speed, self._message)

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

    def _draw(self) -> None:
        truth, reference = self._snapshot.truth, self._snapshot.reference
        with self.server.atomic():
            self._scene.follow(truth.body_pos_w[0] if self.panel.follow.value else None)
            self._scene.robot.place(truth.body_pos_w, truth.body_quat_w)
            self._scene.reference.show(reference is not None and self.panel.reference.value)
            if reference is not None:
                self._scene.reference.place(reference.body_pos_w, reference.body_quat_w)

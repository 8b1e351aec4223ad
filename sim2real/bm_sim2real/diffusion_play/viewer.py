"""`bm play-diffusion` in the browser."""

from __future__ import annotations

from collections.abc import Callable

from bm_core.errors import BmError
from bm_sim2real.diffusion_play.marker_nodes import MarkerNodes
from bm_sim2real.diffusion_play.panel import PlayActions, PlayPanel
from bm_sim2real.diffusion_play.session import PlaySession, PlaySnapshot, PlayTask
from bm_sim2real.guidance.operator_input import Sticks
from bm_sim2real.live_viewer import LiveViewer


class PlayViewer(LiveViewer):
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
        super().__init__("G1 guided diffusion", host=host, port=port)
        self._session, self._poll = session, poll
        self._scene.reference.show(False)
        self.markers = MarkerNodes(self.server)
        self.panel = PlayPanel(self.server, title, session.task, self._actions())
        self.snapshot: PlaySnapshot = session.snapshot()
        """The world after the newest step."""
        self._begin("play")

    def _actions(self) -> PlayActions:
        session = self._session
        return PlayActions(
            run=self._set_running,
            reset=lambda: self._ask(self._reset),
            task=lambda task: self._ask(lambda: self._select(task)),
            go_to=lambda x, y: self._ask(lambda: session.go_to([(x, y)])),
            stop=lambda: self._ask(session.stop),
            estop=lambda: self._ask(session.estop),
            push=lambda speed: self._ask(lambda: session.push(speed, self._heading())),
        )

    def _ask(self, action: Callable[[], None]) -> None:
        """As a request; a refusal is said in the panel."""
        self.request(lambda: self._try(action))

    def _try(self, action: Callable[[], None]) -> None:
        try:
            action()
        except BmError as error:
            self._message = str(error)

    def _reset(self) -> None:
        self._message, self.snapshot = "", self._session.reset()

    def _select(self, task: PlayTask) -> None:
        self._message = ""
        self._session.select(task)

    def _advance(self) -> None:
        self.snapshot = self._session.step((self._poll or (lambda: self.panel.sticks))())

    def _show(self, speed: float) -> None:
        self.panel.show(self.snapshot, speed, self._message)

    def _draw(self) -> None:
        truth = self.snapshot.truth
        with self.server.atomic():
            self._scene.follow(truth.body_pos_w[0] if self.panel.follow.value else None)
            self._scene.robot.place(truth.body_pos_w, truth.body_quat_w)
            self.markers.show(self.snapshot.markers)

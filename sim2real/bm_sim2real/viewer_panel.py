"""The viewer's controls and readouts. Widgets only: what a button means is decided by whoever passes the actions."""

from __future__ import annotations

from collections import deque
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np

from bm_sim2real.evaluation import Start
from bm_sim2real.viewer_session import Snapshot
from bm_sim2real.viewer_widgets import RunButton, add_estop_and_push, add_title, readout_table, set_up_panel

if TYPE_CHECKING:
    import viser

PLOT_S = 10.0
"""s of history in the plots."""
_BLUE, _ORANGE = "#1f6feb", "#d9822b"


@dataclass(frozen=True, kw_only=True)
class Actions:
    """What the widgets call; each returns at once."""

    run: Callable[[bool], None]
    step: Callable[[], None]
    reset: Callable[[], None]
    select: Callable[[str], None]
    start: Callable[[Start], None]
    play: Callable[[], None]
    brake: Callable[[], None]
    estop: Callable[[], None]
    push: Callable[[float], None]


class Panel:
    """Builds the widgets once; `show` fills the readouts."""

    def __init__(self, server: viser.ViserServer, title: str, clips: Sequence[str], actions: Actions) -> None:
        gui = server.gui
        set_up_panel(gui, "Unitree G1 · tracker")
        self._actions = actions
        self._add_playback(gui, title, clips)
        self._add_requests(gui)
        self.readout = gui.add_html("")
        self._add_plots(gui)
        self._add_view(gui)
        self._history: deque[tuple[float, float, float]] = deque(maxlen=500)

    def _add_playback(self, gui: viser.GuiApi, title: str, clips: Sequence[str]) -> None:
        actions = self._actions
        add_title(gui, title)
        self.clip = gui.add_dropdown("Motion", tuple(clips), hint="Starts over with this motion")
        self.clip.on_update(lambda _: actions.select(self.clip.value))
        starts = {"on its first frame": Start.REFERENCE, "from standing": Start.STAND}
        self.begin = gui.add_dropdown("Begin", tuple(starts), hint="Takes effect at once, with a reset")
        self.begin.on_update(lambda _: actions.start(starts[self.begin.value]))
        self._run_button = RunButton(gui, actions.run)
        self.stepping = gui.add_button_group("Time", ("Step", "Reset"))
        self.stepping.on_click(lambda _: (actions.step if self.stepping.value == "Step" else actions.reset)())
        self.speed = gui.add_slider("Speed", min=0.1, max=2.0, step=0.1, initial_value=1.0, hint="1 is real time")
        self.repeat = gui.add_checkbox("Repeat", initial_value=True, hint="Start over after the motion has ended")

    def _add_requests(self, gui: viser.GuiApi) -> None:
        actions = self._actions
        requests = {"Play": actions.play, "Brake": actions.brake}
        self.requests = gui.add_button_group("Ask for", tuple(requests), hint="Play works in STAND, Brake in RUNNING")
        self.requests.on_click(lambda _: requests[self.requests.value]())
        add_estop_and_push(gui, actions.estop, actions.push)

    def _add_plots(self, gui: viser.GuiApi) -> None:
        from viser import uplot

        empty = (np.zeros(1), np.zeros(1))

        def plot(label: str, color: str):
            series = (uplot.Series(label="s"), uplot.Series(label=label, stroke=color, width=1.5))
            axes = (uplot.Axis(show=True), uplot.Axis(show=True, size=46))
            scales = {"x": uplot.Scale(time=False)}
            return gui.add_uplot(
                empty, series, title=label, axes=axes, scales=scales, height=150, legend=uplot.Legend(show=False)
            )

        self._body_plot = plot("body error, mm", _BLUE)
        self._joint_plot = plot("joint error, °", _ORANGE)

    def _add_view(self, gui: viser.GuiApi) -> None:
        with gui.add_folder("Picture", expand_by_default=False):
            self.reference = gui.add_checkbox("Reference", initial_value=True, hint="The translucent robot")
            self.follow = gui.add_checkbox("Follow the robot", initial_value=True)

    def set_running(self, is_running: bool) -> None:
        """Start or pause, and say so on the button."""
        self._run_button.set(is_running)

    def note(self, snapshot: Snapshot) -> None:
        """Keep a step for the plots. A reset (time runs backwards) empties them."""
        if self._history and snapshot.time_s < self._history[-1][0]:
            self._history.clear()
        if snapshot.errors is not None:
            row = (snapshot.time_s, 1e3 * snapshot.errors.body, float(np.degrees(snapshot.errors.joint)))
            self._history.append(row)

    def show(self, snapshot: Snapshot, duration_s: float, speed: float, message: str) -> None:
        """Fill readouts and plots. `speed` is simulated over real time; `message` is the last refusal."""
        self.readout.content = readout_html(snapshot, duration_s, speed, message)
        if not self._history:
            return
        times, body, joint = np.array(self._history).T
        recent = times > times[-1] - PLOT_S
        self._body_plot.data = (times[recent], body[recent])
        self._joint_plot.data = (times[recent], joint[recent])


def readout_html(snapshot: Snapshot, duration_s: float, speed: float, message: str) -> str:
    """The numbers as a small table; the fault and the last refusal below it."""
    errors = snapshot.errors
    rows = [
        ("Mode", snapshot.mode.value.upper()),
        ("Motion", f"{snapshot.clip_s:.1f} of {duration_s:.1f} s"),
        ("Body error", "–" if errors is None else f"{1e3 * errors.body:.0f} mm"),
        ("Torso error", "–" if errors is None else f"{1e3 * errors.anchor:.0f} mm"),
        ("Joint error", "–" if errors is None else f"{np.degrees(errors.joint):.1f}°"),
        ("Policy tick", f"{snapshot.tick_ms:.2f} ms"),
        ("Guard clamps", f"{snapshot.clamps}"),
        ("Speed", f"{speed:.2f} × real time"),
    ]
    return readout_table(rows, faults=[snapshot.fault], refusal=message, label_width_em=7.5)

"""Controls and readouts of `bm play-diffusion`. What a button means is decided by whoever passes the actions."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import TYPE_CHECKING

from bm_sim2real.diffusion_play.session import PlaySnapshot, PlayTask
from bm_sim2real.guidance.operator_input import Sticks
from bm_sim2real.viewer_widgets import RunButton, add_estop_and_push, add_title, readout_table, set_up_panel

if TYPE_CHECKING:
    import viser


@dataclass(frozen=True, kw_only=True)
class PlayActions:
    """What the widgets call; each returns at once."""

    run: Callable[[bool], None]
    reset: Callable[[], None]
    task: Callable[[PlayTask], None]
    go_to: Callable[[float, float], None]
    stop: Callable[[], None]
    estop: Callable[[], None]
    push: Callable[[float], None]


class PlayPanel:
    """Builds the widgets once; `show` fills the readout."""

    def __init__(self, server: viser.ViserServer, title: str, task: PlayTask, actions: PlayActions) -> None:
        gui = server.gui
        set_up_panel(gui, "Unitree G1 · guided diffusion")
        self._actions = actions
        add_title(gui, title)
        names = tuple(kind.value for kind in PlayTask)
        self.task = gui.add_dropdown("Cost", names, initial_value=task.value, hint="May be changed while it walks")
        self.task.on_update(lambda _: actions.task(PlayTask(self.task.value)))
        self._run_button = RunButton(gui, actions.run)
        self.reset = gui.add_button("Reset", icon="refresh")
        self.reset.on_click(lambda _: actions.reset())
        self._add_sticks(gui)
        self._add_waypoint(gui)
        self.stop = gui.add_button("No goal: brake and stand", icon="player-stop")
        self.stop.on_click(lambda _: actions.stop())
        add_estop_and_push(gui, actions.estop, actions.push)
        self.follow = gui.add_checkbox("Follow the robot", initial_value=True)
        self.readout = gui.add_html("")

    def _add_sticks(self, gui: viser.GuiApi) -> None:
        with gui.add_folder("Sticks"):
            self.ahead, self.left, self.turn = (
                gui.add_slider(name, min=-1.0, max=1.0, step=0.05, initial_value=0.0)
                for name in ("Ahead", "Left", "Turn")
            )
            self.center = gui.add_button("Centre", icon="focus-centered")
            self.center.on_click(lambda _: self._centre())

    def _add_waypoint(self, gui: viser.GuiApi) -> None:
        with gui.add_folder("Waypoint", expand_by_default=False):
            self.place = gui.add_vector2("x, y in m", initial_value=(2.0, 0.0), step=0.1)
            self.go = gui.add_button("Go there", icon="map-pin")
            self.go.on_click(lambda _: self._actions.go_to(float(self.place.value[0]), float(self.place.value[1])))

    @property
    def sticks(self) -> Sticks:
        """Where the sliders are."""
        return Sticks(ahead=self.ahead.value, left=self.left.value, turn=self.turn.value)

    def set_running(self, is_running: bool) -> None:
        """Start or pause, and say so on the button."""
        self._run_button.set(is_running)

    def show(self, snapshot: PlaySnapshot, speed: float, message: str) -> None:
        """Fill the readout. `speed` is simulated over real time; `message` is the last refusal."""
        self.readout.content = play_readout(snapshot, speed, message)

    def _centre(self) -> None:
        for slider in (self.ahead, self.left, self.turn):
            slider.value = 0.0


def play_readout(snapshot: PlaySnapshot, speed: float, message: str) -> str:
    """The numbers as a small table; fault, fall and refusal below it."""
    goal = snapshot.goal
    asked = "–"
    if goal.velocity is not None:
        asked = " / ".join(f"{value:+.2f}" for value in goal.velocity)
    elif goal.waypoint is not None:
        asked = f"to {goal.waypoint[0]:.1f}, {goal.waypoint[1]:.1f} m"
    rows = [
        ("Mode", snapshot.mode.value.upper() + (" on plans" if snapshot.is_guided else "")),
        ("Asked", asked),
        ("Does", " / ".join(f"{value:+.2f}" for value in snapshot.velocity)),
        ("Plan", f"{snapshot.plan_ms:.0f} ms"),
        ("Plans lost", f"{snapshot.plan_losses}"),
        ("Speed", f"{speed:.2f} × real time"),
    ]
    return readout_table(rows, faults=[snapshot.fault, snapshot.fallen], refusal=message, label_width_em=6)

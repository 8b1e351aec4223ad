"""Widgets that every live viewer's panel has, and the look of its readout."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from html import escape
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    import viser

BOX = "margin-top:.5em;padding:.4em .6em;border-radius:.4em;color:#fff"
FAULT_COLOR, REFUSAL_COLOR = "#c62f3b", "#96690a"


def set_up_panel(gui: viser.GuiApi, label: str) -> None:
    """Colour and heading."""
    gui.configure_theme(show_logo=False, show_share_button=False, brand_color=(31, 111, 235))
    gui.set_panel_label(label)


def add_title(gui: viser.GuiApi, title: str) -> None:
    """What is shown, in small letters."""
    gui.add_html(f'<div style="padding:.2em .9em;font-size:.8em;opacity:.7">{escape(title)}</div>')


class RunButton:
    """Starts and pauses by turns, and says what the next press does."""

    def __init__(self, gui: viser.GuiApi, run: Callable[[bool], None]) -> None:
        self._run, self._is_running = run, False
        self._button = gui.add_button("Start", icon="player-play", color="blue")
        self._button.on_click(lambda _: self.set(not self._is_running))

    def set(self, is_running: bool) -> None:
        """Start or pause, and say so on the button."""
        self._is_running = is_running
        self._button.label = "Pause" if is_running else "Start"
        self._button.icon = "player-pause" if is_running else "player-play"
        self._run(is_running)


def add_estop_and_push(gui: viser.GuiApi, estop: Callable[[], None], push: Callable[[float], None]) -> None:
    """The emergency stop, then a push with its m/s."""
    stop = gui.add_button("E-stop", icon="hand-stop", color="red", hint="Damping until the next reset")
    stop.on_click(lambda _: estop())
    speed = gui.add_slider("Push, m/s", min=0.1, max=2.0, step=0.1, initial_value=0.5)
    button = gui.add_button("Push", icon="arrow-big-right", hint="In a direction drawn at random")
    button.on_click(lambda _: push(speed.value))


def readout_table(
    rows: Sequence[tuple[str, str]], *, faults: Sequence[str], refusal: str, label_width_em: float
) -> str:
    """Labels and values side by side, what is wrong in boxes below; empty texts make no box."""
    cells = "".join(
        f'<span style="opacity:.65">{escape(label)}</span><b style="font-weight:600">{escape(value)}</b>'
        for label, value in rows
    )
    boxes = [(fault, FAULT_COLOR) for fault in faults] + [(refusal, REFUSAL_COLOR)]
    warnings = "".join(f'<div style="{BOX};background:{color}">{escape(text)}</div>' for text, color in boxes if text)
    return (
        '<div style="padding:.3em .9em;font-size:.85em;font-variant-numeric:tabular-nums;line-height:1.5">'
        f'<div style="display:grid;grid-template-columns:{label_width_em:g}em 1fr">{cells}</div>{warnings}</div>'
    )

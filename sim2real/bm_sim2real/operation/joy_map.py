"""A gamepad in an operator's hands: numbers of buttons and axes to what they mean, press edges, the dead man's switch.

As in the field: the red button damps, whatever else is held; everything that makes the robot move wants the deadman.
"""

from __future__ import annotations

import dataclasses
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from enum import Enum
from pathlib import Path
from typing import Any

from bm_core.errors import ConfigError
from bm_core.strict_yaml import read_yaml
from bm_sim2real.guidance.operator_input import Sticks

PRESSED = 0.5
"""Share of an axis' way from which it counts as a pressed button (direction pads are axes on many gamepads)."""


class OperatorEvent(str, Enum):
    """What a press means."""

    ESTOP = "estop"
    """Damping, latched; needs no deadman."""
    STANDBY = "standby"
    """Out of a motion: brake and stand. Up from the gantry: stand. Needs no deadman out of a motion."""
    START = "start"
    """Play the selected motion, or follow goals."""
    GET_UP = "get_up"
    """Arm, then the ramp to the default pose: robot on its gantry."""
    RESET = "reset"
    """Forget the latched fault and the holds."""
    NEXT = "next"
    PREVIOUS = "previous"


_FREE = (OperatorEvent.ESTOP, OperatorEvent.STANDBY)
"""They make the robot safer, so they need no deadman."""


@dataclass(frozen=True, kw_only=True)
class JoyMap:
    """One kind of gamepad. A button is a number, or ("axis", number, sign) for an axis that is used as one."""

    name: str
    deadman: Any
    estop: Any
    standby: Any
    start: Any
    get_up: Any
    reset: Any
    next: Any
    previous: Any
    ahead: tuple[int, float]
    """Axis and its sign, so that forward is positive."""
    left: tuple[int, float]
    turn: tuple[int, float]
    """To the left positive."""


def load_joy_map(path: str | Path) -> JoyMap:
    """From YAML: the fields of JoyMap. ConfigError names file and key that is missing, unknown or no button."""
    path = Path(path)
    values = read_yaml(path)
    names = {field.name for field in dataclasses.fields(JoyMap)}
    if not isinstance(values, dict) or set(values) != names:
        given = set(values) if isinstance(values, dict) else set()
        wrong = ", ".join(sorted(map(str, names ^ given)))
        raise ConfigError(f"{path}: missing or unknown keys: {wrong}; a joy map has {', '.join(sorted(names))}")
    return JoyMap(**{key: _read(value, f"{path}: {key}") for key, value in values.items()})


def _read(value: Any, where: str) -> Any:
    if isinstance(value, (str, int)) and not isinstance(value, bool):
        return value
    if isinstance(value, Mapping) and set(value) == {"axis", "sign"} and value["sign"] in (1, -1):
        return int(value["axis"]), float(value["sign"])
    raise ConfigError(f"{where}: {value!r}; a button's number, or {{axis: number, sign: 1 or -1}}")


class OperatorPad:
    """One gamepad over time."""

    def __init__(self, joy_map: JoyMap) -> None:
        self._map = joy_map
        self._before: dict[OperatorEvent, bool] = {}
        self.is_deadman_held = False
        self.sticks = Sticks(is_held=False)
        """-1..1; centred without the deadman."""

    def update(self, axes: Sequence[float], buttons: Sequence[int]) -> list[OperatorEvent]:
        """What was pressed since the last message. What is held at the first one is no press: nobody meant us."""
        self.is_deadman_held = _is_pressed(self._map.deadman, axes, buttons)
        held = {event: _is_pressed(getattr(self._map, event.value), axes, buttons) for event in OperatorEvent}
        pressed = [event for event, is_held in held.items() if is_held and not self._before.get(event, True)]
        self._before = held
        self.sticks = Sticks(
            ahead=_axis(self._map.ahead, axes),
            left=_axis(self._map.left, axes),
            turn=_axis(self._map.turn, axes),
            is_held=self.is_deadman_held,
        )
        return [event for event in pressed if event in _FREE or self.is_deadman_held]


def _is_pressed(place: Any, axes: Sequence[float], buttons: Sequence[int]) -> bool:
    if isinstance(place, tuple):
        return _axis(place, axes) > PRESSED
    return place < len(buttons) and bool(buttons[place])


def _axis(place: tuple[int, float], axes: Sequence[float]) -> float:
    number, sign = place
    return sign * axes[number] if number < len(axes) else 0.0

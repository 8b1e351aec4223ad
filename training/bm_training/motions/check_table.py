"""The table of `bm motion check`."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from rich.table import Table
    from rich.text import Text

    from bm_training.motions.check import ClipCheck, ClipMeasures

COLUMNS = ("clip", "s", "below floor cm", "lowest cm", "speed %", "over limit", "slide m/s", "self", "jumps", "start")
"""What belongs to which warning stands in the same cell, so that a yellow cell is the warning."""


def summarize(checks: Sequence[ClipCheck]) -> dict[str, Any]:
    """clips, faults, and how many clips have which warning."""
    warned = [check for check in checks if check.warnings]
    names = sorted({name for check in warned for name in check.warnings})
    return {
        "clips": len(checks),
        "faults": sum(check.fault is not None for check in checks),
        "warned": len(warned),
        "warnings": {name: sum(name in check.warnings for check in warned) for name in names},
        "seconds": sum(check.seconds for check in checks),
    }


def check_table(checks: Sequence[ClipCheck]) -> Table:
    """One line a clip; yellow cells are warnings, red lines are refused."""
    from rich.table import Table
    from rich.text import Text

    table = Table(
        caption="yellow: warning · red: refused · frames at 50 fps in brackets · start: rad to the default pose"
    )
    table.add_column(COLUMNS[0])
    for column in COLUMNS[1:]:
        table.add_column(column, justify="right")
    for check in checks:
        if check.measures is None:
            table.add_row(Text(check.name), *["-"] * (len(COLUMNS) - 1), style="red")
        else:
            table.add_row(Text(check.name), f"{check.seconds:.1f}", *_cells(check.measures, check.warnings))
    return table


def _cells(m: ClipMeasures, warnings: Sequence[str]) -> list[Text]:
    from rich.text import Text

    cells = {
        "penetration": f"{100 * m.penetration:.1f} ({m.penetration_frames})",
        "floor_gap": f"{100 * m.floor_gap:+.1f}",
        "joint_speed": f"{_short(m.fastest_joint)} {100 * m.joint_speed:.0f}",
        "limit_overshoot": f"{_short(m.overshooting_joint)} {m.limit_overshoot:.3f}" if m.limit_overshoot else "",
        "foot_slide": f"{m.foot_slide:.2f}",
        "self_collision": f"{m.self_collision_pair} ({m.self_collision_frames})" if m.self_collision_frames else "",
        "jumps": f"{m.jumps} (frame {m.jump_frame})" if m.jumps else "",
        "start_distance": f"{m.start_distance:.2f}",
    }
    return [Text(text, style="yellow" if name in warnings else "") for name, text in cells.items()]


def _short(joint: str) -> str:
    return joint.removesuffix("_joint")

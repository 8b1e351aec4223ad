"""What `bm motion check` prints."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING, Any

from bm_training.motions.check import UNFIT

if TYPE_CHECKING:
    from rich.table import Table
    from rich.text import Text

    from bm_training.motions.check import ClipCheck, ClipMeasures

COLUMNS = ("clip", "s", "below floor", "lowest", "speed", "over limit", "slide", "self", "jumps", "start")
UNITS = ("", "", "cm (frames)", "cm", "%", "rad", "m/s", "frames", "", "rad")
UNFIT_STYLE, WARNING_STYLE = "magenta", "yellow"


def summarize(checks: Sequence[ClipCheck]) -> dict[str, Any]:
    """clips, faults, unfit clips, and how many clips have which warning."""
    warned = [check for check in checks if check.warnings]
    names = sorted({name for check in warned for name in check.warnings})
    return {
        "clips": len(checks),
        "faults": sum(check.fault is not None for check in checks),
        "unfit": sum(bool(check.unfit) for check in checks),
        "warned": len(warned),
        "warnings": {name: sum(name in check.warnings for check in warned) for name in names},
        "seconds": sum(check.seconds for check in checks),
    }


def check_table(checks: Sequence[ClipCheck]) -> Table:
    """One line a clip: an exclamation mark (yellow) is a warning, a cross (magenta) unfit, dashes (red) are refused."""
    from rich.table import Table
    from rich.text import Text

    legend = "! warning   x unfit   - refused   frames at 50 fps   start: worst joint against the default pose"
    table = Table(caption=legend)
    table.add_column(COLUMNS[0])
    for column, unit in zip(COLUMNS[1:], UNITS[1:], strict=True):
        table.add_column(f"{column}\n{unit}", justify="right")
    for check in checks:
        if check.measures is None:
            table.add_row(Text(check.name), *["-"] * (len(COLUMNS) - 1), style="red")
        else:
            name = Text(check.name, style=UNFIT_STYLE if check.unfit else "")
            table.add_row(name, f"{check.seconds:.1f}", *_cells(check.measures, check))
    return table


def unfit_reason(check: ClipCheck) -> str:
    """Why no robot can track the clip: value and limit of each measure; empty for a fit one."""
    return ", ".join(_beyond(name, check.measures) for name in check.unfit if check.measures)


def unfit_lines(checks: Sequence[ClipCheck]) -> list[str]:
    """One line an unfit clip."""
    return [f"{check.name}: {unfit_reason(check)}; no robot can track it as given" for check in checks if check.unfit]


def warning_lines(checks: Sequence[ClipCheck]) -> list[str]:
    """One line a warning, naming value, joint, frame or links; what makes a clip unfit has a line already."""
    return [
        f"{check.name}: {_describe(name, check.measures)}"
        for check in checks
        if check.measures
        for name in check.warnings
        if name not in check.unfit
    ]


def _cells(m: ClipMeasures, check: ClipCheck) -> list[Text]:
    from rich.text import Text

    cells = {
        "penetration": f"{100 * m.penetration:.1f} ({m.penetration_frames})",
        "floor_gap": f"{100 * m.floor_gap:+.1f}",
        "joint_speed": f"{100 * m.joint_speed:.0f}",
        "limit_overshoot": f"{m.limit_overshoot:.3f}",
        "foot_slide": f"{m.foot_slide:.2f}",
        "self_collision": str(m.self_collision_frames),
        "jumps": str(m.jumps),
        "start_distance": f"{m.start_distance:.2f}",
    }
    marks = [_mark(name, check) for name in cells]
    return [Text(f"{text} {mark}", style=style) for text, (mark, style) in zip(cells.values(), marks, strict=True)]


def _mark(measure: str, check: ClipCheck) -> tuple[str, str]:
    """Mark and colour of a cell; of two verdicts the worse one."""
    if measure in check.unfit:
        return "x", UNFIT_STYLE
    return ("!", WARNING_STYLE) if measure in check.warnings else (" ", "")


def _beyond(unfit: str, m: ClipMeasures) -> str:
    return {
        "penetration": f"{100 * m.penetration:.1f} cm below the floor, limit {100 * UNFIT.penetration:g} cm",
    }[unfit]


def _describe(warning: str, m: ClipMeasures) -> str:
    return {
        "penetration": f"{100 * m.penetration:.1f} cm below the floor, {m.penetration_frames} frames",
        "floor_gap": f"the lowest point is {100 * m.floor_gap:+.1f} cm above the floor (median)",
        "joint_speed": f"{m.fastest_joint} reaches {100 * m.joint_speed:.0f} % of its motor's speed",
        "limit_overshoot": f"{m.overshooting_joint} is {m.limit_overshoot:.3f} rad outside its range",
        "foot_slide": f"the standing foot slides at {m.foot_slide:.2f} m/s (median)",
        "self_collision": f"{m.self_collision_pair} overlap, {m.self_collision_frames} frames with any overlap",
        "jumps": f"{m.jumps} jump(s), the largest before frame {m.jump_frame}",
        "start_distance": f"the first frame is {m.start_distance:.2f} rad from the default pose",
    }[warning]

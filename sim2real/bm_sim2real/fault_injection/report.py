"""The report of `bm faults --report`: every row, reactions in writer ticks, wall times beside those of a bare loop."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

from bm_sim2real.result_json import machine, version
from bm_sim2real.timing import LATE_MS, LateHistogram

Row = Mapping[str, Any]

_HEADER = (
    "| fault | transport | answer | ticks | allowed | fastest joint / its limit | |\n|---|---|---|---|---|---|---|"
)
_PROCESS_HEADER = "| fault | answer | ticks | allowed | wall ms | |\n|---|---|---|---|---|---|"


def fault_report(
    rows: Sequence[Row], struck: Sequence[Row], summary: Mapping[str, Any], bare: Sequence[int] | None
) -> str:
    """Markdown. `rows` and `struck` as fault_row and process_row make them; `bare`: lateness of a bare loop's ticks,
    classes LATE_MS, while the processes were struck."""
    facts = machine()
    ends = [row for row in rows if row["fault"].startswith("controlled end")]
    faults = [row for row in rows if row not in ends]
    parts = [
        "# Faults\n",
        f"Version {version()}; {facts.get('cpu') or 'CPU'}, {facts.get('cores') or '?'} cores. Reactions in writer "
        "ticks of 2 ms from the injection to the first damping frame or the first command of BRAKE, in lockstep: they "
        "do not depend on the machine.\n",
        f"{summary['passed']} of {summary['rows']} rows as they must be; {summary['faults']} faults; transports "
        f"{', '.join(summary['transports'])}. Reaction: median {summary['median_reaction_ticks']:g}, worst "
        f"{summary['worst_reaction_ticks']} ticks ({summary['worst_reaction_ms']} ms).\n",
        _HEADER,
        *map(_line, faults),
    ]
    if ends:
        well = sum(row["passed"] for row in ends)
        parts += [f"\n## Controlled ends\n\n{well} of {len(ends)} end standing.\n", _HEADER, *map(_line, ends)]
    if struck:
        parts += ["\n## Processes, in real time\n", _PROCESS_HEADER, *map(_process_line, struck)]
    if bare is not None and sum(bare):
        late = LateHistogram.later_than(bare, 2.0)
        parts.append(
            f"\nWall times are the machine's as much as ours: of {sum(bare)} ticks of a bare 500 Hz loop beside, "
            f"{late} came more than 2 ms late, {LateHistogram.later_than(bare, LATE_MS[-2])} more than "
            f"{LATE_MS[-2]:g} ms."
        )
    return "\n".join(parts) + "\n"


def _line(row: Row) -> str:
    ticks = "" if row["reaction_ticks"] is None else row["reaction_ticks"]
    allowed = row["allowed_ticks"] or ""
    cells = (row["fault"], row["transport"], row["found"] or "none", ticks, allowed, f"{row['max_joint_speed']:.2f}")
    return _cells(*cells, _verdict(row))


def _process_line(row: Row) -> str:
    ticks = "" if row["reaction_ticks"] is None else row["reaction_ticks"]
    wall = "" if row["reaction_ms"] is None else f"{row['reaction_ms']:.0f}"
    return _cells(row["fault"], row["found"] or "none", ticks, row["allowed_ticks"] or "", wall, _verdict(row))


def _verdict(row: Row) -> str:
    return "" if row["passed"] else f"**FAILED**, expected {row['expected'] or 'none'}"


def _cells(*cells: object) -> str:
    return "| " + " | ".join(map(str, cells)) + " |"

"""`bm diff`: what is not the same in two policy bundles?"""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

import tyro


@dataclass(frozen=True, kw_only=True)
class Diff:
    """Compare two bundles: terms, joint order, gains, scale, contract, normaliser, weights, actions on one recording.

    Exit 0 the same, 1 different, 2 unreadable.
    """

    first: tyro.conf.Positional[Path]
    """Policy bundle (.onnx)."""
    second: tyro.conf.Positional[Path]
    """The other one."""
    json: Path | None = None
    """Also write the differences as one JSON document."""

    def __call__(self) -> int:
        from dataclasses import asdict

        from rich.table import Table

        from bm_sim2real.bundle_diff import compare_bundles
        from bm_sim2real.commands.progress import wide_console
        from bm_sim2real.result_json import write_result

        diff = compare_bundles(self.first, self.second)
        rows = [asdict(difference) for difference in diff.differences]
        if self.json is not None:
            summary = {
                "same": not rows,
                "differences": len(rows),
                "groups": sorted({row["group"] for row in rows}),
                "largest_weight": diff.largest_weight,
                "largest_action": diff.largest_action,
            }
            write_result(self.json, command="diff", rows=rows, summary=summary, passed=not rows)
        console = wide_console()
        if not rows:
            console.print("the same: contract, graph, normaliser and weights")
            return 0
        table = Table("group", "what", self.first.name, self.second.name, box=None, header_style="bold", pad_edge=False)
        for row in rows:
            table.add_row(*row.values())
        console.print(table)
        return 1

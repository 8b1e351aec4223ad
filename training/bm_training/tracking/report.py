"""`bm train report RUN`: curves, heat map and motions of a run, during it or after, as a page or as pictures."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime, timezone
from pathlib import Path
from typing import TYPE_CHECKING

import tyro

from bm_core.errors import ConfigError

if TYPE_CHECKING:
    from bm_training.tracking.run_record import RunRecord


@dataclass(frozen=True, kw_only=True)
class ReportRun:
    """Draw a training run: HTML page or PNG pictures. Exit 0 drawn, 2 no such run."""

    run: tyro.conf.Positional[Path]
    """Folder of the run (--run-dir of bm train tracking); it may still be going on."""
    out: Path | None = None
    """File to write: .html (default: report.html in the run's folder), or .png, beside which NAME_bins.png appears."""

    def __call__(self) -> int:
        from bm_training.tracking.run_record import read_run

        out = self.out or self.run / "report.html"
        if out.suffix not in (".html", ".png"):
            raise ConfigError(f"{out}: must end in .html or .png")
        record = read_run(self.run)
        written = self._page(record, out) if out.suffix == ".html" else self._pictures(record, out)
        print(f"{', '.join(map(str, written))}: {record.name}, {len(record.lines)} iterations")
        return 0

    def _page(self, record: RunRecord, out: Path) -> list[Path]:
        from bm_core.atomic_file import atomic_write_text
        from bm_sim2real.result_json import version
        from bm_training.tracking.report_page import report_html

        when = datetime.now(timezone.utc).strftime("%Y-%m-%d %H:%M UTC")
        atomic_write_text(out, report_html(record, f"Made {when} by beyondmimic-g1 {version()}, `bm train report`."))
        return [out]

    def _pictures(self, record: RunRecord, out: Path) -> list[Path]:
        from bm_core.atomic_file import replacing
        from bm_training.sampling.heatmap import heatmap_png
        from bm_training.tracking.report_curves import curves_png

        pictures = {out: curves_png(record)}
        if record.axis is not None and record.snapshots:
            pictures[out.with_name(f"{out.stem}_bins.png")] = heatmap_png(record.axis, record.snapshots)
        for path, data in pictures.items():
            with replacing(path) as partial:
                partial.write_bytes(data)
        return list(pictures)

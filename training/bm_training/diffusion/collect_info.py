"""`bm collect info`: what a collection contains, and whether it is enough. Also as a module (python -m)."""

from __future__ import annotations

import sys
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

import tyro

from bm_training.run_control import run_as_module

if TYPE_CHECKING:
    from bm_training.diffusion.coverage import Coverage


@dataclass(frozen=True, kw_only=True)
class CollectInfo:
    """Summarise a collection and its achieved coverage. Exit 0 enough of everything, 1 not, 2 could not read it."""

    folder: tyro.conf.Positional[Path]
    """Of the collection (manifest.json and its shards)."""
    verify: bool = True
    """Compare the shards with the manifest's hashes first."""
    plot: Path | None = None
    """Write a picture of the seconds per velocity cell (.png)."""
    json: Path | None = None
    """Also write the numbers as one JSON document."""

    def __call__(self) -> int:
        from rich.console import Console
        from rich.table import Table

        from bm_training.diffusion.coverage import MIN_CELL_S, MIN_TRANSITIONS, coverage_of
        from bm_training.diffusion.rollout_file import load_rollouts

        manifest, rollouts = load_rollouts(self.folder, verify=self.verify)
        found = coverage_of(rollouts.root)
        console = Console()
        console.print(
            f"{manifest.episodes} episodes of {manifest.steps} frames, {manifest.hours:.2f} h, "
            f"{len(manifest.shards)} shards, {len(manifest.sources)} sources"
        )
        required = int(found.is_required.sum())
        console.print(
            f"cells with at least {MIN_CELL_S:.0f} s: {required - found.poor_cells} of {required}; "
            f"{found.outside:.0f} s outside the joystick's range"
        )
        table = Table("change of gait", "episodes", f"at least {MIN_TRANSITIONS}")
        for (one, other), count in found.transitions.items():
            table.add_row(f"{one} -> {other}", str(count), "yes" if count >= MIN_TRANSITIONS else "no")
        console.print(table)
        if self.plot is not None:
            plot_cells(found, self.plot)
        if self.json is not None:
            self._write(found, manifest.episodes, manifest.hours)
        return 0 if found.is_enough else 1

    def _write(self, found: Coverage, episodes: int, hours: float) -> None:
        from bm_sim2real.result_json import write_result

        assert self.json is not None
        rows = [{"from": one, "to": other, "episodes": count} for (one, other), count in found.transitions.items()]
        summary = {
            "episodes": episodes,
            "hours": hours,
            "required_cells": int(found.is_required.sum()),
            "poor_cells": found.poor_cells,
            "poor_transitions": found.poor_transitions,
            "outside_s": found.outside,
        }
        write_result(self.json, command="collect info", rows=rows, summary=summary, passed=found.is_enough)


def plot_cells(found: Coverage, path: Path) -> None:
    """One panel per yaw rate, vx to the right, vy upwards; cells that are not required stay grey."""
    import matplotlib
    import numpy as np

    matplotlib.use("Agg")
    from matplotlib import pyplot

    from bm_core.atomic_file import replacing
    from bm_training.diffusion.coverage import CELL, LOWER, MIN_CELL_S, UPPER

    figure, panels = pyplot.subplots(1, found.seconds.shape[2], figsize=(16, 2.6), layout="constrained")
    extent = (LOWER[0], UPPER[0], LOWER[1], UPPER[1])
    for index, panel in enumerate(np.atleast_1d(panels)):
        minutes = np.where(found.is_required[:, :, index], found.seconds[:, :, index], np.nan).T / 60.0
        panel.set_facecolor("0.85")
        image = panel.imshow(
            minutes, origin="lower", extent=extent, vmin=0.0, vmax=2.0 * MIN_CELL_S / 60.0, cmap="viridis"
        )
        panel.set_title(f"wz {LOWER[2] + CELL[2] * (index + 0.5):+.1f} rad/s")
        panel.set_xlabel("vx, m/s")
    np.atleast_1d(panels)[0].set_ylabel("vy, m/s")
    figure.colorbar(image, ax=panels, label="minutes")
    with replacing(path) as partial:
        figure.savefig(partial, dpi=110)
    pyplot.close(figure)


if __name__ == "__main__":
    sys.exit(run_as_module(CollectInfo, "bm collect info"))

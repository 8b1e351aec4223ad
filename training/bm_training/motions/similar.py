"""`bm motion similar`: which clips of a set resemble each other, and which say nothing new."""

from __future__ import annotations

import math
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

import tyro

if TYPE_CHECKING:
    from rich.table import Table

    from bm_core.motion import MotionClip
    from bm_training.motions.similarity import Similarity


@dataclass(frozen=True, kw_only=True)
class SimilarMotions:
    """Compare clips frame by frame in pose and velocity: for each the clip that covers most of it. Exit 0 compared."""

    paths: tyro.conf.Positional[tuple[Path, ...]] = ()
    """Files, or folders that are searched recursively; default: the shipped clips."""
    set: str | None = None
    """Instead of files: a motion set, by name or as a .yaml file."""
    motion_root: Path | None = None
    """Folder that ${MOTIONS} stands for in a motion set; default: the variable BM_MOTIONS."""
    threshold: float = 0.5
    """Frames nearer than this in pose and in speed count as the same. 1 is a clearly other pose or speed (0.3 rad,
    0.1 m, 0.5 m/s, 1 rad/s); two people's walks are 0.7 apart, two retargets of one capture 0.4."""
    redundant: float = 0.9
    """A clip of which at least this share lies in another one is named as redundant, 0 to 1."""
    png: Path | None = None
    """Also draw the table of all pairs; must end in .png."""
    json: Path | None = None
    """Also write rows, and the whole matrix, as one JSON document."""

    def __call__(self) -> int:
        from bm_training.motions.commands import _console, _line
        from bm_training.motions.similarity import similarity

        self._check()
        result = similarity(self._clips(), self.threshold)
        if self.json is not None:
            self._write(result, self.json)
        if self.png is not None:
            from bm_core.atomic_file import replacing
            from bm_training.motions.similarity_picture import similarity_png

            with replacing(self.png) as partial:
                partial.write_bytes(similarity_png(result))
        _console().print(_table(result))
        for i, j in result.redundant(self.redundant):
            _line(f"{result.names[i]}: {result.covered[i, j]:.0%} of it lies in {result.names[j]}")
        return 0

    def _check(self) -> None:
        """ConfigError for options that make no sense, before minutes of comparing."""
        from bm_core.errors import ConfigError

        if not 0.0 < self.threshold < math.inf:
            raise ConfigError(f"--threshold {self.threshold:g}: a number of units above 0 expected, such as 0.5")
        if not 0.0 < self.redundant <= 1.0:
            raise ConfigError(f"--redundant {self.redundant:g}: a share above 0, at most 1, expected, such as 0.9")
        if self.png is not None and self.png.suffix != ".png":
            raise ConfigError(f"--png {self.png}: must end in .png")

    def _clips(self) -> list[MotionClip]:
        from bm_core.errors import ConfigError
        from bm_core.motion import load_clip
        from bm_core.motion_set import load_clips, load_motion_set
        from bm_training.motions.commands import _files

        if self.set is None:
            return [load_clip(path) for path in _files(self.paths)]
        if self.paths:
            raise ConfigError("motion similar: give files or --set, not both")
        return [clip for clip, _ in load_clips(load_motion_set(self.set, motion_root=self.motion_root))]

    def _write(self, result: Similarity, path: Path) -> None:
        from bm_sim2real.result_json import write_result

        rows = [
            {
                "clip": name,
                "seconds": result.seconds[i],
                "nearest": result.names[result.nearest(i)],
                "distance": result.distance[i].round(4).tolist(),
                "covered": result.covered[i].round(4).tolist(),
            }
            for i, name in enumerate(result.names)
        ]
        redundant = [[result.names[i], result.names[j]] for i, j in result.redundant(self.redundant)]
        summary = {"clips": len(rows), "threshold": result.threshold, "redundant": redundant}
        write_result(path, command="motion similar", rows=rows, summary=summary, passed=True)


def _table(result: Similarity) -> Table:
    from rich.table import Table

    table = Table("clip", title_justify="left")
    table.add_column("seconds", justify="right")
    table.add_column("covered most by")
    for heading in ("covered", "distance", "covers of it"):
        table.add_column(heading, justify="right")
    for i, name in enumerate(result.names):
        j = result.nearest(i)
        numbers = (f"{result.covered[i, j]:.0%}", f"{result.distance[i, j]:.2f}", f"{result.covered[j, i]:.0%}")
        table.add_row(name, f"{result.seconds[i]:.1f}", result.names[j], *numbers)
    return table

"""The sampler's table over a run, as a file that can be read while the run goes on: bins.jsonl.

First line: the bins. Every other line: iteration, failure rate and probability of each bin.
"""

from __future__ import annotations

import json
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np

from bm_core.errors import ConfigError
from bm_training.json_lines import whole_lines

if TYPE_CHECKING:
    from bm_training.sampling.adaptive_sampler import AdaptiveSampler, SamplerSnapshot

FILE_NAME = "bins.jsonl"


@dataclass(frozen=True, kw_only=True)
class BinAxis:
    """What the rows of a heat map are: B bins, clip after clip."""

    names: tuple[str, ...]
    """Of the M motions."""
    first_bin: tuple[int, ...]
    """(M,) first bin of each motion."""
    base: tuple[float, ...]
    """(B,) probability by weight x duration."""

    @property
    def num_bins(self) -> int:
        return len(self.base)

    def bin_name(self, index: int) -> str:
        """Clip and number of the bin in it, such as walk[2]."""
        motion = int(np.searchsorted(self.first_bin, index, side="right")) - 1
        return f"{self.names[motion]}[{index - self.first_bin[motion]}]"


def bin_axis(sampler: AdaptiveSampler) -> BinAxis:
    """The axis of a sampler's table as it is now."""
    return BinAxis(
        names=tuple(sampler.names),
        first_bin=tuple(sampler.bins.motion_first_bin.tolist()),
        base=tuple(sampler.base_probabilities.tolist()),
    )


class BinHistory:
    """Appends snapshots to the file of a run; goes on after a resume."""

    def __init__(self, run_dir: Path, axis: BinAxis) -> None:
        self._file = run_dir / FILE_NAME
        if not self._file.is_file():
            head = {"names": axis.names, "first_bin": axis.first_bin, "base": [round(p, 8) for p in axis.base]}
            self._file.write_text(json.dumps(head) + "\n")

    def add(self, snapshot: SamplerSnapshot) -> None:
        """One more line."""
        line = {
            "iteration": snapshot.iteration,
            "failure_rate": np.round(snapshot.failure_rate.astype(float), 4).tolist(),
            "probability": np.round(snapshot.probability.astype(float), 7).tolist(),
        }
        with self._file.open("a") as file:
            file.write(json.dumps(line) + "\n")


def read_bin_history(run_dir: Path) -> tuple[BinAxis, Sequence[SamplerSnapshot]]:
    """Axis and snapshots of a run. ConfigError if there are none."""
    from bm_training.sampling.adaptive_sampler import SamplerSnapshot

    try:
        lines = whole_lines((run_dir / FILE_NAME).read_text())
        head = lines[0]
        axis = BinAxis(names=tuple(head["names"]), first_bin=tuple(head["first_bin"]), base=tuple(head["base"]))
    except (OSError, ValueError, KeyError, IndexError) as error:
        raise ConfigError(f"{run_dir / FILE_NAME}: no table of bins of a training run ({error})") from error
    snapshots = {
        line["iteration"]: SamplerSnapshot(
            iteration=line["iteration"],
            failure_rate=np.array(line["failure_rate"], dtype=np.float32),
            probability=np.array(line["probability"], dtype=np.float32),
        )
        for line in lines[1:]
    }
    # After a resume the same iteration may stand there twice; the later one counts.
    return axis, [snapshots[iteration] for iteration in sorted(snapshots)]

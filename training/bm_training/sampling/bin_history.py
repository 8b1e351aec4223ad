"""The sampler's table over a run, as a file that can be read while the run goes on: bins.jsonl.

First line: the bins. Every other line: iteration, failure rate and probability of each bin, and the share of each
motion by weight x duration: a curriculum changes the weights during the run. Older versions wrote no such shares.
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
from bm_training.sampling.adaptive_sampler import SamplerSnapshot

if TYPE_CHECKING:
    from bm_training.sampling.adaptive_sampler import AdaptiveSampler

FILE_NAME = "bins.jsonl"


@dataclass(frozen=True, kw_only=True)
class BinAxis:
    """What the rows of a heat map are: B bins, clip after clip."""

    names: tuple[str, ...]
    """Of the M motions."""
    first_bin: tuple[int, ...]
    """(M,) first bin of each motion."""
    base: tuple[float, ...]
    """(B,) probability by weight x duration; all 0 for a motion that has no weight yet."""
    within: tuple[float, ...]
    """(B,) share of each bin in the duration of its motion."""

    @property
    def num_bins(self) -> int:
        return len(self.base)

    def bin_name(self, index: int) -> str:
        """Clip and number of the bin in it, such as walk[2]."""
        motion = int(np.searchsorted(self.first_bin, index, side="right")) - 1
        return f"{self.names[motion]}[{index - self.first_bin[motion]}]"

    def motion_share(self) -> list[float]:
        """(M,) base of each motion."""
        return np.add.reduceat(self.base, self.first_bin).tolist()

    def base_of(self, share: Sequence[float]) -> np.ndarray:
        """(B,) base where the motions have these shares (M,)."""
        return np.repeat(share, _bins_of_each(self.first_bin, self.num_bins)) * np.array(self.within)


@dataclass(frozen=True, kw_only=True)
class BinSnapshot(SamplerSnapshot):
    """A snapshot with what it is to be compared with."""

    base: np.ndarray
    """(B,) probability by weight x duration in that iteration."""


def bin_axis(sampler: AdaptiveSampler) -> BinAxis:
    """The axis of a sampler's table as it is now."""
    first_bin, steps = sampler.bins.motion_first_bin.tolist(), np.array(sampler.bins.steps.tolist(), dtype=float)
    return BinAxis(
        names=tuple(sampler.names),
        first_bin=tuple(first_bin),
        base=tuple(sampler.base_probabilities.tolist()),
        within=_within(steps, first_bin),
    )


class BinHistory:
    """Appends snapshots to the file of a run; goes on after a resume."""

    def __init__(self, run_dir: Path, axis: BinAxis) -> None:
        """`axis` as it is now: its base is that of the snapshots to come."""
        self._file, self._axis = run_dir / FILE_NAME, axis
        if not self._file.is_file():
            head = {
                "names": axis.names,
                "first_bin": axis.first_bin,
                "base": [round(p, 8) for p in axis.base],
                "within": [round(p, 6) for p in axis.within],
            }
            self._file.write_text(json.dumps(head) + "\n")

    def add(self, snapshot: SamplerSnapshot) -> BinSnapshot:
        """One more line; the snapshot with its base."""
        line = {
            "iteration": snapshot.iteration,
            "share": [round(share, 8) for share in self._axis.motion_share()],
            "failure_rate": np.round(snapshot.failure_rate.astype(float), 4).tolist(),
            "probability": np.round(snapshot.probability.astype(float), 7).tolist(),
        }
        with self._file.open("a") as file:
            file.write(json.dumps(line) + "\n")
        return BinSnapshot(
            iteration=snapshot.iteration,
            failure_rate=snapshot.failure_rate,
            probability=snapshot.probability,
            base=np.array(self._axis.base),
        )


def read_bin_history(run_dir: Path) -> tuple[BinAxis, Sequence[BinSnapshot]]:
    """Axis and snapshots of a run. ConfigError if there are none."""
    try:
        lines = whole_lines((run_dir / FILE_NAME).read_text())
        head = lines[0]
        axis = BinAxis(
            names=tuple(head["names"]),
            first_bin=tuple(head["first_bin"]),
            base=tuple(head["base"]),
            within=tuple(head["within"]) if "within" in head else _within(np.array(head["base"]), head["first_bin"]),
        )
    except (OSError, ValueError, KeyError, IndexError) as error:
        raise ConfigError(f"{run_dir / FILE_NAME}: no table of bins of a training run ({error})") from error
    snapshots = {
        line["iteration"]: BinSnapshot(
            iteration=line["iteration"],
            failure_rate=np.array(line["failure_rate"], dtype=np.float32),
            probability=np.array(line["probability"], dtype=np.float32),
            base=axis.base_of(line["share"]) if "share" in line else np.array(axis.base),
        )
        for line in lines[1:]
    }
    # After a resume the same iteration may stand there twice; the later one counts.
    return axis, [snapshots[iteration] for iteration in sorted(snapshots)]


def _bins_of_each(first_bin: Sequence[int], num_bins: int) -> np.ndarray:
    """(M,) number of bins."""
    return np.diff(np.append(first_bin, num_bins))


def _within(amount: np.ndarray, first_bin: Sequence[int]) -> tuple[float, ...]:
    """(B,) share of each bin in the amount (B,) of its motion; equal ones where a motion has nothing."""
    count = _bins_of_each(first_bin, len(amount))
    total = np.repeat(np.add.reduceat(amount, first_bin), count)
    return tuple(np.where(total > 0.0, amount / np.where(total > 0.0, total, 1.0), 1.0 / np.repeat(count, count)))

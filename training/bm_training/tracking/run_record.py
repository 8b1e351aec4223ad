"""What a training run has written so far, read while it runs or later: curves, bins, motions, provenance."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np

from bm_core.errors import BmError, ConfigError
from bm_training.json_lines import whole_lines
from bm_training.sampling import SamplerSnapshot
from bm_training.sampling.bin_history import BinAxis, read_bin_history
from bm_training.tracking.training_log import LOG_FILE, MOTIONS_FILE

_TRACKING = ("reward/", "policy/")
"""What scalars of other trainings never begin with."""


@dataclass(frozen=True, kw_only=True)
class MotionRow:
    """One motion at the end of what is known."""

    name: str
    failure_rate: float
    """By the sampler's discounted statistics; 0.5 where nothing is known."""
    errors: dict[str, float]
    """By names of error_log.NAMES, since the row before; empty if it was not played."""


@dataclass(frozen=True, kw_only=True)
class RunRecord:
    """A run's files."""

    name: str
    lines: tuple[dict[str, float], ...]
    """A line an iteration, in order."""
    axis: BinAxis | None
    """None: the run keeps no table of bins."""
    snapshots: tuple[SamplerSnapshot, ...]
    motions: tuple[MotionRow, ...]
    """Highest failure rate first."""
    motions_iteration: int | None
    """Of the failure rates in `motions`; None if there are none."""
    training: dict[str, Any]
    """The contract's account of the training; empty if there is none yet."""

    def curve(self, name: str) -> tuple[np.ndarray, np.ndarray]:
        """Iterations and values of a scalar, where it was logged."""
        found = [(line["iteration"], line[name]) for line in self.lines if name in line]
        pairs = np.array(found, dtype=float).reshape(-1, 2)
        return pairs[:, 0], pairs[:, 1]

    def last(self, name: str, count: int = 20) -> float:
        """Mean of the last values of a scalar; NaN if there are none."""
        values = self.curve(name)[1][-count:]
        return float(values.mean()) if len(values) else float("nan")


def read_run(run_dir: Path) -> RunRecord:
    """ConfigError if there is no log of bm train tracking in the folder."""
    file = run_dir / LOG_FILE
    lines = _lines(file)
    if not lines:
        raise ConfigError(f"{file}: no log of a training run; give the --run-dir of bm train tracking")
    if not any(name.startswith(_TRACKING) for line in lines for name in line):
        raise ConfigError(f"{file}: of another training than tracking; tensorboard --logdir {run_dir} shows its curves")
    try:
        axis, snapshots = read_bin_history(run_dir)
    except ConfigError:  # a run of an older version, or one that is too young
        axis, snapshots = None, ()
    motion_lines = _lines(run_dir / MOTIONS_FILE)
    return RunRecord(
        name=run_dir.resolve().name,
        lines=tuple(lines),
        axis=axis,
        snapshots=tuple(snapshots),
        motions=_motions(motion_lines),
        motions_iteration=int(motion_lines[-1]["iteration"]) if motion_lines else None,
        training=_training(run_dir / "checkpoints" / "contract.json"),
    )


def _lines(file: Path) -> list[dict[str, Any]]:
    """One dict an iteration: a run that was resumed may have written some iterations twice, the later one counts."""
    try:
        text = file.read_text()
    except OSError:
        return []
    except UnicodeDecodeError as error:
        raise ConfigError(f"{file}: not a log of a training run: no text") from error
    by_iteration: dict[int, dict[str, Any]] = {}
    for values in whole_lines(text):
        if not isinstance(values, dict) or not isinstance(values.get("iteration"), int):
            raise ConfigError(f"{file}: not a log of a training run: a line without its iteration")
        by_iteration[values["iteration"]] = values
    return [by_iteration[iteration] for iteration in sorted(by_iteration)]


def _motions(lines: Sequence[dict[str, Any]]) -> tuple[MotionRow, ...]:
    if not lines:
        return ()
    errors: dict[str, dict[str, float]] = {}
    for line in lines:
        errors |= line["errors"]
    rows = [
        MotionRow(name=name, failure_rate=rate, errors=errors.get(name, {}))
        for name, rate in lines[-1]["failure_rate"].items()
    ]
    return tuple(sorted(rows, key=lambda row: -row.failure_rate))


def _training(file: Path) -> dict[str, Any]:
    from bm_core.contract import Contract

    try:
        return Contract.from_json(file.read_text(), str(file)).as_dict()["training"]
    except (OSError, BmError):
        return {}


def top_bins(record: RunRecord, count: int) -> Sequence[tuple[str, float, float]]:
    """Name, probability and failure rate of the likeliest bins now."""
    if record.axis is None or not record.snapshots:
        return ()
    now = record.snapshots[-1]
    order = np.argsort(-now.probability, kind="stable")[:count]
    return [(record.axis.bin_name(int(b)), float(now.probability[b]), float(now.failure_rate[b])) for b in order]

"""Where a run's numbers go: TensorBoard, a JSON line an iteration, and one line of progress."""

from __future__ import annotations

import json
import logging
from collections.abc import Callable
from datetime import timedelta
from pathlib import Path
from typing import Any

_LOG = logging.getLogger(__name__)


class TrainingLog:
    """Writes scalars of an iteration; on ranks other than 0 give `run_dir` None and it writes nothing."""

    def __init__(self, run_dir: Path | None, report: Callable[[str], None]) -> None:
        self._report = report
        self._lines = None
        self._board: Any = None
        if run_dir is None:
            return
        run_dir.mkdir(parents=True, exist_ok=True)
        self._lines = (run_dir / "log.jsonl").open("a", buffering=1)
        try:
            from torch.utils.tensorboard import SummaryWriter

            self._board = SummaryWriter(log_dir=str(run_dir), flush_secs=20)
        except ImportError:
            _LOG.warning("tensorboard is not installed: curves go to log.jsonl only")

    def write(self, iteration: int, values: dict[str, float]) -> None:
        """All scalars of one iteration."""
        if self._lines is None:
            return
        self._lines.write(json.dumps({"iteration": iteration, **values}) + "\n")
        if self._board is not None:
            for name, value in values.items():
                self._board.add_scalar(name, value, iteration)

    def heat_map(self, iteration: int, name: str, rows: Any) -> None:
        """A (H, W) array in [0, 1] as a grey image."""
        if self._board is not None:
            self._board.add_image(name, rows[None], iteration, dataformats="CHW")

    def progress(self, iteration: int, total: int, values: dict[str, float], eta_s: float) -> None:
        """One line for the operator."""
        nan = float("nan")
        parts = [
            f"it {iteration}/{total}",
            f"{values['time/iteration_s']:.2f} s",
            f"{values['time/steps_per_second']:,.0f} steps/s",
            f"reward {values['reward/total']:.2f}",
            f"length {values.get('episode/length', nan):.0f}",
            f"failed {100.0 * values.get('episode/failed', nan):.0f} %",
            f"body {1e3 * values['error/body_pos_m']:.0f} mm",
            f"std {values['policy/std']:.2f}",
            f"lr {values['policy/learning_rate']:.1e}",
            f"ETA {_clock(eta_s)}",
        ]
        self._report("  ".join(parts))

    def close(self) -> None:
        """Flush to the disk."""
        if self._lines is not None:
            self._lines.close()
        if self._board is not None:
            self._board.close()


def _clock(seconds: float) -> str:
    return str(timedelta(seconds=round(seconds)))

"""Where a run's numbers go: TensorBoard, a JSON line an iteration, and one line of progress."""

from __future__ import annotations

import json
import logging
import os
from collections.abc import Callable
from datetime import timedelta
from pathlib import Path
from typing import Any

from bm_core.errors import ConfigError, one_line
from bm_training.sampling import SamplerSnapshot
from bm_training.sampling.bin_history import BinAxis, BinHistory

LOG_FILE, MOTIONS_FILE = "log.jsonl", "motions.jsonl"
_PICTURE_INTERVAL = 10
"""Snapshots between pictures of the heat map on the boards."""
_LOG = logging.getLogger(__name__)


class TrainingLog:
    """Writes scalars of an iteration; on ranks other than 0 give `run_dir` None and it writes nothing."""

    def __init__(self, run_dir: Path | None, report: Callable[[str], None], wandb_project: str | None = None) -> None:
        self._run_dir, self._report = run_dir, report
        self._lines = None
        self._board: Any = None
        self._wandb: Any = None
        self._snapshots: list[SamplerSnapshot] = []
        if run_dir is None:
            return
        run_dir.mkdir(parents=True, exist_ok=True)
        self._lines = (run_dir / LOG_FILE).open("a", buffering=1)
        try:
            from torch.utils.tensorboard import SummaryWriter

            self._board = SummaryWriter(log_dir=str(run_dir), flush_secs=20)
        except ImportError:
            _LOG.warning("tensorboard is not installed: curves go to log.jsonl only")
        if wandb_project is not None:
            self._wandb = start_wandb(wandb_project, run_dir)

    def write(self, iteration: int, values: dict[str, float]) -> None:
        """All scalars of one iteration."""
        if self._lines is None:
            return
        self._lines.write(json.dumps({"iteration": iteration, **values}) + "\n")
        if self._board is not None:
            for name, value in values.items():
                self._board.add_scalar(name, value, iteration)
        if self._wandb is not None:
            self._wandb.log(values, step=iteration)

    def bins(self, axis: BinAxis, snapshot: SamplerSnapshot) -> None:
        """The sampler's table: into bins.jsonl, and as a heat map over time to the boards."""
        if self._run_dir is None:
            return
        self._snapshots.append(BinHistory(self._run_dir, axis).add(snapshot))
        if len(self._snapshots) % _PICTURE_INTERVAL or (self._board is None and self._wandb is None):
            return
        try:
            from bm_training.sampling.heatmap import heatmap_image
        except ImportError:  # no matplotlib; bm train report draws it where there is one
            return
        picture = heatmap_image(axis, self._snapshots)
        if self._board is not None:
            self._board.add_image("sampler/heat_map", picture, snapshot.iteration, dataformats="HWC")
        if self._wandb is not None:
            import wandb

            self._wandb.log({"sampler/heat_map": wandb.Image(picture)}, step=snapshot.iteration)

    def motions(self, iteration: int, failure_rates: dict[str, float], errors: dict[str, dict[str, float]]) -> None:
        """Failure rate and tracking errors of each motion: into motions.jsonl and to the boards."""
        if self._run_dir is None:
            return
        with (self._run_dir / MOTIONS_FILE).open("a") as file:
            line = {"iteration": iteration, "failure_rate": failure_rates, "errors": errors}
            file.write(json.dumps(line) + "\n")
        scalars = {f"motion_failure/{name}": rate for name, rate in failure_rates.items()}
        scalars |= {f"motion_body_pos_m/{name}": values["body_pos_m"] for name, values in errors.items()}
        if self._board is not None:
            for name, value in scalars.items():
                self._board.add_scalar(name, value, iteration)
        if self._wandb is not None:
            self._wandb.log(scalars, step=iteration)

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
        if self._wandb is not None:
            self._wandb.finish()


def check_wandb() -> None:
    """ConfigError without wandb."""
    try:
        import wandb  # noqa: F401
    except ImportError as error:
        raise ConfigError(
            "--wandb-project: wandb is not installed; pip install wandb, or leave the option out"
        ) from error


def start_wandb(project: str, run_dir: Path) -> Any:
    """A W&B run that writes below `run_dir`: offline unless WANDB_MODE says otherwise.

    ConfigError without wandb, or if it cannot be begun.
    """
    check_wandb()
    import wandb

    mode = os.environ.get("WANDB_MODE", "offline")
    try:
        return wandb.init(project=project, name=run_dir.name, dir=str(run_dir), mode=mode, resume="allow")
    except Exception as error:  # wandb and requests have many classes for one thing: it does not begin
        raise ConfigError(
            f"--wandb-project {project}: W&B does not begin ({one_line(error)}); WANDB_MODE=offline needs no server"
        ) from error


def _clock(seconds: float) -> str:
    return str(timedelta(seconds=round(seconds)))

"""How long a run lasts, and what is kept of it."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

from bm_training.require import require

_ROWS = 200
"""Of a heat map before they become rarer."""


@dataclass(frozen=True, kw_only=True)
class RunnerConfig:
    """How long, and what is kept."""

    run_dir: Path
    max_iterations: int = 30_000
    """Iterations in all, those before a resume included."""
    save_interval: int = 200
    """Iterations between checkpoints."""
    keep_last: int = 3
    heat_map_interval: int = 20
    """Iterations between rows of the sampler's heat map, with errors and failure rates by motion."""
    wandb_project: str | None = None
    """Also log to this project of W&B."""
    deadline: float | None = None
    """time.monotonic() at which to stop and save."""

    def __post_init__(self) -> None:
        require(self.max_iterations >= 0, "max_iterations", self.max_iterations, ">= 0")
        require(self.save_interval >= 1, "save_interval", self.save_interval, ">= 1 iteration")
        require(self.keep_last >= 1, "keep_last", self.keep_last, ">= 1 checkpoint")
        require(self.heat_map_interval >= 1, "heat_map_interval", self.heat_map_interval, ">= 1 iteration")

    def is_row_due(self, iteration: int) -> bool:
        """Whether the heat map gets a row: every `heat_map_interval` iterations for the first 200 rows, then half as
        often with every doubling of the run, so that the files of long runs stay at some hundred rows."""
        interval = self.heat_map_interval
        while iteration >= _ROWS * interval:
            interval *= 2
        return iteration % interval == 0

"""The protocol of the paper's Table II: iterations until a whole motion completes in MuJoCo, by sampling mode.

One policy a clip, as the paper trains them. A run counts from the first checkpoint whose policy tracks the clip from
its first frame to its last in MuJoCo, another engine than it was trained in, without any termination.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from bm_core.errors import ConfigError
from bm_training.tracking.checkpoint import CheckpointFolder

Completes = Callable[[Path, Path], bool]
"""(checkpoint, clip file) -> whether the whole clip completes."""


@dataclass(frozen=True, kw_only=True)
class AblationRun:
    """One training of the protocol."""

    clip: Path
    mode: str
    """Of the sampler: adaptive or uniform."""
    seed: int
    run_dir: Path


@dataclass(frozen=True, kw_only=True)
class AblationPlan:
    """Which trainings, and how."""

    out: Path
    clips: tuple[Path, ...]
    modes: tuple[str, ...]
    seeds: int
    max_iterations: int
    check_interval: int
    """Iterations between the checkpoints that are tried."""

    def __post_init__(self) -> None:
        stems = [clip.stem for clip in self.clips]
        if len(set(stems)) != len(stems):
            raise ConfigError(f"ablate: two clips are named {max(stems, key=stems.count)}; rename one")
        if self.seeds < 1 or self.check_interval < 1 or self.max_iterations < self.check_interval:
            raise ConfigError("ablate: seeds >= 1 and 1 <= check_interval <= max_iterations needed")

    @property
    def runs(self) -> list[AblationRun]:
        """Clip after clip, so that a table can be read off early."""
        return [
            AblationRun(clip=clip, mode=mode, seed=seed, run_dir=self.out / clip.stem / f"{mode}-{seed}")
            for clip in self.clips
            for mode in self.modes
            for seed in range(self.seeds)
        ]

    def training_options(self, run: AblationRun) -> list[str]:
        """Arguments of bm train tracking; a run that has checkpoints goes on from its newest."""
        options = ["--run-dir", str(run.run_dir), "--motions", str(run.clip), "--sampling", run.mode]
        options += ["--seed", str(run.seed), "--max-iterations", str(self.max_iterations)]
        options += ["--save-interval", str(self.check_interval), "--keep-last", str(self.max_iterations)]
        if CheckpointFolder(run_dir=run.run_dir).numbered():
            options += ["--resume", str(run.run_dir)]
        return options

    def is_trained(self, run: AblationRun) -> bool:
        """Whether its last checkpoint is there."""
        return any(
            iteration_of(path) >= self.max_iterations for path in CheckpointFolder(run_dir=run.run_dir).numbered()
        )


def iteration_of(checkpoint: Path) -> int:
    """model_000250.pt -> 250"""
    return int(checkpoint.stem.rpartition("_")[2])


def first_completion(run: AblationRun, completes: Completes) -> dict[str, Any]:
    """A row: iterations of the first checkpoint that completes (None: none of them), and how many were tried."""
    checkpoints = CheckpointFolder(run_dir=run.run_dir).numbered()
    if not checkpoints:
        raise ConfigError(f"{run.run_dir}: no checkpoints; train first")
    reached, tried = None, 0
    for path in checkpoints:
        tried += 1
        if completes(path, run.clip):
            reached = iteration_of(path)
            break
    return {
        "clip": run.clip.stem,
        "mode": run.mode,
        "seed": run.seed,
        "iterations": reached,
        "checkpoints_tried": tried,
        "trained_iterations": iteration_of(checkpoints[-1]),
    }


def summarize(rows: Sequence[dict[str, Any]]) -> dict[str, Any]:
    """By clip and mode: iterations of each seed, their mean if all completed, and how many did not."""
    summary: dict[str, Any] = {}
    for row in rows:
        cell = summary.setdefault(row["clip"], {}).setdefault(row["mode"], {"iterations": []})
        cell["iterations"].append(row["iterations"])
        cell["trained_iterations"] = max(row["trained_iterations"], cell.get("trained_iterations", 0))
    for modes in summary.values():
        for cell in modes.values():
            reached = [value for value in cell["iterations"] if value is not None]
            cell["failed"] = len(cell["iterations"]) - len(reached)
            cell["mean"] = sum(reached) / len(reached) if reached and not cell["failed"] else None
    return summary


def table_lines(summary: dict[str, Any], modes: Sequence[str]) -> list[str]:
    """Markdown: a line a clip, a column a mode; `> N` where some seed did not complete within N iterations."""
    lines = ["| clip | " + " | ".join(modes) + " |", "|---" * (len(modes) + 1) + "|"]
    for clip, cells in summary.items():
        lines.append(f"| {clip} | " + " | ".join(_cell(cells[mode]) for mode in modes if mode in cells) + " |")
    return lines


def _cell(cell: dict[str, Any]) -> str:
    limit = cell["trained_iterations"]
    seeds = ", ".join(f"> {limit}" if value is None else str(value) for value in cell["iterations"])
    if cell["mean"] is None:
        return f"{cell['failed']} of {len(cell['iterations'])} not within {limit} ({seeds})"
    return f"{cell['mean']:.0f} ({seeds})"


def completes_in_mujoco(checkpoint: Path, clip: Path, folder: Path) -> bool:
    """Export the checkpoint into `folder` and play the clip through the runtime in MuJoCo."""
    from bm_core.motion import load_clip
    from bm_export.checkpoint import load_tracker
    from bm_export.tracker import export_tracker
    from bm_sim2real.clip_files import ClipFile
    from bm_sim2real.evaluation import EvaluationConfig
    from bm_sim2real.evaluation_batch import plan_episodes, run_episodes, with_base_state

    tracker = load_tracker(checkpoint)
    bundle = folder / "policy.onnx"
    export_tracker(tracker.actor, tracker.contract, [load_clip(clip)], bundle)
    episodes = plan_episodes([ClipFile(path=clip)], 1, is_pushed=False)
    (result,) = run_episodes(bundle, episodes, with_base_state(EvaluationConfig(), bundle))
    return result.completed

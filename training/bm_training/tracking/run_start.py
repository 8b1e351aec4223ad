"""What a run begins with beside its options: read before the simulator starts, so that a mistake costs seconds."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

from bm_core.errors import ConfigError
from bm_training.sampling import read_bin_weights
from bm_training.sampling.bins import build_bins
from bm_training.tracking.checkpoint import find_checkpoint, load_checkpoint
from bm_training.tracking.curriculum import Curriculum, read_curriculum

if TYPE_CHECKING:
    from torch import Tensor

    from bm_training.tracking.motion_set import LoadedMotionSet

_FREE = (
    # where things lie, and how long it goes on
    *("run_dir", "json", "device", "motion_set", "motions", "registry_name", "motion_root", "resume"),
    *("max_iterations", "max_minutes", "save_interval", "keep_last", "wandb_project", "solver_loop"),
    # only the beginning of a run; the optimiser goes on with its own rate
    *("init_from", "init_std", "exploration_std", "learning_rate"),
)
"""Options that a resumed run may have otherwise and still be the same run."""

_TO_BEGIN = {"alg", "layouts", "steps"}
_TO_RESUME = _TO_BEGIN | {"ppo", "sampler", "random", "iteration", "best"}


@dataclass(frozen=True, kw_only=True)
class RunStart:
    """Files of the options, read."""

    curriculum: Curriculum | None
    bin_weights: Tensor | None
    """(B,) by hand."""
    checkpoint: Path | None
    """Of --resume or --init-from,"""
    state: dict[str, Any] | None
    """and what is in it."""


def read_start(
    motions: LoadedMotionSet,
    *,
    bin_s: float,
    bin_probabilities: Path | None,
    curriculum: Path | None,
    checkpoint: Path | None,
    is_resumed: bool,
    device: str,
) -> RunStart:
    """ConfigError for a file or a checkpoint that cannot be trained with. `bin_s` in s.

    `checkpoint`: run or file, to be resumed or for its networks alone.
    """
    names = [clip.name for clip in motions.clips]
    bins = build_bins([clip.num_frames for clip in motions.clips], round(bin_s * motions.clips[0].fps))
    stages = None if curriculum is None else Curriculum(read_curriculum(curriculum), names, motions.weights)
    weights = None if bin_probabilities is None else read_bin_weights(bin_probabilities, names, bins)
    path = None if checkpoint is None else find_checkpoint(checkpoint)
    state = None if path is None else load_checkpoint(path, device)
    if path is not None and state is not None and not (_TO_RESUME if is_resumed else _TO_BEGIN) <= set(state):
        raise ConfigError(f"{path.name}: not a checkpoint of bm train tracking or bm train distill")
    return RunStart(curriculum=stages, bin_weights=weights, checkpoint=path, state=state)


def differing_options(state: dict[str, Any], options: dict[str, str]) -> list[str]:
    """`options` that change what is learned and were others in the run of a checkpoint: "--seed 1 (was 0)"."""
    then = state.get("provenance", {}).get("options", {})
    return [
        f"--{name.replace('_', '-')} {value} (was {then[name]})"
        for name, value in options.items()
        if name in then and name not in _FREE and then[name] != value
    ]

"""Motions and task of commands that run the tracker in the simulator."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING

from bm_core.errors import ConfigError

if TYPE_CHECKING:
    from bm_training.diffusion.teacher import TeacherCheckpoint
    from bm_training.tracking.env_cfg import TaskConfig
    from bm_training.tracking.motion_set import LoadedMotionSet


def chosen_motions(motion_set: str | None, motions: str | None, root: Path | None) -> LoadedMotionSet:
    """A set by name, or clips and folders separated by commas. ConfigError unless exactly one of them is given."""
    from bm_training.tracking.motion_set import motion_set_of_paths, read_motion_set

    if (motion_set is None) == (motions is None):
        raise ConfigError("give either --motion-set or --motions")
    if motion_set is not None:
        return read_motion_set(motion_set, root)
    return motion_set_of_paths(str(motions).split(","), root)


def teacher_task(
    teacher: TeacherCheckpoint,
    motions: LoadedMotionSet,
    *,
    num_envs: int,
    backend: str,
    device: str,
    seed: int,
    max_delay_ms: float,
) -> TaskConfig:
    """The task whose observation `teacher` knows, with starts uniform over the motions' seconds and weights."""
    from bm_training.sampling import AdaptiveSamplerConfig, SamplingMode
    from bm_training.tracking.env_cfg import PHYSICS_DT, Backend, TaskConfig

    return TaskConfig(
        load_motions=motions.on_device,
        num_envs=num_envs,
        backend=Backend(backend),
        device=device,
        seed=seed,
        state_estimation=teacher.state_estimation,
        reference_window=teacher.reference_window,
        max_delay_steps=round(max_delay_ms / (1000.0 * PHYSICS_DT)),
        sampler=AdaptiveSamplerConfig(mode=SamplingMode.UNIFORM),
    )


def default_device(device: str | None) -> str:
    """A GPU where there is one."""
    import torch

    return device or ("cuda:0" if torch.cuda.is_available() else "cpu")

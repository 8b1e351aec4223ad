"""Task of commands that run the tracker in the simulator."""

from __future__ import annotations

from typing import TYPE_CHECKING, Protocol

if TYPE_CHECKING:
    from bm_training.diffusion.teacher import TeacherCheckpoint
    from bm_training.tracking.env_cfg import TaskConfig
    from bm_training.tracking.motion_set import LoadedMotionSet


class SimulationOptions(Protocol):
    """The options that say how to simulate; each command words them itself and has defaults of its own."""

    @property
    def num_envs(self) -> int: ...

    @property
    def backend(self) -> str: ...

    @property
    def max_delay_ms(self) -> float: ...


def task_of_options(
    options: SimulationOptions, teacher: TeacherCheckpoint, motions: LoadedMotionSet, device: str, seed: int
) -> TaskConfig:
    """`teacher_task` as a command's options want it."""
    return teacher_task(
        teacher,
        motions,
        num_envs=options.num_envs,
        backend=options.backend,
        device=device,
        seed=seed,
        max_delay_ms=options.max_delay_ms,
    )


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
    from bm_training.tracking.env_cfg import Backend, TaskConfig, delay_steps

    return TaskConfig(
        load_motions=motions.on_device,
        num_envs=num_envs,
        backend=Backend(backend),
        device=device,
        seed=seed,
        state_estimation=teacher.state_estimation,
        reference_window=teacher.reference_window,
        max_delay_steps=delay_steps(max_delay_ms),
        sampler=AdaptiveSamplerConfig(mode=SamplingMode.UNIFORM),
    )

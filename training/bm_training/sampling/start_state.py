"""The state a robot starts from, which need not be the reference's: standing has to be reached from a walk.

Assumption: a walking robot is within the tracker's terminations of a standing reference, which compare heights, not xy
and yaw. It is checked frame by frame, with a margin for reset noise. [measured] Walking clips differ from the default
pose by at most 0.14 m at the ankles and 0.17 m at the wrists; runs by 0.33 m, so that no frame of a run qualifies.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

import torch
from torch import Tensor

from bm_core.errors import ConfigError
from bm_core.g1 import END_EFFECTORS
from bm_training.rotations import gravity_in_body, quat_from_yaw, quat_multiply, quat_rotate, yaw_from_quat

if TYPE_CHECKING:
    from bm_training.tracking.motion_library import MotionLibrary


@dataclass(frozen=True, kw_only=True)
class StartStateConfig:
    """How often, and from which frames, standing starts out of locomotion."""

    probability: float = 0.3
    """Share of the episodes of standing motions that start in a locomotion frame."""
    max_height_difference: float = 0.2
    """Of torso, ankles and wrists against the standing reference, m. The tracker terminates at 0.25."""
    max_gravity_difference: float = 0.4
    """Of the z component of gravity in the torso frame. The tracker terminates at 0.8."""
    max_speed: float = 1.5
    """Horizontal pelvis speed, m/s; faster runs need a stop reference, not a stand."""

    def __post_init__(self) -> None:
        if not 0.0 <= self.probability <= 1.0:
            raise ConfigError(f"start_state.probability = {self.probability}: must be in [0, 1]")


@dataclass(frozen=True, kw_only=True)
class StartState:
    """Robot state to write at a reset, E environments; world frame of the clip, link origins, quaternion wxyz."""

    root_pos_w: Tensor
    """(E, 3) m."""
    root_quat_w: Tensor
    """(E, 4)."""
    root_lin_vel_w: Tensor
    """(E, 3) m/s."""
    root_ang_vel_w: Tensor
    """(E, 3) rad/s."""
    joint_pos: Tensor
    """(E, 29) rad."""
    joint_vel: Tensor
    """(E, 29) rad/s."""


class StartStateSampler:
    """Draws the frame whose state the robot gets, beside the reference frame that it has to track."""

    def __init__(
        self,
        config: StartStateConfig,
        library: MotionLibrary,
        is_stand: Tensor,
        is_locomotion: Tensor,
        generator: torch.Generator,
    ) -> None:
        """`is_stand`, `is_locomotion` (M,) bool. Raises ConfigError when standing motions find no fitting frame."""
        self.config = config
        self._generator = generator
        self._is_stand = is_stand.to(library.device)
        motion = torch.repeat_interleave(
            torch.arange(library.num_motions, device=library.device), library.motion_length
        )
        fits = _fits(config, library, self._is_stand[motion]) & is_locomotion.to(library.device)[motion]
        self._row = fits.nonzero().squeeze(-1)
        self._motion = motion[self._row]
        self._frame = self._row - library.motion_start[self._motion]
        self.num_states = len(self._row)
        """Locomotion frames that qualify."""
        self._is_active = config.probability > 0.0 and bool(is_stand.any()) and bool(is_locomotion.any())
        if self._is_active and self.num_states == 0:
            raise ConfigError(
                "start state: no locomotion frame is close enough to the standing motions "
                f"({config.max_height_difference} m, {config.max_speed} m/s); flag slower motions or set probability 0"
            )

    def draw(self, motion_id: Tensor, frame: Tensor) -> tuple[Tensor, Tensor]:
        """(motion, frame) of the state, (E,) each: the reference's own, but for a share of standing ones."""
        if not self._is_active:
            return motion_id, frame
        device = motion_id.device
        chance, pick = torch.rand(2, len(motion_id), dtype=torch.float64, device=device, generator=self._generator)
        index = (pick * self.num_states).long().clamp(max=self.num_states - 1)
        replaced = self._is_stand[motion_id] & (chance < self.config.probability)
        return torch.where(replaced, self._motion[index], motion_id), torch.where(replaced, self._frame[index], frame)


def start_state(
    library: MotionLibrary, motion_id: Tensor, frame: Tensor, state_motion_id: Tensor, state_frame: Tensor
) -> StartState:
    """State of one frame, moved so that its torso has the xy and yaw of the reference frame; heights stay. All (E,)."""
    reference = library.gather(motion_id, frame)
    state = library.gather(state_motion_id, state_frame)
    anchor, root = library.anchor_index, library.root_index
    target_pos, anchor_pos = reference.body_pos_w[:, anchor], state.body_pos_w[:, anchor]
    yaw = yaw_from_quat(reference.body_quat_w[:, anchor]) - yaw_from_quat(state.body_quat_w[:, anchor])
    turn = quat_from_yaw(yaw)
    origin = torch.cat([target_pos[:, :2], anchor_pos[:, 2:]], dim=-1)
    return StartState(
        root_pos_w=origin + quat_rotate(turn, state.body_pos_w[:, root] - anchor_pos),
        root_quat_w=quat_multiply(turn, state.body_quat_w[:, root]),
        root_lin_vel_w=quat_rotate(turn, state.body_lin_vel_w[:, root]),
        root_ang_vel_w=quat_rotate(turn, state.body_ang_vel_w[:, root]),
        joint_pos=state.joint_pos,
        joint_vel=state.joint_vel,
    )


def _fits(config: StartStateConfig, library: MotionLibrary, is_stand_row: Tensor) -> Tensor:
    """(F,) frames whose heights, tilt and speed are within the limits of every standing frame."""
    bodies = [library.anchor_index, *(library.body_names.index(name) for name in END_EFFECTORS)]
    height = library.body_pos_w[:, bodies, 2]
    gravity_z = gravity_in_body(library.body_quat_w[:, library.anchor_index])[:, 2:]
    speed = torch.linalg.vector_norm(library.body_lin_vel_w[:, library.root_index, :2], dim=-1)
    return (
        _within(height, is_stand_row, config.max_height_difference)
        & _within(gravity_z, is_stand_row, config.max_gravity_difference)
        & (speed <= config.max_speed)
    )


def _within(values: Tensor, is_stand_row: Tensor, limit: float) -> Tensor:
    """(F, D) -> (F,): closer than `limit` to the farthest standing frame, in every column."""
    if not bool(is_stand_row.any()):
        return torch.zeros(len(values), dtype=torch.bool, device=values.device)
    stand = values[is_stand_row]
    return ((values <= stand.amin(0) + limit) & (values >= stand.amax(0) - limit)).all(-1)

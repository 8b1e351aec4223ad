"""The whole way from a human capture to a clip of the G1."""

from __future__ import annotations

from dataclasses import dataclass, field, fields, replace

from bm_core.motion import CLIP_FPS, MotionClip, clip_from_qpos
from bm_training.motions.retarget.capture import HumanCapture
from bm_training.motions.retarget.conditioning import level_floor, resample
from bm_training.motions.retarget.contacts import Mask, detect_contacts
from bm_training.motions.retarget.footsteps import plan_footsteps
from bm_training.motions.retarget.looping import loop_capture
from bm_training.motions.retarget.robot_size import g1_size, human_size
from bm_training.motions.retarget.solver import Progress, RetargetSolver, SolverConfig
from bm_training.motions.retarget.targets import BodyTargets, body_targets, within_leg_reach


@dataclass(frozen=True, kw_only=True)
class RetargetConfig:
    """Settings of a retarget."""

    cutoff: float = 8.0
    """Low-pass on the capture, Hz."""
    loop_seconds: float = 0.0
    """Repeat the best gait cycle until the motion is at least this long, s; 0 keeps the capture as it is."""
    solver: SolverConfig = field(default_factory=SolverConfig)


@dataclass(frozen=True, kw_only=True)
class Retarget:
    """What came out, and what it was aimed at."""

    clip: MotionClip
    targets: BodyTargets
    contact: Mask
    """(T, 2 sides, 2 points: heel, toe): where a sole point was to stand still."""


def retarget(
    capture: HumanCapture, config: RetargetConfig | None = None, *, name: str = "", progress: Progress | None = None
) -> Retarget:
    """Retargets a capture to the G1 at 50 fps; same input, same output.

    ClipError if the capture holds no gait cycle to loop, or the result would not be a valid clip.
    """
    config = config or RetargetConfig()
    level = level_floor(resample(capture, CLIP_FPS, config.cutoff))
    margin = 0
    if config.loop_seconds > 0.0:
        level, margin = loop_capture(level, config.loop_seconds)
    contact = detect_contacts(level)
    robot = g1_size()
    targets = plan_footsteps(body_targets(level, human_size(level), robot), contact, CLIP_FPS)
    targets = replace(targets, pelvis_pos=within_leg_reach(targets, robot, CLIP_FPS))
    solved = RetargetSolver(config.solver).solve(targets, contact, CLIP_FPS, progress)
    kept = slice(margin, level.num_frames - margin)
    clip = clip_from_qpos(
        name or level.name,
        solved.root_pos[kept],
        solved.root_quat[kept],
        solved.joint_pos[kept],
        CLIP_FPS,
        source=capture.source,
        licence=capture.licence,
        made_by="bm motion retarget",
    )
    return Retarget(clip=clip, targets=_cut(targets, kept), contact=contact[kept])


def _cut(targets: BodyTargets, kept: slice) -> BodyTargets:
    return BodyTargets(**{item.name: getattr(targets, item.name)[kept] for item in fields(BodyTargets)})

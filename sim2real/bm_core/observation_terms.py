"""The observation terms a tracker may ask for: their names, sizes and order. What they hold: observation.py."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from bm_core.errors import BundleError

NUM_JOINTS = 29

TERM_DIMS = {
    "command": 2 * NUM_JOINTS,
    "motion_anchor_pos_b": 3,
    "motion_anchor_ori_b": 6,
    "base_lin_vel": 3,
    "base_ang_vel": 3,
    "joint_pos": NUM_JOINTS,
    "joint_vel": NUM_JOINTS,
    "actions": NUM_JOINTS,
}
"""Terms of whole_body_tracking and their sizes, in its order (160 together)."""

FOREIGN_TERM_DIMS = {"base_lin_vel_com": 3, "base_lin_vel_imu": 3, "projected_gravity": 3}
"""Terms that only policies of other projects have: our own are not trained on them."""

WINDOW_TERM = "reference_window"
WINDOW_STEP_DIM = NUM_JOINTS + 6 + 1 + 3
"""Per offset: joint positions, anchor orientation, anchor height, anchor linear velocity."""

MOTION_ID_TERM = "motion_id"
"""One number for each motion that a policy knows by name, term `motion_id[CLIP]`: 1 while the reference is that clip,
all 0 for other clips, poses, stops and plans."""

TERMS_NEEDING_STATE = {
    "motion_anchor_pos_b": "pelvis_pos_w",
    "base_lin_vel": "pelvis_lin_vel_b",
    "base_lin_vel_com": "pelvis_lin_vel_b",
    "base_lin_vel_imu": "pelvis_lin_vel_b",
}
"""Terms that exist only with state estimation, and the optional field of RobotState that each reads."""


@dataclass(frozen=True, kw_only=True)
class ObservationTerm:
    """One block of the observation vector. It fills dim x history numbers, oldest first."""

    name: str
    dim: int
    """Numbers of one control step."""
    history: int = 1
    """Control steps kept; at the start all of them repeat the first."""
    scale: float = 1.0
    """Factor on the term, applied before it enters the history."""
    steps: tuple[int, ...] = ()
    """`reference_window` only: future offsets in frames."""

    @property
    def size(self) -> int:
        """Numbers in the observation vector."""
        return self.dim * self.history


def term_dim(name: str, steps: tuple[int, ...] = ()) -> int:
    """Numbers of one control step of a term. BundleError if the name is unknown."""
    if name == WINDOW_TERM:
        return WINDOW_STEP_DIM * len(steps)
    if motion_of_term(name) is not None:
        return 1
    dims = TERM_DIMS | FOREIGN_TERM_DIMS
    if name not in dims:
        known = ", ".join([*dims, WINDOW_TERM, f"{MOTION_ID_TERM}[CLIP]"])
        raise BundleError(f"observation term '{name}' is unknown; known are {known}")
    return dims[name]


def observation_term(
    name: str, *, history: int = 1, scale: float = 1.0, steps: tuple[int, ...] = ()
) -> ObservationTerm:
    """A term with its size filled in."""
    return ObservationTerm(name=name, dim=term_dim(name, steps), history=history, scale=scale, steps=steps)


def motion_of_term(name: str) -> str | None:
    """Clip of a term `motion_id[CLIP]`; None for other terms."""
    is_motion = name.startswith(f"{MOTION_ID_TERM}[") and name.endswith("]")
    return name[len(MOTION_ID_TERM) + 1 : -1] if is_motion else None


def motion_ids(terms: Sequence[ObservationTerm]) -> tuple[str, ...]:
    """Clips that a policy tells apart by their names, in its order; empty for most policies."""
    return tuple(motion for term in terms if (motion := motion_of_term(term.name)) is not None)


def tracker_terms(
    *, state_estimation: bool, window_steps: tuple[int, ...] = (), motions: Sequence[str] = ()
) -> tuple[ObservationTerm, ...]:
    """The terms of our trackers: 160 numbers with state estimation, 154 without, plus 39 for each window step.

    `motions`: clips that the policy shall tell apart by their names, one number each.
    """
    names = [name for name in TERM_DIMS if state_estimation or name not in TERMS_NEEDING_STATE]
    terms = [observation_term(name) for name in names]
    if window_steps:
        terms.append(observation_term(WINDOW_TERM, steps=tuple(window_steps)))
    terms += [observation_term(f"{MOTION_ID_TERM}[{motion}]") for motion in motions]
    return tuple(terms)

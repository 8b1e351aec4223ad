"""Observation groups of the tracking task from the terms of a contract: what policy, critic and teachers see."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from isaaclab.managers import ObservationGroupCfg, ObservationTermCfg
from isaaclab.utils.noise import UniformNoiseCfg

from bm_core.observation_terms import MOTION_ID_TERM, WINDOW_TERM, ObservationTerm, motion_ids, motion_of_term
from bm_training.tracking import observations

_NOISE = {
    "motion_anchor_pos_b": 0.25,
    "motion_anchor_ori_b": 0.05,
    "base_lin_vel": 0.5,
    "base_ang_vel": 0.2,
    "joint_pos": 0.01,
    "joint_vel": 0.5,
}
"""Half range of the uniform noise on the policy's terms (beyondmimic 1.3); others have none."""
_HIDDEN_SHARE = 0.1
"""Of the episodes in which a policy with motion ids is not told which clip it follows: at run time poses, stops and
plans have no id, and no policy may meet that for the first time on the robot."""


def actor_group(terms: Sequence[ObservationTerm], *, is_noisy: bool) -> ObservationGroupCfg:
    """What a policy with these terms sees; without noise every motion id is told, too."""
    group = ObservationGroupCfg(enable_corruption=is_noisy, concatenate_terms=True)
    for term in terms:
        if motion_of_term(term.name) is not None:
            continue
        half = _NOISE.get(term.name)
        noise = None if half is None else UniformNoiseCfg(n_min=-half, n_max=half)
        params: dict[str, Any] = {"steps": term.steps} if term.name == WINDOW_TERM else {}
        setattr(group, term.name, ObservationTermCfg(func=getattr(observations, term.name), params=params, noise=noise))
    _add_motion_ids(group, motion_ids(terms), _HIDDEN_SHARE if is_noisy else 0.0)
    return group


def critic_group(terms: Sequence[ObservationTerm]) -> ObservationGroupCfg:
    """The 286 numbers of beyondmimic 1.4 and the episode's delay; the policy's window and ids, too, without noise."""
    names = ["command", "motion_anchor_pos_b", "motion_anchor_ori_b", "body_pos", "body_ori", "base_lin_vel"]
    names += ["base_ang_vel", "joint_pos", "joint_vel", "actions", "command_delay"]
    group = ObservationGroupCfg(enable_corruption=False, concatenate_terms=True)
    for name in names:
        setattr(group, name, ObservationTermCfg(func=getattr(observations, name)))
    for term in terms:
        if term.name == WINDOW_TERM:
            cfg = ObservationTermCfg(func=observations.reference_window, params={"steps": term.steps})
            setattr(group, WINDOW_TERM, cfg)
    _add_motion_ids(group, motion_ids(terms), 0.0)
    return group


def window_union(groups: Sequence[Sequence[ObservationTerm]]) -> tuple[int, ...]:
    """Offsets that any of the groups asks for, sorted."""
    return tuple(sorted({step for terms in groups for term in terms for step in term.steps}))


def _add_motion_ids(group: ObservationGroupCfg, motions: tuple[str, ...], hidden_share: float) -> None:
    if motions:
        params = {"motions": motions, "hidden_share": hidden_share}
        setattr(group, MOTION_ID_TERM, ObservationTermCfg(func=observations.motion_id, params=params))

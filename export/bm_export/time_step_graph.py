"""The graph of whole_body_tracking's exporter: takes `time_step`, returns its embedded motion beside the action.

Runtimes of that project observe nothing beyond the present frame. A policy with `reference_window` runs there all the
same: the look-ahead is computed inside the graph, from the motion that it holds and from the terms it is given.
"""

from __future__ import annotations

import dataclasses

import numpy as np
import torch
from torch import Tensor, nn

from bm_core.contract import Contract
from bm_core.errors import BundleError
from bm_core.g1 import G1
from bm_core.motion import MotionClip
from bm_core.observation_terms import WINDOW_STEP_DIM, WINDOW_TERM, ObservationTerm, motion_of_term
from bm_core.rotations import matrix_from_quat, quat_conjugate, quat_from_yaw, quat_rotate, yaw_from_quat

REFERENCE_OUTPUTS = ("joint_pos", "joint_vel", "body_pos_w", "body_quat_w", "body_lin_vel_w", "body_ang_vel_w")
"""Behind `actions`; the bodies are the contract's body_names."""

_NEEDED = ("command", "motion_anchor_ori_b")
"""Terms from which the look-ahead is computed."""


def embedded_contract(contract: Contract) -> Contract:
    """The contract of the graph with a motion inside: what others can observe. BundleError if that is not enough."""
    terms = {term.name: term for term in contract.observations}
    if WINDOW_TERM in terms:
        for name in _NEEDED:
            if name not in terms or terms[name].history != 1:
                raise BundleError(f"a motion can be embedded for {WINDOW_TERM} only beside '{name}' without history")
        if terms[WINDOW_TERM].history != 1:
            raise BundleError(f"a motion cannot be embedded for {WINDOW_TERM} with history")
    kept = tuple(term for term in contract.observations if not _is_inside(term))
    return dataclasses.replace(contract, observations=kept, reference="embedded")


def _is_inside(term: ObservationTerm) -> bool:
    """What the graph knows itself: the look-ahead, and which motion it holds."""
    return term.name == WINDOW_TERM or motion_of_term(term.name) is not None


class EmbeddedActor(nn.Module):
    """(obs (1, O), time_step (1, 1)) -> action (1, A) and frame time_step of the motion, clamped to its last."""

    def __init__(self, actor: nn.Module, contract: Contract, clip: MotionClip) -> None:
        """`contract` is the actor's own; obs are the terms of `embedded_contract(contract)`."""
        super().__init__()
        self.actor = actor
        self._terms = contract.observations
        self._motion = clip.name
        self._slices = _slices(embedded_contract(contract).observations)
        self._command_scale, self._ori_scale = (_scale(contract, name) for name in _NEEDED)
        for name, rows in _motion_arrays(contract, clip).items():
            self.register_buffer(name, torch.from_numpy(rows.astype(np.float32)), persistent=False)
        self.register_buffer("last", torch.tensor(clip.num_frames - 1), persistent=False)
        self._window = next((term for term in contract.observations if term.name == WINDOW_TERM), None)
        if self._window is not None:
            for i, table in enumerate(_window_tables(contract, clip, self._window)):
                self.register_buffer(f"window{i}", torch.from_numpy(table.astype(np.float32)), persistent=False)

    def forward(self, obs: Tensor, time_step: Tensor) -> tuple[Tensor, ...]:
        step = torch.minimum(time_step.long().squeeze(-1).clamp(min=0), self.last)
        parts = []
        for term in self._terms:
            if term.name == WINDOW_TERM:
                parts.append(self._look_ahead(obs, step))
            elif _is_inside(term):
                parts.append(
                    torch.full_like(obs[:, : term.size], term.scale * (motion_of_term(term.name) == self._motion))
                )
            else:
                parts.append(obs[:, self._slices[term.name]])
        action = self.actor(torch.cat(parts, dim=1))
        return (action, *(getattr(self, name)[step] for name in REFERENCE_OUTPUTS))

    def _look_ahead(self, obs: Tensor, step: Tensor) -> Tensor:
        """Runtimes of whole_body_tracking ask for frame k + 1 while they observe frame k; others ask for k itself."""
        command = obs[:, self._slices["command"]] / self._command_scale
        before = (step - 1).clamp(min=0)
        off, off_before = ((command - self.command[k]).square().sum(dim=1) for k in (step, before))
        k = torch.where(off_before < off, before, step)
        first = obs[:, self._slices["motion_anchor_ori_b"]].reshape(1, 3, 2) / self._ori_scale
        rotation = torch.cat([first, torch.linalg.cross(first[..., 0], first[..., 1]).unsqueeze(-1)], dim=-1)
        parts = []
        assert self._window is not None
        for i in range(len(self._window.steps)):
            row = getattr(self, f"window{i}")[k]
            joints, turn, rest = row[:, :-13], row[:, -13:-4], row[:, -4:]
            ahead = (rotation @ turn.reshape(1, 3, 3))[..., :2].reshape(1, 6)
            parts.append(torch.cat([joints, ahead, rest], dim=1))
        return torch.cat(parts, dim=1) * self._window.scale


def _slices(terms: tuple[ObservationTerm, ...]) -> dict[str, slice]:
    edges = np.cumsum([0, *(term.size for term in terms)]).tolist()
    return {term.name: slice(edges[i], edges[i + 1]) for i, term in enumerate(terms)}


def _scale(contract: Contract, name: str) -> float:
    return next((term.scale for term in contract.observations if term.name == name), 1.0)


def _order(contract: Contract) -> list[int]:
    return [G1.joint_index[name] for name in contract.action.joint_names]


def _motion_arrays(contract: Contract, clip: MotionClip) -> dict[str, np.ndarray]:
    """By output name, and `command`; joints in the policy's order."""
    bodies, order = [G1.body_index[name] for name in contract.body_names], _order(contract)
    arrays = {name: getattr(clip, name)[:, order] for name in REFERENCE_OUTPUTS[:2]}
    arrays |= {name: getattr(clip, name)[:, bodies] for name in REFERENCE_OUTPUTS[2:]}
    return arrays | {"command": np.concatenate([arrays["joint_pos"], arrays["joint_vel"]], axis=1)}


def _window_tables(contract: Contract, clip: MotionClip, window: ObservationTerm) -> list[np.ndarray]:
    """For each offset (T, 29 + 9 + 1 + 3): joints less default, R_r(k)^T R_r(k + d), height and velocity."""
    anchor, frames = G1.body_index[contract.anchor_body], np.arange(clip.num_frames)
    quat, rotation = clip.body_quat_w[:, anchor], matrix_from_quat(clip.body_quat_w[:, anchor])
    heading = quat_conjugate(quat_from_yaw(yaw_from_quat(quat)))
    velocity = np.asarray(quat_rotate(heading, clip.body_lin_vel_w[:, anchor]))
    joints = clip.joint_pos[:, _order(contract)] - np.array(contract.action.default_joint_pos)
    tables = []
    for step in window.steps:
        ahead = np.minimum(frames + step, clip.num_frames - 1)
        turn = np.swapaxes(rotation, 1, 2) @ rotation[ahead]
        height = clip.body_pos_w[ahead, anchor, 2:3]
        tables.append(np.concatenate([joints[ahead], turn.reshape(-1, 9), height, velocity[ahead]], axis=1))
    assert all(table.shape[1] == WINDOW_STEP_DIM + 3 for table in tables)
    return tables

"""Records a golden trace while someone plays a policy: the exporter in simulation, a test with made-up states."""

from __future__ import annotations

from collections import defaultdict

import numpy as np
from numpy.typing import NDArray

from bm_core.contract import Contract
from bm_core.g1 import G1
from bm_core.golden_trace import GoldenTrace, pd_torque
from bm_core.observation import ObservationBuilder
from bm_core.observation_terms import motion_ids
from bm_core.reference import Reference, motion_name
from bm_core.state import RobotState
from bm_core.trace_check import Run

_REFERENCE_ARRAYS = (
    "reference_joint_pos",
    "reference_joint_vel",
    "reference_anchor_pos_w",
    "reference_anchor_quat_w",
    "reference_anchor_lin_vel_w",
)


class TraceRecorder:
    """`start` an episode, then `step` once a control period; `finish` gives the trace."""

    def __init__(self, contract: Contract, run: Run) -> None:
        self._contract, self._run = contract, run
        self._builder = ObservationBuilder(contract)
        self._look_ahead = max([0, *(step for term in contract.observations for step in term.steps)])
        self._anchor = G1.body_index[contract.anchor_body]
        self._rows: dict[str, list] = defaultdict(list)
        self._last_action = np.array(contract.last_action, dtype=np.float32)

    def start(self, reference: Reference, first_k: int, num_ticks: int) -> None:
        """A new episode whose ticks see the frames from `first_k` on; at most `num_ticks` steps may follow."""
        self._reference, self._first_k = reference, first_k
        self._tick = 0
        self._num_ticks = num_ticks
        self._rows["first_tick"].append(len(self._rows["frame"]))
        self._rows["first_frame"].append(len(self._rows["reference_joint_pos"]))
        motions, name = motion_ids(self._contract.observations), motion_name(reference)
        if motions:
            self._rows["motion"].append(motions.index(name) if name in motions else -1)
        for k in range(first_k, min(first_k + num_ticks + self._look_ahead, reference.num_frames)):
            frame = reference.frame(k)
            values = (frame.joint_pos, frame.joint_vel, *(rows[self._anchor] for rows in self._bodies(frame)))
            for name, value in zip(_REFERENCE_ARRAYS, values, strict=True):
                self._rows[name].append(np.asarray(value, dtype=np.float32))
        self._builder.reset()
        self._last_action = np.array(self._contract.last_action, dtype=np.float32)

    def step(self, state: RobotState) -> NDArray[np.float32]:
        """Observe the next frame, run the network, write both down. Returns the action (A,), in the policy's order."""
        if self._tick >= self._num_ticks:
            raise ValueError(f"the episode was announced with {self._num_ticks} ticks")
        k = min(self._first_k + self._tick, self._reference.num_frames - 1)
        observation = self._builder.compute(state, self._reference, k, self._last_action)
        inputs = (observation,) if self._contract.reference == "external" else (observation, k)
        action = np.asarray(self._run(*inputs), dtype=np.float32)
        row = {
            **({} if len(inputs) == 1 else {"time_step": k}),
            "frame": k - self._first_k,
            "joint_pos": state.joint_pos,
            "joint_vel": state.joint_vel,
            "pelvis_pos_w": state.pelvis_pos_w,
            "pelvis_quat_w": state.pelvis_quat_w,
            "pelvis_lin_vel_b": state.pelvis_lin_vel_b,
            "pelvis_gyro_b": state.pelvis_gyro_b,
            "last_action": self._last_action,
            "observation": observation,
            "action": action,
            "torque": pd_torque(self._contract, action, state.joint_pos, state.joint_vel),
        }
        for name, value in row.items():
            self._rows[name].append(value)
        self._last_action = action
        self._tick += 1
        return action

    def finish(self) -> GoldenTrace:
        """The trace of all episodes."""
        return GoldenTrace.from_arrays(self._rows)

    @staticmethod
    def _bodies(frame) -> tuple[NDArray, NDArray, NDArray]:
        return frame.body_pos_w, frame.body_quat_w, frame.body_lin_vel_w

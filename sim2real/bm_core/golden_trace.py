"""Recorded control steps that travel inside a bundle: raw state and reference, observation, action, motor torque.

Replaying them where the policy will run shows in a second that state becomes the same observation (tier 2), the network
gives the same action (tier 1) and the action becomes the same torque. All arrays float32; robot and reference in
canonical joint order, observation, action and torque in the policy's.
"""

from __future__ import annotations

import dataclasses
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from bm_core.contract import Contract
from bm_core.errors import BundleError
from bm_core.g1 import G1
from bm_core.observation import ObservationBuilder
from bm_core.observation_terms import motion_ids
from bm_core.packed_arrays import pack_arrays, unpack_arrays
from bm_core.reference import Reference, ReferenceFrame
from bm_core.state import RobotState

Floats = NDArray[np.float32]

_INDICES = ("first_tick", "first_frame", "frame", "time_step", "motion")


@dataclass(frozen=True, kw_only=True)
class GoldenTrace:
    """N control steps in episodes; each episode starts with empty histories and brings its own reference frames (F)."""

    first_tick: NDArray[np.int64]
    """(E,) tick at which each episode starts."""
    first_frame: NDArray[np.int64]
    """(E,) row of the reference arrays at which each episode's own frames start."""
    frame: NDArray[np.int64]
    """(N,) the k of each tick, counted from the first frame of its episode."""
    joint_pos: Floats
    """(N, 29) rad"""
    joint_vel: Floats
    """(N, 29) rad/s"""
    pelvis_pos_w: Floats
    """(N, 3) m"""
    pelvis_quat_w: Floats
    """(N, 4) wxyz"""
    pelvis_lin_vel_b: Floats
    """(N, 3) m/s"""
    pelvis_gyro_b: Floats
    """(N, 3) rad/s"""
    reference_joint_pos: Floats
    """(F, 29) rad"""
    reference_joint_vel: Floats
    """(F, 29) rad/s"""
    reference_anchor_pos_w: Floats
    """(F, 3) m, the contract's anchor body"""
    reference_anchor_quat_w: Floats
    """(F, 4) wxyz"""
    reference_anchor_lin_vel_w: Floats
    """(F, 3) m/s"""
    last_action: Floats
    """(N, A)"""
    observation: Floats
    """(N, O)"""
    action: Floats
    """(N, A)"""
    torque: Floats
    """(N, A) N m: stiffness (default + scale action - joint_pos) - damping joint_vel, not limited"""
    time_step: NDArray[np.int64] | None = None
    """(N,) what the graph was told; only for contracts whose reference is not external"""
    motion: NDArray[np.int64] | None = None
    """(E,) which of the contract's motion ids each episode's clip is, -1 for another; only for contracts with any"""

    @classmethod
    def from_arrays(cls, arrays: Mapping[str, Any]) -> GoldenTrace:
        """From array-likes by field name; tick and frame numbers become int64, everything else float32."""
        fields: dict[str, Any] = {
            name: np.asarray(rows, np.int64 if name in _INDICES else np.float32) for name, rows in arrays.items()
        }
        return cls(**fields)

    @property
    def num_ticks(self) -> int:
        return len(self.frame)

    def state(self, tick: int) -> RobotState:
        """The recorded reading of the robot."""
        nothing = np.zeros(len(G1.joint_names))
        return RobotState(
            seq=tick,
            time=0.0,
            joint_pos=self.joint_pos[tick].astype(np.float64),
            joint_vel=self.joint_vel[tick].astype(np.float64),
            joint_torque=nothing,
            pelvis_quat_w=self.pelvis_quat_w[tick].astype(np.float64),
            pelvis_gyro_b=self.pelvis_gyro_b[tick].astype(np.float64),
            pelvis_acc_b=np.zeros(3),
            pelvis_pos_w=self.pelvis_pos_w[tick].astype(np.float64),
            pelvis_lin_vel_b=self.pelvis_lin_vel_b[tick].astype(np.float64),
        )

    def references(self, contract: Contract) -> list[Reference]:
        """One reference for each episode."""
        ends = [*self.first_frame[1:], len(self.reference_joint_pos)]
        anchor = G1.body_index[contract.anchor_body]
        motions = np.full(len(ends), -1) if self.motion is None else self.motion
        names = (*motion_ids(contract.observations), "")  # -1 is the last
        return [
            _TraceReference(self, int(start), int(end), anchor, names[motion])
            for start, end, motion in zip(self.first_frame, ends, motions, strict=True)
        ]

    def observations(self, contract: Contract) -> Floats:
        """What this program's ObservationBuilder makes of the recorded states, (N, O)."""
        builder = ObservationBuilder(contract)
        references = self.references(contract)
        episode = np.searchsorted(self.first_tick, np.arange(self.num_ticks), side="right") - 1
        rows = np.empty((self.num_ticks, contract.observation_dim), dtype=np.float32)
        for tick in range(self.num_ticks):
            if tick in self.first_tick:
                builder.reset()
            reference = references[episode[tick]]
            rows[tick] = builder.compute(self.state(tick), reference, int(self.frame[tick]), self.last_action[tick])
        return rows

    def torques(self, contract: Contract) -> NDArray[np.float64]:
        """Motor torque of the recorded actions under the contract's gains, (N, A) N m."""
        return pd_torque(contract, self.action, self.joint_pos, self.joint_vel)


def pd_torque(contract: Contract, action: Floats, joint_pos: NDArray, joint_vel: NDArray) -> NDArray[np.float64]:
    """Torque of the PD law in the policy's joint order; states (..., 29) canonical -> (..., A) N m."""
    order = [G1.joint_index[name] for name in contract.action.joint_names]
    scale, default, kp, kd = np.array(
        [contract.action.scale, contract.action.default_joint_pos, contract.stiffness, contract.damping], np.float64
    )
    torque = kp * (default + scale * action - joint_pos[..., order]) - kd * joint_vel[..., order]
    return np.asarray(torque, dtype=np.float64)


class _TraceReference:
    """An episode's frames. Bodies other than the anchor are NaN: no observation reads them; one that did would show."""

    def __init__(self, trace: GoldenTrace, start: int, end: int, anchor: int, motion_name: str) -> None:
        self._trace, self._start, self._anchor = trace, start, anchor
        self.motion_name = motion_name
        self.num_frames = end - start

    def frame(self, k: int) -> ReferenceFrame:
        row = self._start + min(max(k, 0), self.num_frames - 1)
        trace = self._trace
        return ReferenceFrame(
            joint_pos=trace.reference_joint_pos[row].astype(np.float64),
            joint_vel=trace.reference_joint_vel[row].astype(np.float64),
            body_pos_w=self._only_anchor(trace.reference_anchor_pos_w[row]),
            body_quat_w=self._only_anchor(trace.reference_anchor_quat_w[row]),
            body_lin_vel_w=self._only_anchor(trace.reference_anchor_lin_vel_w[row]),
            body_ang_vel_w=self._only_anchor(np.full(3, np.nan)),
        )

    def _only_anchor(self, value: NDArray) -> NDArray[np.float64]:
        rows = np.full((len(G1.body_names), len(value)), np.nan, dtype=np.float64)
        rows[self._anchor] = value
        return rows


def encode_trace(trace: GoldenTrace) -> dict[str, str]:
    """{"sha256", "npz"}: the arrays as a base64 npz. Equal traces give equal text."""
    arrays = {field.name: getattr(trace, field.name) for field in dataclasses.fields(trace)}
    return pack_arrays({name: rows for name, rows in arrays.items() if rows is not None})


def decode_trace(document: object, contract: Contract, where: str) -> GoldenTrace:
    """Read what `encode_trace` wrote. BundleError if it is damaged or its shapes do not fit the contract."""
    where = f"{where}: golden_trace"
    return _checked(unpack_arrays(document, where), contract, where)


def _checked(arrays: dict[str, NDArray], contract: Contract, where: str) -> GoldenTrace:
    names = [field.name for field in dataclasses.fields(GoldenTrace)]
    if contract.reference == "external":
        names.remove("time_step")
    motions = motion_ids(contract.observations)
    if not motions:
        names.remove("motion")
    if set(arrays) != set(names):
        odd = sorted(set(arrays) ^ set(names))
        raise BundleError(f"{where}: array '{odd[0]}' is {'unknown' if odd[0] in arrays else 'missing'}")
    ticks, frames, joints = len(arrays["frame"]), len(arrays["reference_joint_pos"]), len(G1.joint_names)
    widths = {"joint_pos": joints, "joint_vel": joints, "pelvis_pos_w": 3, "pelvis_quat_w": 4, "pelvis_lin_vel_b": 3}
    widths |= {"pelvis_gyro_b": 3, "last_action": contract.action_dim, "action": contract.action_dim}
    widths |= {"torque": contract.action_dim, "observation": contract.observation_dim}
    shapes: dict[str, tuple[int, ...]] = {name: (ticks, width) for name, width in widths.items()}
    shapes |= {"reference_joint_pos": (frames, joints), "reference_joint_vel": (frames, joints)}
    shapes |= {"reference_anchor_pos_w": (frames, 3), "reference_anchor_quat_w": (frames, 4)}
    shapes |= {"reference_anchor_lin_vel_w": (frames, 3), "frame": (ticks,)}
    shapes |= {"first_tick": (len(arrays["first_tick"]),), "first_frame": (len(arrays["first_tick"]),)}
    shapes |= {"time_step": (ticks,)} if "time_step" in names else {}
    shapes |= {"motion": shapes["first_tick"]} if motions else {}
    for name, shape in shapes.items():
        if arrays[name].shape != shape:
            raise BundleError(f"{where}: {name} has shape {arrays[name].shape}, {shape} expected")
        if not np.all(np.isfinite(arrays[name])):
            raise BundleError(f"{where}: {name} holds NaN or infinity")
    for name, length in (("first_tick", ticks), ("first_frame", frames)):
        starts = arrays[name].astype(np.int64)
        if not len(starts) or starts[0] != 0 or np.any(np.diff(starts) <= 0) or starts[-1] >= length:
            raise BundleError(f"{where}: {name} must rise from 0 and stay below {length}")
    if motions and not np.all((arrays["motion"] >= -1) & (arrays["motion"] < len(motions))):
        raise BundleError(f"{where}: motion must be -1..{len(motions) - 1}")
    return GoldenTrace.from_arrays(arrays)

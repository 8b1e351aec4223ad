"""A tracker as the runtime runs it: proven bundle, observations, network, joint targets in the robot's order."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from bm_core.bundle import Bundle
from bm_core.contract import Contract
from bm_core.errors import BundleError, RobotError
from bm_core.g1 import G1
from bm_core.observation import ESTIMATED_FIELDS, ObservationBuilder
from bm_core.observation_terms import TERMS_NEEDING_STATE
from bm_core.reference import Reference, ReferenceFrame
from bm_core.state import RobotState
from bm_sim2real.blend import ChainedReference
from bm_sim2real.policies.embedded_motion import EmbeddedMotion, embedded_motion_of
from bm_sim2real.policies.provider import open_session
from bm_sim2real.robots.protocol import BaseState, RobotFeatures

Array = NDArray[np.float64]


@dataclass(frozen=True, kw_only=True)
class PolicyOutput:
    """One control step of a policy. Joint arrays in the robot's order."""

    q: Array
    """(29,) rad, set-points; not limited to the joint range"""
    kp: Array
    """(29,) N m/rad"""
    kd: Array
    """(29,) N m s/rad"""
    action: NDArray[np.float32]
    """(A,) as the network gave it, the policy's order"""
    observation: NDArray[np.float32]
    """(N,) what the network saw"""
    frame: int
    """k of the reference that is the target for the end of this step"""


class TrackerPolicy:
    """Follows a reference. `reset` starts afresh, `follow` changes the reference and keeps the policy's memory."""

    def __init__(self, contract: Contract, network, *, supplied: tuple[str, ...] = ESTIMATED_FIELDS) -> None:
        """`network(observation, time_step) -> action`; `supplied` as for ObservationBuilder. Use `load` for files."""
        self.contract = contract
        self._network = network
        self._builder = ObservationBuilder(contract, supplied=supplied)
        # The only place where the policy's joint order meets the robot's: by name, once.
        self._to_robot = np.array([contract.action.joint_names.index(name) for name in G1.joint_names])
        self._scale = np.array(contract.action.scale)[self._to_robot]
        self._default = np.array(contract.action.default_joint_pos)[self._to_robot]
        self._kp = np.array(contract.stiffness)[self._to_robot]
        self._kd = np.array(contract.damping)[self._to_robot]
        self._first_action = np.array(contract.last_action, dtype=np.float32)
        self._last_action = self._first_action
        self._reference: Reference | None = None
        self._present: tuple[int, ReferenceFrame] | None = None
        self._k = 0
        self._time_offset = 0

    @classmethod
    def load(cls, path: str | Path, provider: str = "cpu", features: RobotFeatures | None = None) -> TrackerPolicy:
        """Read a bundle, prove its golden trace on this provider, check it against the robot.

        BundleError if anything differs, if the policy needs what the robot does not supply, or if the robot is a real
        one and the policy has no golden trace.
        """
        bundle = Bundle.read(path)
        if bundle.is_foreign and features is not None and not features.is_simulated:
            raise BundleError(
                f"{path}: no golden trace: nothing proves that it sees on the robot what it was trained on; real "
                "robots run policies of bm export only, this one in simulation (--network-interface lo)"
            )
        opened = open_session(path, provider, bundle.prove)
        supplied = ESTIMATED_FIELDS if features is None else supplied_fields(features)
        policy = cls(bundle.contract, opened.session, supplied=supplied)
        policy.warnings = (*bundle.warnings, *opened.notices)
        if bundle.contract.reference == "embedded":
            policy.embedded = embedded_motion_of(bundle)
        return policy

    embedded: EmbeddedMotion | None = None
    """The motion inside the graph."""

    warnings: tuple[str, ...] = ()
    """What a foreign bundle cannot promise, and why another provider runs it than the one asked for."""

    @property
    def reference(self) -> Reference:
        """What is being followed. RobotError before the first reset."""
        if self._reference is None:
            raise RobotError("the policy has no reference; call reset first")
        return self._reference

    @property
    def next_frame(self) -> int:
        """k that the next step will see."""
        return self._k

    @property
    def is_finished(self) -> bool:
        """Whether the step on the last frame has been taken."""
        return self._k >= self.reference.num_frames

    @property
    def present_frame(self) -> ReferenceFrame:
        """The frame that the robot should be in now: the target of the step before."""
        k = self._k - 1
        if self._present is None or self._present[0] != k:
            self._present = k, self.reference.frame(k)
        return self._present[1]

    def reset(self, reference: Reference, frame: int = 0) -> None:
        """Start afresh with the robot in `frame`: last action and histories as training starts them."""
        self._last_action = self._first_action
        self._builder.reset()
        self.follow(reference, frame)

    def follow(self, reference: Reference, frame: int = 0) -> None:
        """Another reference from here on, of which the robot is in `frame` now.

        RobotError if the network's actions depend on a motion inside it and the reference is no part of that.
        """
        self._time_offset = self._time_zero(reference)
        self._reference = reference
        self._present = None
        self._k = frame + self.contract.first_frame

    def take_over(self, reference: Reference, frame: int, q: Array) -> None:
        """Follow from another policy on, whose last set-points were `q` (29,) rad in the robot's order."""
        self._builder.reset()
        self.note_applied(q)
        self.follow(reference, frame)

    def note_applied(self, q: Array) -> None:
        """The robot was given the set-points `q` (29,) rad, robot's order: they count as the last action."""
        action = np.zeros(len(self._to_robot), dtype=np.float32)
        action[self._to_robot] = (q - self._default) / self._scale
        self._last_action = action

    def step(self, state: RobotState) -> PolicyOutput:
        """The targets for the next 20 ms. RobotError if the state lacks what the robot promised."""
        k = self._k
        observation = self._builder.compute(state, self.reference, k, self._last_action)
        action = self._network(observation, max(0, k + self._time_offset))
        self._last_action = action
        self._k = k + 1
        target = self._default + self._scale * action[self._to_robot]
        return PolicyOutput(q=target, kp=self._kp, kd=self._kd, action=action, observation=observation, frame=k)

    def _time_zero(self, reference: Reference) -> int:
        """What turns k into the graph's time_step: its motion begins where the entry blend ends."""
        if self.embedded is not None and self.embedded.drives_action:
            return self.embedded.offset_of(reference)
        return -reference.lead if isinstance(reference, ChainedReference) else 0


def supplied_fields(features: RobotFeatures) -> tuple[str, ...]:
    """Which of the estimated fields a robot's readings hold."""
    return () if features.base_state is BaseState.NONE else ESTIMATED_FIELDS


def base_state_needed(contract: Contract) -> BaseState:
    """What a simulated robot must supply: the same estimate as the real one for a policy with state estimation."""
    needs = any(term.name in TERMS_NEEDING_STATE for term in contract.observations)
    return BaseState.ESTIMATE if needs else BaseState.NONE

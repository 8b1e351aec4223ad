"""Walk + Perturb (docs/guidance.md): unguided, out of walking at 0.6 m/s, kicked every second for 15 s."""

from __future__ import annotations

from functools import lru_cache

import numpy as np
from numpy.typing import NDArray

from bm_core.diffusion.contract import DiffusionContract
from bm_core.g1 import CONTROL_DT
from bm_core.locomotion.generator import generate
from bm_core.motion import MotionClip, clip_from_qpos
from bm_core.reference import MotionReference
from bm_core.state import RobotState
from bm_sim2real.planning.episode import TaskStart, Verdict
from bm_sim2real.planning.machine import GuidedMachine
from bm_sim2real.robots.ground_truth import GroundTruth

Array = NDArray[np.float64]

SPEED = 0.6
"""m/s of the walking at the start."""
KICK = 0.5
"""m/s, the strongest."""
KICK_EVERY_S = 1.0
MIN_PATH_M = 5.0
_SETTLED_S = 3.0
"""s after which a generated stream walks steadily."""
_STRIDE_S = 1.0
"""s over which starts are spread, so that every phase of the gait occurs."""


class WalkPerturb:
    """One run; success = no fall and at least 5 m of pelvis path."""

    seconds = 15.0

    def __init__(self, seed: int, contract: DiffusionContract) -> None:
        rng = np.random.default_rng([seed, 1])
        self._frame = round((_SETTLED_S + rng.uniform(0.0, _STRIDE_S)) / CONTROL_DT)
        angles = rng.uniform(-np.pi, np.pi, size=15)
        speeds = rng.uniform(0.0, KICK, size=15)
        self._kicks = np.stack([speeds * np.cos(angles), speeds * np.sin(angles), np.zeros(15)], axis=1)
        self._steps = round(KICK_EVERY_S / CONTROL_DT)
        self._path = 0.0
        self._last: Array | None = None

    def start(self) -> TaskStart:
        return TaskStart(reference=MotionReference(walking_clip(SPEED)), frame=self._frame)

    def drive(self, time: float, state: RobotState, machine: GuidedMachine) -> None:
        machine.pilot.steering = None

    def push(self, time: float) -> Array | None:
        step = round(time / CONTROL_DT)
        if step == 0 or step % self._steps:
            return None
        return self._kicks[step // self._steps]

    def observe(self, time: float, truth: GroundTruth) -> bool:
        here = truth.body_pos_w[0, :2].copy()
        self._path += 0.0 if self._last is None else float(np.linalg.norm(here - self._last))
        self._last = here
        return False

    def judge(self) -> Verdict:
        if self._path >= MIN_PATH_M:
            return Verdict(success=True)
        return Verdict(success=False, detail=f"{self._path:.1f} m walked, {MIN_PATH_M:.0f} asked for")


@lru_cache(maxsize=4)
def walking_clip(speed: float, seconds: float = 8.0) -> MotionClip:
    """A generated stream that walks straight on at `speed` m/s from standing."""
    motion = generate(np.tile([speed, 0.0, 0.0], (round(seconds / CONTROL_DT), 1)))
    return clip_from_qpos(
        f"walk at {speed} m/s", motion.root_pos, motion.root_quat, motion.joint_pos, 1.0 / CONTROL_DT, made_by="runtime"
    )

"""What a simulated robot truly did, for whoever measures afterwards: one row a tick, written at the end."""

from __future__ import annotations

from array import array
from pathlib import Path

import numpy as np

from bm_core.atomic_file import replacing
from bm_core.g1 import G1
from bm_core.state import LowCommand
from bm_sim2real.robots.mujoco import MujocoRobot

_NUM_JOINTS = len(G1.joint_names)
_NUM_QPOS = 7 + _NUM_JOINTS


class TruthLog:
    """180 kB a second. Without a path it keeps nothing."""

    def __init__(self, path: Path | None) -> None:
        self._path = path
        self._time, self._qpos, self._target = array("d"), array("d"), array("f")

    def add(self, robot: MujocoRobot, command: LowCommand | None) -> None:
        """The robot after a tick, and the command that was in force during it; NaN before the first."""
        if self._path is None:
            return
        truth = robot.read()
        self._time.append(truth.time)
        self._qpos.frombytes(robot.qpos().tobytes())
        target = np.full(_NUM_JOINTS, np.nan, np.float32) if command is None else command.q.astype(np.float32)
        self._target.frombytes(target.tobytes())

    def close(self) -> None:
        """Writes time (N,) s, qpos (N, 36) root position m, quaternion wxyz, joints rad, target (N, 29) rad."""
        if self._path is None:
            return
        with replacing(self._path) as partial, partial.open("wb") as file:
            np.savez(
                file,
                time=np.frombuffer(self._time, np.float64),
                qpos=np.frombuffer(self._qpos, np.float64).reshape(-1, _NUM_QPOS),
                target=np.frombuffer(self._target, np.float32).reshape(-1, _NUM_JOINTS),
            )

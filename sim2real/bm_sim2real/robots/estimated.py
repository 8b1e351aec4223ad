"""Any robot, with the base state that it lacks supplied by the estimator."""

from __future__ import annotations

import dataclasses

from bm_core.state import LowCommand, RobotState
from bm_sim2real.estimator.base_estimator import BaseEstimate, BaseEstimator
from bm_sim2real.robots.protocol import BaseState, Robot, RobotFeatures


def with_estimate(state: RobotState, estimate: BaseEstimate) -> RobotState:
    """The reading with pelvis position and velocity filled in; without them while the estimate is not healthy."""
    if not estimate.healthy:
        return dataclasses.replace(state, pelvis_pos_w=None, pelvis_lin_vel_b=None)
    return dataclasses.replace(state, pelvis_pos_w=estimate.pelvis_pos_w, pelvis_lin_vel_b=estimate.pelvis_lin_vel_b)


class EstimatedRobot:
    """A robot of the protocol, estimated once per new reading. Begins at the first, standing at x = y = 0."""

    def __init__(self, robot: Robot, estimator: BaseEstimator | None = None) -> None:
        self.robot = robot
        self.estimator = estimator or BaseEstimator(dt=robot.features.tick_dt)
        self.features: RobotFeatures = dataclasses.replace(robot.features, base_state=BaseState.ESTIMATE)
        self._state: RobotState | None = None

    def connect(self) -> None:
        self.robot.connect()
        self._state = None

    def read(self) -> RobotState:
        state = self.robot.read()
        if self._state is None:
            self._state = with_estimate(state, self.estimator.reset(state))
        elif state.seq != self._state.seq:
            self._state = with_estimate(state, self.estimator.update(state))
        return self._state

    def write(self, command: LowCommand) -> None:
        self.robot.write(command)

    def close(self) -> None:
        self.robot.close()

"""What a robot behind the bridge offers, known before there is one."""

from __future__ import annotations

import dataclasses

from bm_sim2real.bridge.config import BridgeConfig
from bm_sim2real.robots.protocol import BaseState, RobotFeatures
from bm_sim2real.robots.unitree.robot import UnitreeRobot


def bridged_features(config: BridgeConfig) -> RobotFeatures:
    """The robot's own, and the base state that the bridge estimates."""
    features = UnitreeRobot(config.robot).features
    return dataclasses.replace(features, base_state=BaseState.ESTIMATE) if config.estimates_base else features

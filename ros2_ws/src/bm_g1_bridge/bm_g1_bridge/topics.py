"""Names and qualities of service of the topics between bridge, policy and operator, in one place for both ends."""

from __future__ import annotations

from rclpy.duration import Duration
from rclpy.qos import DurabilityPolicy, HistoryPolicy, LivelinessPolicy, QoSProfile, ReliabilityPolicy

ROBOT_STATE = "robot_state"
JOINT_COMMAND = "joint_command"
HEARTBEAT = "operator/heartbeat"
ESTOP = "estop"
EXTERNAL_POSE = "external_pose"

COMMAND_DEADLINE = Duration(seconds=0.1)
"""Two missed commands and some jitter; the bridge damps after 60 ms in any case."""
COMMAND_LIFESPAN = Duration(seconds=0.1)
"""An older command must not be delivered late."""


def sensor(depth: int = 1) -> QoSProfile:
    """Readings: the newest or nothing."""
    return _profile(depth, ReliabilityPolicy.BEST_EFFORT)


def command(*, is_publisher: bool) -> QoSProfile:
    """Commands: reliable, the newest only. A publisher promises the deadline and lets its commands expire.

    A subscription asks for no deadline here: it would hear of a publisher that is not active as of one that is late.
    """
    profile = _profile(1, ReliabilityPolicy.RELIABLE)
    if is_publisher:
        profile.deadline = COMMAND_DEADLINE
        profile.lifespan = COMMAND_LIFESPAN
    return profile


def latched() -> QoSProfile:
    """Status and descriptions: whoever comes late gets the newest."""
    return _profile(1, ReliabilityPolicy.RELIABLE, DurabilityPolicy.TRANSIENT_LOCAL)


def record(depth: int = 100) -> QoSProfile:
    """Numbers that a recording shall hold without a gap."""
    return _profile(depth, ReliabilityPolicy.RELIABLE)


def _profile(
    depth: int, reliability: ReliabilityPolicy, durability: DurabilityPolicy = DurabilityPolicy.VOLATILE
) -> QoSProfile:
    """Nothing is left to the middleware's defaults."""
    return QoSProfile(
        history=HistoryPolicy.KEEP_LAST,
        depth=depth,
        reliability=reliability,
        durability=durability,
        liveliness=LivelinessPolicy.AUTOMATIC,
    )

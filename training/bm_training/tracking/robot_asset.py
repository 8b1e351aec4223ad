"""The G1 as an Isaac Lab articulation: USD, motors, default pose. Every number comes from bm_core.g1."""

from __future__ import annotations

from isaaclab import sim as sim_utils
from isaaclab.actuators import ImplicitActuatorCfg
from isaaclab.assets import ArticulationCfg

from bm_core.g1 import DEFAULT_ROOT_HEIGHT, G1, Motor
from bm_training.tracking.robot_usd import robot_usd


def g1_articulation(prim_path: str = "{ENV_REGEX_NS}/Robot") -> ArticulationCfg:
    """A fresh config; joints and bodies in MJCF order on every backend."""
    return ArticulationCfg(
        prim_path=prim_path,
        spawn=sim_utils.UsdFileCfg(usd_path=str(robot_usd()), activate_contact_sensors=True),
        init_state=ArticulationCfg.InitialStateCfg(
            pos=(0.0, 0.0, DEFAULT_ROOT_HEIGHT),
            joint_pos={joint.name: joint.default_pos for joint in G1.joints},
            joint_vel={".*": 0.0},
        ),
        soft_joint_pos_limit_factor=0.9,
        # Newton's own order is depth first (the MJCF's), PhysX's breadth first.
        joint_ordering="mjwarp",
        body_ordering="mjwarp",
        actuators=_actuators(),
    )


def _actuators() -> dict[str, ImplicitActuatorCfg]:
    """One group a motor family, joints listed by name: regular expressions that overlap are refused."""
    groups: dict[Motor, list[str]] = {}
    for joint in G1.joints:
        groups.setdefault(joint.motor, []).append(joint.name)
    return {
        f"motor_{index}": ImplicitActuatorCfg(
            joint_names_expr=names,
            stiffness=motor.stiffness,
            damping=motor.damping,
            armature=motor.armature,
            joint_effort_limit=motor.effort,
            # Without a limit of its own PhysX without Isaac Sim produces NaN.
            joint_velocity_limit=motor.velocity,
        )
        for index, (motor, names) in enumerate(groups.items())
    }

"""Parameters of the policy node, and the configuration of the control process that they make."""

from __future__ import annotations

from bm_g1_bridge.lifecycle import OperatedNode

from bm_core.errors import ConfigError
from bm_sim2real.guard_limits import MOST_STALL_S
from bm_sim2real.operation.config import ControlConfig, Start, Transport
from bm_sim2real.real_time_factor import SLOWEST

_TIME = {"lowest": 0.0, "highest": 600.0}


def declare_parameters(node: OperatedNode) -> None:
    """All of them; those that decide what runs are fixed once the node runs."""
    default = ControlConfig()
    declare = node.declare
    declare("interface", default.interface, "Network interface of the robot; lo is the simulated one.", fixed=True)
    declare("policy", default.policy, "Policy bundle (.onnx); empty: the shipped g1_tracker.onnx.", fixed=True)
    declare("provider", default.provider, "Execution provider: cpu, cuda or tensorrt.", fixed=True)
    declare("planner", default.planner, "Diffusion bundle (.onnx) that goals steer; empty: motions.", fixed=True)
    declare("planner_provider", default.planner_provider, "Execution provider of the planner.", fixed=True)
    declare("plan_latency_steps", default.plan_latency_steps, "Control steps that a plan takes.", lowest=0, highest=20)
    declare("motion", default.motion, "Name of a motion of the set, or a motion file.", fixed=True)
    declare("motion_set", default.motion_set, "Name or YAML of a motion set; empty: the shipped clips.", fixed=True)
    declare("motion_root", default.motion_root, "Folder that stands for ${MOTIONS} in a motion set.", fixed=True)
    declare("transport", default.transport.value, "mailbox (shared memory) or topic (/joint_command).", fixed=True)
    declare("start", default.start.value, "How far to go by itself: manual, stand or play.", fixed=True)
    declare("repeat", default.is_repeated, "Play the selected motion again when it has ended.", fixed=True)
    declare("settle_s", default.settle_s, "s of standing before the first motion played by itself.", **_TIME)
    declare("pause_s", default.pause_s, "s of standing between motions played by themselves.", **_TIME)
    declare("bridge_timeout", default.ready_s, "s to wait for the bridge on activation.", **_TIME)
    declare(
        "stall_allowance",
        default.stall_allowance_s,
        "s for which a simulated robot's computer may stand still: operator, goals, planner and link are missed later.",
        lowest=0.0,
        highest=MOST_STALL_S,
        fixed=True,
    )
    declare(
        "real_time_factor",
        default.real_time_factor,
        "Simulated s per s of the wall clock, as the simulated robot and its bridge have it.",
        lowest=SLOWEST,
        highest=1.0,
        fixed=True,
    )
    declare("publish_reference", True, "Publish the reference as a second robot (/reference/joint_states, TF).")
    declare("odom_frame", "odom", "Frame of the reference's pelvis.", fixed=True)


def control_config(node: OperatedNode) -> ControlConfig:
    """ConfigError names the parameter that makes no sense."""
    return ControlConfig(
        interface=node.value("interface"),
        policy=node.value("policy"),
        provider=node.value("provider"),
        planner=node.value("planner"),
        planner_provider=node.value("planner_provider"),
        plan_latency_steps=node.value("plan_latency_steps"),
        motion=node.value("motion"),
        motion_set=node.value("motion_set"),
        motion_root=node.value("motion_root"),
        transport=_one_of(Transport, node, "transport"),
        start=_one_of(Start, node, "start"),
        is_repeated=node.value("repeat"),
        settle_s=node.value("settle_s"),
        pause_s=node.value("pause_s"),
        ready_s=node.value("bridge_timeout"),
        stall_allowance_s=node.value("stall_allowance"),
        real_time_factor=node.value("real_time_factor"),
    )


def _one_of(kind, node: OperatedNode, name: str):
    value = node.value(name)
    try:
        return kind(value)
    except ValueError:
        known = ", ".join(member.value for member in kind)
        raise ConfigError(f"parameter {name} = '{value}': must be one of {known}") from None

"""Everything that a control process loads before it may move a robot: policy, planner, motions, state machine."""

from __future__ import annotations

from bm_core.data import shipped
from bm_core.g1 import DEFAULT_ROOT_HEIGHT, G1
from bm_core.state import RobotState
from bm_sim2real.blend import still
from bm_sim2real.bridge.config import BridgeConfig
from bm_sim2real.bridge.features import bridged_features
from bm_sim2real.operation.config import ControlConfig
from bm_sim2real.policies.tracker import TrackerPolicy
from bm_sim2real.standing import plan_stop, standing_frame
from bm_sim2real.state_machine import MachineConfig, StateMachine

_WARM_UP_STEPS = 50


def load_machine(config: ControlConfig) -> tuple[StateMachine, str]:
    """The state machine with its proven, warm policies, and the tracker's path. BmError if anything is refused."""
    path = config.policy or str(shipped("policies", "g1_tracker.onnx"))
    features = bridged_features(BridgeConfig(interface=config.interface))
    policy = TrackerPolicy.load(path, config.provider, features)
    warm_up(policy)
    settings = MachineConfig(plans_in_background=True)
    stand = standing_frame()
    if not config.planner:
        machine = StateMachine(policy, stand, features, plan_stop=plan_stop, limits=config.limits, config=settings)
        return machine, path
    from bm_sim2real.planning.machine import GuidedMachine
    from bm_sim2real.planning.policy import PilotConfig, load_process

    pilot = load_process(
        config.planner, PilotConfig(provider=config.planner_provider, latency_steps=config.plan_latency_steps)
    )
    guided = GuidedMachine(pilot, policy, stand, features, plan_stop=plan_stop, limits=config.limits, config=settings)
    return guided, path


def warm_up(policy: TrackerPolicy) -> None:
    """A second of control steps before any counts: the first inferences take ten times as long."""
    zero = G1.default_joint_pos * 0.0
    state = RobotState(
        seq=0,
        time=0.0,
        joint_pos=G1.default_joint_pos,
        joint_vel=zero,
        joint_torque=zero,
        pelvis_quat_w=zero[:4] + (1.0, 0.0, 0.0, 0.0),
        pelvis_gyro_b=zero[:3],
        pelvis_acc_b=zero[:3],
        pelvis_pos_w=zero[:3] + (0.0, 0.0, DEFAULT_ROOT_HEIGHT),
        pelvis_lin_vel_b=zero[:3],
    )
    policy.reset(still(standing_frame()))
    for _ in range(_WARM_UP_STEPS):
        policy.step(state)

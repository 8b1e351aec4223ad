"""A policy that really balances, without training: LQR about standing, written as a linear network on observations.

It stands and takes small pushes in MuJoCo: closed-loop tests need no trained bundle, sabotage has something to break.
"""

import dataclasses

import mujoco
import numpy as np
import onnx
import pytest
import scipy.linalg
from bridge_fixtures import bench, running  # noqa: F401
from onnx import helper, numpy_helper

from bm_core.bundle import PRODUCER, bundle_metadata
from bm_core.contract import Training, g1_contract
from bm_core.g1 import G1
from bm_core.motion import clip_from_qpos
from bm_core.observation_terms import tracker_terms
from bm_core.onnx_file import read_onnx
from bm_core.reference import MotionReference, ReferenceFrame
from bm_core.rotations import matrix_from_quat
from bm_core.state import LowCommand
from bm_core.trace_recorder import TraceRecorder
from bm_sim2real.blend import still
from bm_sim2real.guard import CommandGuard
from bm_sim2real.loop import ControlLoop
from bm_sim2real.modes import Mode
from bm_sim2real.policies.tracker import TrackerPolicy
from bm_sim2real.robots.mujoco import MujocoRobot
from bm_sim2real.robots.protocol import BaseState
from bm_sim2real.robots.simulation_config import SimulationConfig
from bm_sim2real.state_machine import StateMachine

ZERO = np.zeros(29)


@dataclasses.dataclass(frozen=True)
class Balancer:
    """A linear tracker of one standing pose: action = weights^T [observation, 1]."""

    contract: object
    stand: ReferenceFrame
    weights: np.ndarray
    """(155, 29)"""

    def network(self, observation, time_step=0):
        return (np.append(observation, 1.0) @ self.weights).astype(np.float32)


def command(q, gain=1.0):
    return LowCommand(seq=1, state_seq=0, q=q, dq=ZERO, tau=ZERO, kp=gain * G1.kp, kd=gain * G1.kd)


def put(robot, qpos):
    robot.reset(root_pos_w=qpos[:3], root_quat_w=qpos[3:7], joint_pos=qpos[7:])


def settle(robot):
    """The pose that ten times the stiffness holds standing, and the set-points that hold it with the real one."""
    robot.write(command(G1.default_joint_pos, gain=10.0))
    for _ in range(1000):
        robot.step()
    qpos = robot._data.qpos.copy()
    return qpos, qpos[7:] + robot.motor_torque() / G1.kp


def lqr(robot, qpos, setpoint):
    """Gain (29, 70) from the deviation of the whole state to set-points, for one command every 10 ticks."""
    put(robot, qpos)
    robot.write(command(setpoint))
    robot.step()
    put(robot, qpos)
    size = 2 * robot.model.nv
    a, b = np.zeros((size, size)), np.zeros((size, 29))
    mujoco.mjd_transitionFD(robot.model, robot._data, 1e-6, True, a, b, None, None)
    powers = [np.linalg.matrix_power(a, i) for i in range(11)]
    a, b = powers[10], sum(powers[:10]) @ (b * G1.kp)
    weight = np.diag(np.r_[np.full(6, 10.0), np.full(29, 1.0), np.full(35, 0.1)])
    cost = scipy.linalg.solve_discrete_are(a, b, weight, np.eye(29))
    return np.linalg.solve(np.eye(29) + b.T @ cost @ b, b.T @ cost @ a)


def state_from_observation(robot, stand, qpos):
    """Matrix (70, 154) and offset (70,) from the observation to the deviation of the whole state, to first order.

    Position and velocity of the pelvis are not observed: they follow from joints and orientation, as the feet stand.
    """
    put(robot, qpos)
    model, data = robot.model, robot._data
    feet, torso = np.zeros((3, 35)), np.zeros((3, 35))
    for name in ("left_ankle_roll_link", "right_ankle_roll_link"):
        jacobian = np.zeros((3, 35))
        mujoco.mj_jacBody(model, data, jacobian, None, model.body(name).id)
        feet += 0.5 * jacobian
    mujoco.mj_jacBody(model, data, None, torso, model.body("torso_link").id)
    torso = matrix_from_quat(stand.anchor_quat_w).T @ torso
    seen = np.zeros((70, 154))  # rows: pelvis position 3, rotation 3, joints 29, and their velocities
    offset = np.zeros(70)
    seen[6:35, 67:96] = seen[41:70, 96:125] = np.eye(29)
    offset[6:35] = G1.default_joint_pos - qpos[7:]
    seen[38:41, 64:67] = np.eye(3)
    # R_torso = R_stand exp(phi): the 6 numbers of R_torso^T R_stand hold phi as (-r21, r20, -r10).
    phi = np.zeros((3, 154))
    phi[0, 63], phi[1, 62], phi[2, 60] = -1.0, 1.0, -1.0
    from_torso = np.linalg.inv(torso[:, 3:6])
    seen[3:6] = from_torso @ (phi - torso[:, 6:] @ seen[6:35])
    offset[3:6] = -from_torso @ torso[:, 6:] @ offset[6:35]
    for first in (0, 35):
        seen[first : first + 3] = -feet[:, 3:] @ seen[first + 3 : first + 35]
        offset[first : first + 3] = -feet[:, 3:] @ offset[first + 3 : first + 35]
    return seen, offset


@pytest.fixture(scope="session")
def balancer():
    robot = MujocoRobot()
    robot.connect()
    qpos, setpoint = settle(robot)
    gain = lqr(robot, qpos, setpoint)
    still = [np.stack([part, part]) for part in (qpos[:3], qpos[3:7], qpos[7:])]
    reference = MotionReference(clip_from_qpos("stand", *still, 50.0))
    stand = reference.frame(0)
    seen, offset = state_from_observation(robot, stand, qpos)
    targets = np.c_[-gain @ seen, setpoint - gain @ offset - G1.default_joint_pos]
    contract = g1_contract(
        tracker_terms(state_estimation=False),
        Training(commit="", motion_set="", motion_set_sha256="", steps=0, run="balancer"),
    )
    return Balancer(contract=contract, stand=stand, weights=(targets / G1.action_scale[:, None]).T)


def linear_model(weights):
    """obs (1, 154) -> actions (1, 29) as one Gemm node."""
    tensors = [
        numpy_helper.from_array(weights[:-1].astype(np.float32), "weight"),
        numpy_helper.from_array(weights[-1].astype(np.float32), "bias"),
    ]
    node = helper.make_node("Gemm", ["obs", "weight", "bias"], ["actions"])
    sides = [
        helper.make_tensor_value_info(name, onnx.TensorProto.FLOAT, [1, n])
        for name, n in (("obs", 154), ("actions", 29))
    ]
    graph = helper.make_graph([node], "tracker", sides[:1], sides[1:], tensors)
    return helper.make_model(graph, producer_name=PRODUCER, ir_version=8, opset_imports=[helper.make_opsetid("", 17)])


def record_trace(balancer):
    """Ten control steps of the balancer on a robot that stands a little beside its reference."""
    robot = MujocoRobot(SimulationConfig(base_state=BaseState.GROUND_TRUTH))
    robot.connect()
    recorder = TraceRecorder(balancer.contract, balancer.network)
    recorder.start(still(balancer.stand), 0, 10)
    for _ in range(10):
        action = recorder.step(robot.read())
        robot.write(command(G1.default_joint_pos + G1.action_scale * action))
        for _ in range(10):
            robot.step()
    return recorder.finish()


@pytest.fixture(scope="session")
def bundle_path(balancer, tmp_path_factory):
    """The balancer as a whole policy bundle with a golden trace."""
    path = tmp_path_factory.mktemp("bundle") / "balancer.onnx"
    model = linear_model(balancer.weights)
    path.write_bytes(model.SerializeToString())
    metadata = bundle_metadata(balancer.contract, read_onnx(path).graph_sha256, record_trace(balancer), 1e-4)
    for key, value in metadata.items():
        model.metadata_props.add(key=key, value=value)
    path.write_bytes(model.SerializeToString())
    return path


@pytest.fixture
def standing(balancer):
    """Builds (robot, loop) with the balancer standing; another network or robot is a sabotage."""

    def build(*, network=None, robot=None, **settings):
        robot = robot or MujocoRobot(SimulationConfig(**settings))
        robot.connect()
        policy = TrackerPolicy(balancer.contract, network or balancer.network, supplied=())
        machine = StateMachine(policy, balancer.stand, robot.features)
        machine.start_standing(robot.read())
        return robot, ControlLoop(robot, machine, CommandGuard(start_mode=Mode.STAND))

    return build

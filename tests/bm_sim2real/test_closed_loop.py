"""The whole runtime in MuJoCo around a policy that balances, and what must break it."""

import dataclasses

import numpy as np
import pytest

from bm_core.g1 import G1
from bm_core.rotations import quat_from_euler_xyz, quat_multiply, quat_rotate_inverse
from bm_core.state import LowCommand
from bm_sim2real.modes import Mode
from bm_sim2real.robots.mujoco import MujocoRobot
from bm_sim2real.robots.simulation_config import SimulationConfig

EXCHANGED = list(range(29))
for _side in ("left", "right"):
    _pitch, _roll = (G1.joint_index[f"{_side}_ankle_{_axis}_joint"] for _axis in ("pitch", "roll"))
    EXCHANGED[_pitch], EXCHANGED[_roll] = _roll, _pitch


def periods(loop, count):
    for _ in range(count):
        loop.step()
    return loop


def test_the_balancer_stands_for_ten_seconds_untouched_by_the_guard(standing):
    robot, loop = standing()
    periods(loop, 500)
    assert loop.fault is None
    assert loop.machine.mode is Mode.STAND
    assert robot.ground_truth().body_pos_w[0, 2] == pytest.approx(0.755, abs=0.01)
    assert loop.guard.counters.effort.sum() == loop.guard.counters.hard_stop.sum() == loop.guard.counters.slew == 0


@pytest.mark.parametrize("push", [(0.2, 0.0, 0.0), (-0.2, 0.0, 0.0), (0.0, 0.2, 0.0)])
def test_it_takes_a_small_push(standing, push):
    robot, loop = standing()
    periods(loop, 20)
    robot.push(np.array(push), np.zeros(3))
    periods(loop, 200)
    assert loop.fault is None
    assert np.abs(robot.read().joint_vel).max() < 0.1


def test_a_push_too_big_ends_in_damping(standing):
    robot, loop = standing()
    periods(loop, 20)
    robot.push(np.array([1.5, 0.0, 0.0]), np.zeros(3))
    periods(loop, 100)
    assert loop.fault.name == "tracking_lost"
    assert loop.machine.mode is Mode.DAMPING


class RotatedImu(MujocoRobot):
    """Mounted a quarter turn about the vertical: it still says which way is up when standing."""

    TURN = quat_from_euler_xyz(0.0, 0.0, np.pi / 2)

    def read(self):
        state = super().read()
        return dataclasses.replace(
            state,
            pelvis_quat_w=quat_multiply(state.pelvis_quat_w, self.TURN),
            pelvis_gyro_b=quat_rotate_inverse(self.TURN, state.pelvis_gyro_b),
        )


class ExchangedAnkles(MujocoRobot):
    """Pitch and roll of the ankles exchanged on the way to the motors."""

    def write(self, command):
        arrays = {name: getattr(command, name)[EXCHANGED] for name in ("q", "dq", "tau", "kp", "kd")}
        super().write(LowCommand(seq=command.seq, state_seq=command.state_seq, **arrays))


SABOTAGES = {
    "zero action": lambda balancer: {"network": lambda observation, k: np.zeros(29, np.float32)},
    "inverted action": lambda balancer: {"network": lambda observation, k: -balancer.network(observation)},
    "doubled action": lambda balancer: {"network": lambda observation, k: 2.0 * balancer.network(observation)},
    "joints in another order": lambda balancer: {"network": lambda observation, k: balancer.network(observation)[::-1]},
    "rotated IMU": lambda balancer: {"robot": RotatedImu()},
    "exchanged ankle joints": lambda balancer: {"robot": ExchangedAnkles()},
    "200 ms late": lambda balancer: {"robot": MujocoRobot(SimulationConfig(delay_ms=200))},
}


@pytest.mark.parametrize("sabotage", SABOTAGES)
def test_standing_fails_under(sabotage, balancer, standing):
    robot, loop = standing(**SABOTAGES[sabotage](balancer))
    for step in range(250):
        if step == 20:
            robot.push(np.array([0.15, 0.1, 0.0]), np.zeros(3))
        loop.step()
    assert loop.fault is not None


@pytest.mark.parametrize(
    "settings", [{"delay_ms": 10}, {"friction": 0.5}, {"mass_scale": 1.1}, {"mass_scale": 0.9}, {"gain_scale": 1.1}]
)
def test_it_stands_on_a_robot_that_is_a_little_different(standing, settings):
    _, loop = standing(**settings)
    assert periods(loop, 200).fault is None


def test_two_runs_are_bit_for_bit_the_same(standing):
    traces = []
    for _ in range(2):
        robot, loop = standing()
        periods(loop, 20)
        robot.push(np.array([0.1, 0.1, 0.0]), np.zeros(3))
        periods(loop, 50)
        traces.append(robot.read().joint_pos)
    assert np.array_equal(*traces)


def test_a_network_that_returns_nan_is_damped_within_one_period(standing, balancer):
    ticks = iter(range(1000))
    robot, loop = standing(network=lambda o, k: balancer.network(o) * (np.nan if next(ticks) == 5 else 1.0))
    periods(loop, 8)
    assert loop.guard.fault.name == "refused_command"
    assert loop.guard.fault.tick == 60  # refused at tick 50, damping one period later
    assert loop.machine.mode is Mode.DAMPING
    assert loop.machine.fault is loop.guard.fault


def test_resetting_the_guard_alone_restarts_nothing(standing):
    _, loop = standing()
    periods(loop, 10)
    loop.guard.estop("operator")
    periods(loop, 10)
    assert loop.guard.reset() is None
    periods(loop, 10)
    assert loop.machine.mode is Mode.DAMPING


def test_the_way_out_is_damping(standing):
    robot, loop = standing()
    written = []
    write = robot.write
    robot.write = lambda command: (written.append(command), write(command))
    loop.damp(1.0)
    assert len(written) == 500
    assert not any(command.kp.any() for command in written)

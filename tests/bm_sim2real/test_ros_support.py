"""Message fields filled and read by name, with stand-ins for the message classes: no ROS is needed."""

from types import SimpleNamespace

import numpy as np
import pytest

from bm_core.diffusion.guidance.goal import GuidanceGoal
from bm_core.errors import RobotError
from bm_core.g1 import G1
from bm_core.state import LowCommand, RobotState
from bm_sim2real.faults import Fault, Reaction
from bm_sim2real.guard_limits import GuardLimits
from bm_sim2real.modes import Mode
from bm_sim2real.operation.messages import Step
from bm_sim2real.ros_support.diagnostics import Level, bridge_diagnoses, policy_diagnoses
from bm_sim2real.ros_support.ghost import ghost_of
from bm_sim2real.ros_support.goals import fill_goal, read_goal
from bm_sim2real.ros_support.messages import (
    fill_joint_command,
    fill_robot_state,
    odometry_covariances,
    read_joint_command,
    read_robot_state,
)
from bm_sim2real.standing import standing_frame

RANDOM = np.random.default_rng(2)


def message():
    def vector():
        return SimpleNamespace(x=0.0, y=0.0, z=0.0)

    return SimpleNamespace(
        orientation=SimpleNamespace(x=0.0, y=0.0, z=0.0, w=0.0),
        angular_velocity=vector(),
        linear_acceleration=vector(),
        base_position=vector(),
        base_linear_velocity=vector(),
    )


def reading(**changes):
    numbers = {name: RANDOM.normal(size=29) for name in ("joint_pos", "joint_vel", "joint_torque")}
    values = {
        "seq": 5,
        "time": 1.5,
        **numbers,
        "pelvis_quat_w": np.array([0.1, 0.7, -0.1, 0.7]) / np.linalg.norm([0.1, 0.7, -0.1, 0.7]),
        "pelvis_gyro_b": np.array([1.0, 2.0, 3.0]),
        "pelvis_acc_b": np.array([4.0, 5.0, 6.0]),
    }
    return RobotState(**(values | changes))


def command():
    arrays = {name: np.abs(RANDOM.normal(size=29)) for name in ("q", "dq", "tau", "kp", "kd")}
    return LowCommand(seq=9, state_seq=5, **arrays)


def test_quaternions_are_xyzw_in_messages():
    filled = message()
    fill_robot_state(filled, reading(pelvis_quat_w=np.array([0.5, 0.1, 0.2, 0.3])))
    assert (filled.orientation.w, filled.orientation.x, filled.orientation.z) == (0.5, 0.1, 0.3)


def test_a_reading_survives_the_topic():
    state, filled = reading(pelvis_pos_w=np.ones(3), pelvis_lin_vel_b=np.full(3, 2.0)), message()
    fill_robot_state(filled, state)
    back = read_robot_state(filled)
    for name in vars(state):
        np.testing.assert_array_equal(getattr(back, name), getattr(state, name))


def test_a_reading_without_estimate_stays_without():
    filled = message()
    fill_robot_state(filled, reading())
    assert not filled.has_base and read_robot_state(filled).pelvis_pos_w is None


def test_foreign_joint_order_is_mapped_by_name():
    filled, sent = SimpleNamespace(), command()
    fill_joint_command(filled, sent, Mode.RUNNING, 77)
    order = RANDOM.permutation(29)
    filled.names = [filled.names[k] for k in order]
    for name in ("q", "dq", "tau", "kp", "kd"):
        setattr(filled, name, np.array(getattr(filled, name))[order])
    back = read_joint_command(filled)
    np.testing.assert_array_equal(back.low.q, sent.q)
    np.testing.assert_array_equal(back.low.kd, sent.kd)
    assert (back.mode, back.low.seq, filled.lease) == (Mode.RUNNING, 9, 77)


@pytest.mark.parametrize(
    "change, words",
    [
        ({"q": np.zeros(28)}, "joint_command.q: 28 numbers"),
        ({"mode": "flying"}, "mode = 'flying'"),
        ({"names": ["knee"] + list(G1.joint_names[1:])}, "unknown knee"),
        ({"names": list(G1.joint_names[:-1])}, "28 joints; missing right_wrist_yaw_joint"),
        ({"names": [G1.joint_names[1]] + list(G1.joint_names[1:])}, "missing left_hip_pitch_joint"),
    ],
)
def test_a_command_for_another_robot_is_refused(change, words):
    filled = SimpleNamespace()
    fill_joint_command(filled, command(), Mode.STAND, 1)
    for name, value in change.items():
        setattr(filled, name, value)
    with pytest.raises(RobotError, match=words):
        read_joint_command(filled)


def test_odometry_covariance_of_the_velocity_is_in_the_pelvis_frame():
    covariance = np.diag([1.0, 2.0, 3.0, 4.0, 5.0, 6.0])
    quarter = np.array([np.sqrt(0.5), 0.0, 0.0, np.sqrt(0.5)])  # x of the pelvis is y of the world
    pose, twist = odometry_covariances(quarter, covariance)
    assert (pose[0], pose[7], pose[14]) == (1.0, 2.0, 3.0)
    assert (twist[0], twist[7], twist[14]) == pytest.approx((5.0, 4.0, 6.0))


def test_a_robot_on_its_reference_has_no_error_wherever_it_stands():
    frame = standing_frame()
    turn = np.array([np.cos(0.4), 0.0, 0.0, np.sin(0.4)])
    position = np.array([3.0, -2.0, frame.body_pos_w[0, 2]])
    upright = frame.body_quat_w[0]
    w, x, y, z = turn
    a, b, c, d = upright
    quat = np.array([w * a - z * d, w * b - z * c, w * c + z * b, w * d + z * a])
    state = reading(joint_pos=frame.joint_pos, pelvis_quat_w=quat, pelvis_pos_w=position, pelvis_lin_vel_b=np.zeros(3))
    ghost = ghost_of(state, frame.joint_pos, frame.body_pos_w, frame.body_quat_w)
    assert ghost.error < 1e-6
    np.testing.assert_allclose(ghost.root_pos_w, position, atol=1e-6)


def test_a_bent_knee_is_an_error_even_without_an_estimate_of_the_base():
    frame = standing_frame()
    bent = frame.joint_pos.copy()
    bent[G1.joint_index["left_knee_joint"]] += 1.0
    state = reading(joint_pos=bent, pelvis_quat_w=frame.body_quat_w[0])
    assert ghost_of(state, frame.joint_pos, frame.body_pos_w, frame.body_quat_w).error > 0.01


def test_a_latched_fault_is_an_error_with_its_reason():
    fault = {"name": "estop", "detail": "asked for by a client", "tick": 7, "source": "guard"}
    levels = {d.name: d for d in bridge_diagnoses({"fault": fault, "mode": "damping"}, 0.0, GuardLimits())}
    assert levels["bridge: guard"].level is Level.ERROR
    assert "asked for by a client" in levels["bridge: guard"].message


@pytest.mark.parametrize("celsius, level", [(60.0, Level.OK), (76.0, Level.WARN), (86.0, Level.ERROR)])
def test_hot_motors_raise_the_level(celsius, level):
    found = {d.name: d.level for d in bridge_diagnoses({"hottest_motor_c": celsius}, 0.0, GuardLimits())}
    assert found["bridge: motors"] is level


def test_a_writer_that_stands_still_is_an_error():
    found = {d.name: d.level for d in bridge_diagnoses({}, 0.5, GuardLimits())}
    assert found["bridge: link"] is Level.ERROR


def goal(**changes):
    nothing = SimpleNamespace(x=0.0, y=0.0, z=0.0)
    values = {
        **{f"has_{name}": False for name in ("velocity", "waypoint", "heading", "height")},
        **{"linear": nothing, "yaw_rate": 0.0, "waypoint": nothing, "heading": 0.0, "height": 0.0, "pillars": []},
    }
    return SimpleNamespace(**(values | changes))


def test_a_goal_with_a_number_that_is_none_asks_for_nothing():
    linear = SimpleNamespace(x=float("nan"), y=0.0, z=0.0)
    assert read_goal(goal(has_velocity=True, linear=linear)).is_empty


def test_a_goal_holds_what_is_set_and_nothing_else():
    linear = SimpleNamespace(x=0.6, y=0.1, z=9.0)
    found = read_goal(goal(has_velocity=True, linear=linear, yaw_rate=-0.2, pillars=[SimpleNamespace(x=1, y=2, z=0.2)]))
    assert found.velocity == (0.6, 0.1, -0.2) and found.waypoint is None and len(found.obstacles) == 1


@pytest.mark.parametrize(
    "sent",
    [
        GuidanceGoal(velocity=(0.6, 0.1, -0.2), height=0.7),
        GuidanceGoal(waypoint=(3.0, -1.0), heading=0.5),
        GuidanceGoal(),
    ],
)
def test_a_goal_survives_the_topic(sent):
    points = [SimpleNamespace(x=1.0, y=2.0, z=0.2)]
    filled = goal(linear=SimpleNamespace(x=0.0, y=0.0, z=0.0), waypoint=SimpleNamespace(x=0.0, y=0.0, z=0.0))
    fill_goal(filled, sent, points)
    back = read_goal(filled)
    for name in ("velocity", "waypoint", "heading", "height"):
        assert getattr(back, name) == getattr(sent, name)
    (pillar,) = (obstacle.shape for obstacle in back.obstacles)
    assert (*pillar.center, pillar.radius) == (1.0, 2.0, 0.2)


def step(**changes):
    values = {name: None for name in Step.__dataclass_fields__}
    values |= {"number": 7, "lost": 2, "mode": Mode.RUNNING, "motion": "walk", "is_playing": True, "held": ""}
    return Step(**(values | {"is_armed": True} | changes))


def policy(step, *, age_s=0.0, p99=20.5):
    return {d.name: d for d in policy_diagnoses(step, 3, {"period": {"p50": 20.0, "p99": p99}}, age_s)}


def test_a_policy_that_walks_in_time_is_well_and_says_what_it_walks():
    found = policy(step())
    assert {d.level for d in found.values()} == {Level.OK}
    assert found["policy: operation"].message == "running, walk"
    assert found["policy: loop"].values["lost"] == "5" and found["policy: loop"].values["period_p99_ms"] == "20.50"


@pytest.mark.parametrize(
    "changes, age_s, p99, name, level, words",
    [
        ({}, 0.6, 20.5, "policy: loop", Level.STALE, "no step for 0.6 s"),
        ({}, 0.0, 31.0, "policy: loop", Level.WARN, "overloaded"),
        ({"held": "no_operator"}, 0.0, 20.5, "policy: operation", Level.WARN, "held: no_operator"),
        ({"is_playing": False, "mode": Mode.STAND}, 0.0, 20.5, "policy: operation", Level.OK, "stand"),
        (
            {"held": "no_operator", "fault": Fault("tilt", Reaction.DAMPING, 5, "0.9 rad", source="guard")},
            0.0,
            20.5,
            "policy: operation",
            Level.ERROR,
            "tilt",
        ),
    ],
)
def test_what_is_wrong_with_a_policy_is_said_with_its_level(changes, age_s, p99, name, level, words):
    found = policy(step(**changes), age_s=age_s, p99=p99)[name]
    assert found.level is level and words in found.message


def test_corrupt_readings_are_a_warning_and_the_battery_is_shown():
    status = {"counters": {"corrupt": 3}, "battery_percent": 41.4, "mode": "stand", "is_armed": True}
    found = {d.name: d for d in bridge_diagnoses(status, 0.0, GuardLimits())}
    assert found["bridge: link"].level is Level.WARN and "3 corrupt readings" in found["bridge: link"].message
    assert found["bridge: motors"].values["battery_percent"] == "41"
    assert found["bridge: guard"].message == "stand, armed"

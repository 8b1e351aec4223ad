"""Modes and their transitions, in control steps."""

import dataclasses
import threading

import numpy as np
import pytest

from bm_core.errors import RobotError
from bm_core.g1 import G1
from bm_core.kinematics import g1_kinematics
from bm_core.motion import clip_from_qpos
from bm_core.rotations import quat_from_yaw, quat_rotate, yaw_from_quat
from bm_sim2real.blend import still
from bm_sim2real.faults import Fault, Reaction
from bm_sim2real.holds import Hold
from bm_sim2real.modes import Mode
from bm_sim2real.policies.tracker import TrackerPolicy
from bm_sim2real.robots.mock import MockRobot
from bm_sim2real.state_machine import MachineConfig, StateMachine

LEFT_ELBOW = G1.joint_index["left_elbow_joint"]


class Bench:
    """A state machine on a mock robot, which the targets reach at once."""

    def __init__(self, balancer, **machine):
        self.robot = MockRobot()
        self.robot.connect()
        policy = TrackerPolicy(balancer.contract, self.network, supplied=())
        self.machine = StateMachine(policy, balancer.stand, self.robot.features, **machine)
        self.commands = []

    def network(self, observation, time_step):
        """Asks for the joints of its reference frame."""
        return ((observation[:29] - G1.default_joint_pos) / G1.action_scale).astype(np.float32)

    def run(self, steps):
        for _ in range(steps):
            self.commands.append(self.machine.step(self.robot.read()))
            if self.machine.mode is not Mode.DAMPING:
                self.robot.reset(joint_pos=self.commands[-1].low.q)
            self.robot.step()
        return self.machine.mode

    def stand(self):
        self.machine.start_standing(self.robot.read())
        return self


def wave(stand, seconds=1.0, elbow=0.5, forward=0.0):
    """A clip that starts in the standing pose, far away and turned, and lifts the left forearm."""
    frames = round(seconds * 50) + 1
    s = np.linspace(0.0, 1.0, frames)
    turn = quat_from_yaw(2.0)
    root_pos = quat_rotate(turn, stand.body_pos_w[0] + np.outer(s, [forward * seconds, 0.0, 0.0]))
    joint_pos = np.tile(stand.joint_pos, (frames, 1))
    joint_pos[:, LEFT_ELBOW] += elbow * (1.0 - np.cos(np.pi * s)) / 2.0
    return clip_from_qpos("wave", root_pos + [5.0, 3.0, 0.0], np.tile(turn, (frames, 1)), joint_pos, 50.0)


@pytest.fixture
def bench(balancer):
    return Bench(balancer)


def test_it_begins_in_damping_and_asks_nothing_of_the_motors(bench):
    assert bench.run(5) is Mode.DAMPING
    assert not any(command.low.kp.any() for command in bench.commands)


def test_hang_takes_three_seconds_to_the_default_pose(bench):
    start = G1.default_joint_pos + 0.3
    bench.robot.reset(joint_pos=start)
    bench.machine.hang(bench.robot.read())
    bench.run(75)
    assert bench.commands[-1].low.q == pytest.approx(G1.default_joint_pos + 0.15)
    bench.run(75)
    assert bench.commands[-1].low.q == pytest.approx(G1.default_joint_pos)
    assert bench.machine.is_hang_done


def test_standing_before_the_ramp_ends_is_refused(bench):
    bench.machine.hang(bench.robot.read())
    bench.run(100)
    with pytest.raises(RobotError, match="wait"):
        bench.machine.stand(bench.robot.read())
    bench.run(50)
    bench.machine.stand(bench.robot.read())
    assert bench.run(10) is Mode.STAND


REQUESTS = {
    "hang": lambda m, state, clip: m.hang(state),
    "stand": lambda m, state, clip: m.stand(state),
    "play": lambda m, state, clip: m.play(clip, state),
    "brake": lambda m, state, clip: m.brake(state),
}
ALLOWED = {("damping", "hang"), ("stand", "play"), ("running", "brake")}


@pytest.mark.parametrize("request_name", REQUESTS)
@pytest.mark.parametrize("mode", ["damping", "stand", "running"])
def test_only_these_requests_fit(balancer, mode, request_name):
    bench = Bench(balancer)
    clip = wave(balancer.stand)
    if mode != "damping":
        bench.stand().run(2)
    if mode == "running":
        bench.machine.play(clip, bench.robot.read())
        bench.run(2)
    request = lambda: REQUESTS[request_name](bench.machine, bench.robot.read(), clip)  # noqa: E731
    if (mode, request_name) in ALLOWED:
        request()
    else:
        with pytest.raises(RobotError, match=f"refused in {mode}"):
            request()
        assert bench.machine.mode.value == mode


def test_a_clip_is_blended_in_played_to_its_last_frame_and_blended_to_stand(bench, balancer):
    bench.stand().run(5)
    clip = wave(balancer.stand)
    bench.machine.play(clip, bench.robot.read())
    modes, frames, elbow = [], [], []
    for _ in range(25 + 50 + 25 + 20):
        bench.run(1)
        modes.append(bench.machine.mode)
        frames.append(bench.machine.clip_frame)
        elbow.append(bench.commands[-1].low.q[LEFT_ELBOW] - balancer.stand.joint_pos[LEFT_ELBOW])
    assert modes == [Mode.RUNNING] * 75 + [Mode.STAND] * 45
    assert frames[:75] == [*range(-24, 1), *range(1, 51)]
    assert max(elbow) == pytest.approx(0.5, abs=1e-6)
    assert elbow[74] == pytest.approx(0.5, abs=1e-6)
    assert elbow[-1] == pytest.approx(0.0, abs=1e-6)
    assert np.abs(np.diff(elbow)).max() < 0.04  # no jump anywhere: 2 rad/s


def test_a_clip_is_moved_and_turned_onto_the_robot(bench, balancer):
    turned = quat_from_yaw(-1.2)
    bench.robot.faults = {"pelvis_quat_w": turned}
    bench.stand().run(5)
    bench.machine.play(wave(balancer.stand), bench.robot.read())
    bench.run(40)
    frame = bench.machine.policy.present_frame
    assert yaw_from_quat(frame.anchor_quat_w) == pytest.approx(-1.2, abs=1e-4)
    assert np.linalg.norm(frame.anchor_pos_w[:2]) < 0.1  # the robot has no position estimate: it is at the origin


def test_during_the_blend_the_soles_stay_on_the_floor(bench, balancer):
    bench.stand().run(5)
    clip = wave(balancer.stand)
    squat = clip.joint_pos.copy()
    for side in ("left", "right"):
        for joint, angle in (("hip_pitch", -0.4), ("knee", 0.8), ("ankle_pitch", -0.4)):
            squat[:, G1.joint_index[f"{side}_{joint}_joint"]] += angle
    ankles = [g1_kinematics().forward(np.zeros(3), clip.root_quat[0], q[0])[0][6, 2] for q in (clip.joint_pos, squat)]
    lowered = clip.root_pos + [0.0, 0.0, ankles[0] - ankles[1]]
    bench.machine.play(clip_from_qpos("squat", lowered, clip.root_quat, squat, 50.0), bench.robot.read())
    heights = []
    for _ in range(40):
        bench.run(1)
        heights.append(bench.machine.policy.present_frame.body_pos_w[[6, 12], 2].min())
    assert np.ptp(heights) < 1e-3
    assert bench.machine.fault is None


@pytest.mark.parametrize(
    "clip_arguments, change, reason",
    [
        ({"forward": 2.0}, None, "begins at 2.0 m/s"),
        ({}, ("left_shoulder_pitch_joint", -1.6), "left_shoulder_pitch_joint is 1.60 rad away"),
    ],
)
def test_a_clip_too_far_away_is_refused_with_the_reason(bench, balancer, clip_arguments, change, reason):
    bench.stand().run(5)
    clip = wave(balancer.stand, **clip_arguments)
    if change:
        joint_pos = clip.joint_pos.copy()
        joint_pos[:, G1.joint_index[change[0]]] += change[1]
        clip = clip_from_qpos("far", clip.root_pos, clip.root_quat, joint_pos, 50.0)
    with pytest.raises(RobotError, match=reason):
        bench.machine.play(clip, bench.robot.read())
    assert bench.run(5) is Mode.STAND


def test_brake_follows_the_planned_stop_then_stands(balancer):
    asked = []

    def plan_stop(state, frame):
        asked.append(frame)
        reference = still(frame)
        return type("Stop", (), {"num_frames": 30, "frame": lambda self, k: reference.frame(k)})()

    bench = Bench(balancer, plan_stop=plan_stop).stand()
    bench.run(5)
    bench.machine.play(wave(balancer.stand), bench.robot.read())
    bench.run(40)
    present = bench.machine.policy.present_frame
    bench.machine.brake(bench.robot.read())
    assert asked[0].joint_pos == pytest.approx(present.joint_pos)
    modes = [bench.run(1) for _ in range(40)]
    assert modes == [Mode.BRAKE] * 29 + [Mode.STAND] * 11


def test_without_a_planned_stop_brake_blends_to_stand(bench, balancer):
    bench.stand().run(5)
    bench.machine.play(wave(balancer.stand), bench.robot.read())
    bench.run(60)
    bench.machine.brake(bench.robot.read())
    assert bench.run(60) is Mode.STAND
    assert bench.commands[-1].low.q == pytest.approx(balancer.stand.joint_pos, abs=1e-6)


@pytest.mark.parametrize("prepare", ["damping", "hang", "stand", "running"])
def test_estop_latches_from_anywhere_until_reset(balancer, prepare):
    bench = Bench(balancer)
    if prepare == "hang":
        bench.machine.hang(bench.robot.read())
    if prepare in ("stand", "running"):
        bench.stand().run(2)
    if prepare == "running":
        bench.machine.play(wave(balancer.stand), bench.robot.read())
    bench.machine.estop("operator")
    assert bench.run(20) is Mode.DAMPING
    with pytest.raises(RobotError, match="estop.*reset it first"):
        bench.machine.hang(bench.robot.read())
    bench.machine.reset()
    assert bench.run(1) is Mode.DAMPING
    bench.machine.hang(bench.robot.read())


def test_losing_track_of_the_reference_damps_in_the_same_step(bench, balancer):
    bench.stand().run(5)
    bench.robot.faults = {"pelvis_quat_w": np.array([np.cos(0.75), 0.0, np.sin(0.75), 0.0])}
    assert bench.run(1) is Mode.DAMPING
    assert bench.machine.fault.name == "tracking_lost"
    bench.robot.faults = {}
    assert bench.run(20) is Mode.DAMPING


def test_a_policy_that_cannot_observe_damps_instead_of_raising(balancer, monkeypatch):
    bench = Bench(balancer).stand()

    def cannot(self, *arguments):
        raise RobotError("robot state without pelvis_pos_w")

    monkeypatch.setattr("bm_core.observation.ObservationBuilder.compute", cannot)
    assert bench.run(1) is Mode.DAMPING
    assert bench.machine.fault.name == "policy_error"


def test_the_first_fault_is_kept(bench):
    first = Fault("silent_policy", Reaction.DAMPING, 7, "x")
    bench.machine.latch(first)
    bench.machine.latch(dataclasses.replace(first, name="other"))
    assert bench.machine.fault is first


def playing(balancer, **machine):
    bench = Bench(balancer, **machine).stand()
    bench.run(5)
    bench.machine.play(wave(balancer.stand), bench.robot.read())
    bench.run(40)
    return bench


def test_a_stop_that_can_be_planned_only_later_is_asked_for_again(balancer):
    asked = []

    def fourth_time(state, frame):
        asked.append(state.seq)
        if len(asked) < 4:
            raise RobotError("no room")
        return still(balancer.stand)

    bench = playing(balancer, plan_stop=fourth_time)
    bench.machine.brake(bench.robot.read())
    assert bench.run(3) is Mode.BRAKE
    assert len(asked) == 4


def test_a_stop_that_cannot_be_planned_becomes_a_blend_to_stand(balancer):
    asked = []

    def impossible(state, frame):
        asked.append(state.seq)
        raise RobotError("no room")

    bench = playing(balancer, plan_stop=impossible)
    bench.machine.brake(bench.robot.read())
    assert bench.run(60) is Mode.STAND
    assert len(asked) == 15
    assert bench.machine.fault is None
    assert bench.commands[-1].low.q == pytest.approx(balancer.stand.joint_pos, abs=1e-6)


def test_planned_in_the_background_the_stop_is_entered_where_it_has_got_to(balancer):
    gate, frames = threading.Event(), []

    class Stop:
        num_frames = 100

        def frame(self, k):
            frames.append(k)
            return balancer.stand

    def slow(state, frame):
        gate.wait(10.0)
        return Stop()

    bench = playing(balancer, plan_stop=slow, config=MachineConfig(plans_in_background=True))
    before = bench.machine.policy.next_frame
    bench.machine.brake(bench.robot.read())
    assert [bench.run(1) for _ in range(3)] == [Mode.BRAKE] * 3
    assert bench.machine.policy.next_frame == before + 3 and frames == []  # the motion goes on meanwhile
    gate.set()
    bench.machine._stop.future.result(10.0)
    bench.run(1)
    assert frames[-1] == 5  # asked for 4 steps ago, so the robot is in frame 4 and aims at frame 5
    assert bench.machine.mode is Mode.BRAKE


@pytest.mark.parametrize("source", [Hold.PLANNER, Hold.GUIDANCE, Hold.OPERATOR])
def test_a_source_that_falls_silent_brakes_the_motion_and_keeps_the_robot_standing(balancer, source):
    bench = Bench(balancer).stand()
    clip = wave(balancer.stand, seconds=20.0)
    bench.machine.play(clip, bench.robot.read())
    for _ in range(30):
        bench.machine.sources.beat(source)
        assert bench.run(1) is Mode.RUNNING
    assert bench.run(23) is Mode.RUNNING  # half a second is 25 control steps, the first of them above
    assert bench.run(1) is Mode.STAND and bench.machine.held == source
    assert bench.run(100) is Mode.STAND and bench.machine.fault is None
    with pytest.raises(RobotError, match=f"running: refused, held by {source.name.lower()}"):
        bench.machine.play(clip, bench.robot.read())
    bench.machine.sources.forget(source)
    bench.machine.reset()
    bench.machine.play(clip, bench.robot.read())
    assert bench.run(1) is Mode.RUNNING


def test_a_hold_of_the_bridge_brakes_the_motion_until_the_bridge_lifts_it(balancer):
    bench = Bench(balancer).stand()
    bench.machine.play(wave(balancer.stand, seconds=20.0), bench.robot.read())
    bench.run(30)
    bench.machine.bridge_holds = Hold.MOTOR_TEMPERATURE
    assert bench.run(1) is Mode.STAND
    bench.machine.bridge_holds = Hold.NONE
    assert bench.run(50) is Mode.STAND and bench.machine.held == Hold.NONE


def test_a_robot_that_falls_over_in_hang_is_damped(balancer):
    """On PD alone nothing balances: who is not carried tips over."""
    bench = Bench(balancer)
    bench.machine.hang(bench.robot.read())
    assert bench.run(20) is Mode.HANG
    half = np.sin(1.1 / 2.0)
    bench.robot.faults = {"pelvis_quat_w": np.array([np.sqrt(1.0 - half**2), 0.0, half, 0.0])}
    assert bench.run(9) is Mode.HANG
    assert bench.run(1) is Mode.DAMPING and bench.machine.fault.name == "tilted"

"""The base estimator on a walk whose sensor readings are computed, not simulated: no policy, no contact solver.

A shipped clip, splined to 500 Hz; IMU from its second derivative; joint torques by inverse dynamics with the ground
force that Newton demands, shared by the feet that stand in the clip.
"""

import dataclasses

import mujoco
import numpy as np
import pytest
import scipy.interpolate

from bm_core.data import shipped
from bm_core.g1 import FEET, G1, mjcf_path
from bm_core.motion import load_clip
from bm_core.rotations import matrix_from_quat, quat_normalize
from bm_core.state import RobotState
from bm_sim2real.estimator.base_estimator import BaseEstimator
from bm_sim2real.estimator.contact import ContactModel
from bm_sim2real.estimator.sabotage import SABOTAGES
from bm_sim2real.robots.imu_errors import TYPICAL, ImuModel

DT = 0.002
SECONDS = 4.0
WEIGHT = 33.34 * 9.81
"""N; mass from the published figures."""


@dataclasses.dataclass(frozen=True, repr=False)
class Walk:
    states: list
    pos: np.ndarray
    vel: np.ndarray
    stands: np.ndarray
    """(T, 2) whether the foot stands in the clip"""


def splined(clip, start):
    """qpos, qvel, qacc (T, 36 or 35) at 500 Hz, MuJoCo's conventions."""
    part = clip.slice(start, start + SECONDS + 0.2)
    knots = np.arange(part.num_frames) / part.fps
    quat = np.array(part.root_quat)
    quat *= np.cumprod(np.r_[1.0, np.where((quat[1:] * quat[:-1]).sum(axis=1) < 0.0, -1.0, 1.0)])[:, None]
    curve = scipy.interpolate.make_interp_spline(knots, np.hstack([part.root_pos, quat, part.joint_pos]), k=5)
    times = np.arange(0.1, 0.1 + SECONDS, DT)
    qpos, rate = curve(times), curve(times, nu=1)
    norm = np.linalg.norm(qpos[:, 3:7], axis=1, keepdims=True)
    qpos[:, 3:7] = quat_normalize(qpos[:, 3:7])
    w, v = qpos[:, 3:4], qpos[:, 4:7]
    dw, dv = rate[:, 3:4] / norm, rate[:, 4:7] / norm
    gyro = 2.0 * (w * dv - dw * v - np.cross(v, dv))  # imaginary part of 2 conj(q) dq
    qvel = np.hstack([rate[:, :3], gyro, rate[:, 7:]])
    return qpos, qvel, np.gradient(qvel, DT, axis=0)


def ground_wrenches(model, data, feet, stands, needed):
    """J^T wrench (35,) that carries the root, shared equally by the feet that stand (all, if none does)."""
    carrying = [foot for foot, stand in zip(feet, stands, strict=True) if stand] or feet
    jacobians = []
    for foot in carrying:
        jacobian = np.zeros((6, model.nv))
        mujoco.mj_jac(model, data, jacobian[:3], jacobian[3:], data.xpos[foot], foot)
        jacobians.append(jacobian)
    stacked = np.vstack(jacobians)
    wrench = np.linalg.lstsq(stacked[:, :6].T, needed[:6], rcond=None)[0]
    return stacked.T @ wrench


@pytest.fixture(scope="session")
def walk():
    clip = load_clip(shipped("motions", "stream_s2_003.npz"))
    qpos, qvel, qacc = splined(clip, 3.9)
    model = mujoco.MjModel.from_xml_path(str(mjcf_path()))
    model.dof_armature[6:] = G1.armature
    model.opt.disableflags |= int(mujoco.mjtDisableBit.mjDSBL_CONTACT | mujoco.mjtDisableBit.mjDSBL_LIMIT)
    data = mujoco.MjData(model)
    feet = [model.body(name).id for name in FEET]
    acc = data.sensor("pelvis_acc").data
    states, stands = [], []
    for tick in range(len(qpos)):
        data.qpos[:], data.qvel[:], data.qacc[:] = qpos[tick], qvel[tick], qacc[tick]
        mujoco.mj_inverse(model, data)
        speeds = []
        for foot in feet:
            twist = np.zeros(6)
            mujoco.mj_objectVelocity(model, data, mujoco.mjtObj.mjOBJ_XBODY, foot, twist, 0)
            speeds.append(np.linalg.norm(twist))
        stand = [speed < 0.1 and data.xpos[foot, 2] < 0.045 for speed, foot in zip(speeds, feet, strict=True)]
        torque = data.qfrc_inverse - ground_wrenches(model, data, feet, stand, data.qfrc_inverse)
        stands.append(stand)
        states.append(
            RobotState(
                seq=tick,
                time=tick * DT,
                joint_pos=qpos[tick, 7:],
                joint_vel=qvel[tick, 6:],
                joint_torque=torque[6:],
                pelvis_quat_w=qpos[tick, 3:7],
                pelvis_gyro_b=qvel[tick, 3:6],
                pelvis_acc_b=acc.copy(),
            )
        )
    return Walk(states=states, pos=qpos[:, :3], vel=qvel[:, :3], stands=np.array(stands))


@dataclasses.dataclass(frozen=True)
class Outcome:
    velocity: float
    height: float
    drift: float
    """share of the way"""
    estimates: list = dataclasses.field(repr=False)

    @property
    def is_within_the_bars(self):
        """0.1 m/s, 2 cm, 5 % of the way: what issue and commands demand."""
        return self.velocity <= 0.1 and self.height <= 0.02 and self.drift <= 0.05


def estimated(walk, sabotage=lambda state: state, estimator=None):
    estimator = estimator or BaseEstimator(dt=DT)
    estimator.reset(walk.states[0], walk.pos[0], walk.vel[0])
    estimates = [estimator.update(sabotage(state)) for state in walk.states[1:]]
    vel = np.array([estimate.pelvis_lin_vel_w for estimate in estimates]) - walk.vel[1:]
    pos = np.array([estimate.pelvis_pos_w for estimate in estimates]) - walk.pos[1:]
    way = np.linalg.norm(np.diff(walk.pos[:, :2], axis=0), axis=1).sum()
    return Outcome(
        velocity=float(np.sqrt((vel**2).sum(axis=1).mean())),
        height=float(np.sqrt((pos[:, 2] ** 2).mean())),
        drift=float(np.linalg.norm(pos[-1, :2]) / way),
        estimates=estimates,
    )


@pytest.fixture(scope="module")
def sound(walk):
    return estimated(walk)


def test_the_walk_is_one(walk):
    way = np.linalg.norm(np.diff(walk.pos[:, :2], axis=0), axis=1).sum()
    assert way > 1.0
    assert 0.2 < walk.stands.mean() < 0.95
    assert walk.stands.any(axis=1).mean() > 0.9


def test_velocity_height_and_way_of_a_walk(sound):
    assert sound.is_within_the_bars, sound
    assert sound.velocity < 0.04
    assert all(estimate.healthy for estimate in sound.estimates)


def test_it_survives_a_poor_imu(walk):
    model = ImuModel(TYPICAL)

    def worse(state):
        quat, gyro, acc = model.read(state.time, state.pelvis_quat_w, state.pelvis_gyro_b, state.pelvis_acc_b)
        return dataclasses.replace(state, pelvis_quat_w=quat, pelvis_gyro_b=gyro, pelvis_acc_b=acc)

    outcome = estimated(walk, worse)
    assert outcome.is_within_the_bars, outcome
    assert outcome.estimates[-1].healthy


def test_the_velocity_is_the_origins_not_the_imus(walk, sound):
    """Held against the pelvis frame: v_b = R^T v_w; the IMU, 9.5 cm off, moves otherwise whenever the pelvis turns."""
    estimates = sound.estimates
    for tick in (500, 1200, 1900):
        rot = matrix_from_quat(walk.states[tick + 1].pelvis_quat_w)
        assert estimates[tick].pelvis_lin_vel_b == pytest.approx(rot.T @ estimates[tick].pelvis_lin_vel_w, abs=1e-12)


def test_contacts_are_those_of_the_clip(walk, sound):
    seen = np.array([estimate.contact for estimate in sound.estimates]) > 0.5
    assert (seen == walk.stands[1:]).mean() > 0.9


def test_ground_forces_add_up_to_the_weight_over_the_walk(sound):
    force = np.array([estimate.ground_force for estimate in sound.estimates])
    assert force.sum(axis=1).mean() == pytest.approx(WEIGHT, rel=0.08)


@pytest.mark.parametrize("name", ["imu_turned", "imu_rolled", "acc_dead", "leg_frozen"])
def test_broken_sensors_break_the_bars_and_are_noticed(walk, name):
    outcome = estimated(walk, SABOTAGES[name]())
    assert not outcome.is_within_the_bars
    assert not all(estimate.healthy for estimate in outcome.estimates)
    assert any(estimate.reason for estimate in outcome.estimates)


@pytest.mark.parametrize("name", ["acc_frozen", "acc_biased", "gyro_stuck", "legs_exchanged", "not_a_number"])
def test_broken_sensors_are_noticed(walk, name):
    outcome = estimated(walk, SABOTAGES[name]())
    assert not all(estimate.healthy for estimate in outcome.estimates)
    assert np.isfinite(outcome.velocity)


class AlwaysStanding(ContactModel):
    def probabilities(self, force, speed, height):
        return np.ones(2)


def test_feet_that_always_count_as_standing_break_the_bars(walk):
    estimator = BaseEstimator(dt=DT)
    estimator._contacts = AlwaysStanding(estimator._legs, estimator.config.contact)
    estimator._trust = lambda speed: 1.0
    assert not estimated(walk, estimator=estimator).is_within_the_bars


def test_a_bad_reading_is_survived(walk):
    states = list(walk.states)
    states[1000] = dataclasses.replace(states[1000], pelvis_acc_b=np.full(3, np.nan))
    outcome = estimated(dataclasses.replace(walk, states=states))
    assert outcome.is_within_the_bars, outcome
    assert not outcome.estimates[1000].healthy
    assert outcome.estimates[-1].healthy


@pytest.mark.parametrize("lost_share", [0.1, 0.5])
def test_lost_readings_are_bridged(walk, lost_share):
    """Also of what a burst takes: 20 in a row once."""
    rng = np.random.default_rng(0)
    kept = rng.random(len(walk.states)) >= lost_share
    kept[0], kept[1000:1020] = True, False
    picked = np.flatnonzero(kept)
    thinned = Walk(
        states=[walk.states[i] for i in picked], pos=walk.pos[picked], vel=walk.vel[picked], stands=walk.stands[picked]
    )
    outcome = estimated(thinned)
    assert outcome.is_within_the_bars, outcome
    assert all(estimate.healthy for estimate in outcome.estimates)

"""The gait: what a robot can follow, and what a command asks for."""

from dataclasses import replace

import numpy as np
import pytest

from bm_core.errors import ConfigError
from bm_core.g1 import G1, mjcf_path
from bm_core.kinematics import g1_kinematics
from bm_core.locomotion.config import GaitConfig
from bm_core.locomotion.dcm import com_of_zmp
from bm_core.locomotion.generator import generate
from bm_core.locomotion.mass_model import g1_masses
from bm_core.rotations import matrix_from_quat, yaw_from_quat

mujoco = pytest.importorskip("mujoco")

GAITS = {
    "forward": (0.8, 0.0, 0.0),
    "fast": (1.2, 0.0, 0.0),
    "backward": (-0.6, 0.0, 0.0),
    "left": (0.0, 0.4, 0.0),
    "turn": (0.0, 0.0, 1.0),
    "arc": (0.7, 0.0, 0.7),
    "mixed": (0.6, -0.2, 0.5),
}
FEET = [G1.body_index["left_ankle_roll_link"], G1.body_index["right_ankle_roll_link"]]
# Outline of the sole as seen from the ankle, m: the ends of the collision capsules of Unitree's model.
SOLE = np.array([(0.1, 0.026), (0.13, 0.01), (0.13, -0.01), (0.1, -0.026), (-0.054, -0.01), (-0.054, 0.01)])
SOLE_DEPTH = 0.035


def command(velocity, seconds=10.0, stop=6.5):
    frames = np.zeros((round(seconds * 50), 3))
    frames[25 : round(stop * 50)] = velocity
    return frames


@pytest.fixture(scope="module", params=GAITS)
def walk(request):
    return generate(command(GAITS[request.param])), np.array(GAITS[request.param])


def soles(motion):
    """World positions of the sole points by forward kinematics, (T, 2, 6, 3)."""
    pos, quat = g1_kinematics().forward(motion.root_pos, motion.root_quat, motion.joint_pos)
    points = np.column_stack([SOLE, np.full(len(SOLE), -SOLE_DEPTH)])
    return pos[:, FEET, None] + np.einsum("tfij,pj->tfpi", matrix_from_quat(quat[:, FEET]), points)


def test_standing_feet_neither_slide_nor_tilt(walk):
    motion, _ = walk
    points = soles(motion)
    down = motion.foot_contact[1:] & motion.foot_contact[:-1]
    moved = np.linalg.norm(np.diff(points, axis=0), axis=-1).max(-1)
    assert down.mean() > 0.5
    assert moved[down].max() < 0.001
    assert np.abs(points[motion.foot_contact][..., 2]).max() < 0.001


def test_soles_never_sink_and_swinging_ones_clear_the_floor(walk):
    motion, _ = walk
    lowest = soles(motion)[..., 2].min(-1)
    assert lowest.min() > -0.002
    for foot in (0, 1):
        assert 0.05 < lowest[:, foot].max() < 0.09


def test_one_foot_is_always_down_and_both_take_steps(walk):
    motion, _ = walk
    assert motion.foot_contact.any(1).all()
    lifts = (np.diff(motion.foot_contact.astype(int), axis=0) == -1).sum(0)
    assert (lifts >= 6).all()


def test_joints_stay_inside_ranges_and_motor_speeds(walk):
    motion, _ = walk
    assert (motion.joint_pos > G1.lower).all() and (motion.joint_pos < G1.upper).all()
    speed = np.abs(np.diff(motion.joint_pos, axis=0)) * 50.0
    assert (speed.max(0) < 0.7 * G1.velocity).all()
    acceleration = np.abs(np.diff(motion.joint_pos, 2, axis=0)) * 2500.0
    assert acceleration.max() < 600.0  # rad/s^2: a jump of 0.05 rad would be 125 per 0.2 ms, 1000 here


def test_feet_keep_apart(walk):
    motion, _ = walk
    ankles = motion.foot_pos[:, :, :2]
    assert np.linalg.norm(ankles[:, 0] - ankles[:, 1], axis=-1).min() > 0.199


def test_mean_velocity_is_the_commands(walk):
    motion, velocity = walk
    # Whole strides of the steady walk, between two lifts of the left foot.
    lifts = np.flatnonzero(motion.foot_contact[:-1, 0] & ~motion.foot_contact[1:, 0])
    lifts = lifts[(lifts > 150) & (lifts < 310)]
    first, last = lifts[0], lifts[-1]
    seconds = (last - first) / 50.0
    yaw = np.unwrap(yaw_from_quat(motion.root_quat))
    turned = yaw[last] - yaw[first]
    # The chord of the arc, seen half-way round it, is shorter than the way by sin(h) / h, h half the angle.
    chord = (motion.root_pos[last] - motion.root_pos[first])[:2] / np.sinc(0.5 * turned / np.pi)
    middle = yaw[first:last].mean()
    forward = chord @ [np.cos(middle), np.sin(middle)]
    left = chord @ [-np.sin(middle), np.cos(middle)]
    achieved = np.array([forward, left, turned]) / seconds
    assert achieved == pytest.approx(velocity, abs=0.05 * np.abs(velocity).max())


def test_it_ends_as_it_begins_standing_still_with_parallel_feet(walk):
    motion, _ = walk
    for end in (0, -1):
        stance = motion.foot_pos[end, 0] - motion.foot_pos[end, 1]
        assert np.linalg.norm(stance) == pytest.approx(0.237, abs=1e-6)
        assert np.cross([*stance[:2], 0], [0, 0, 1])[:2] / 0.237 == pytest.approx(
            matrix_from_quat(motion.root_quat[end])[:2, 0], abs=2e-3
        )
    assert np.abs(motion.joint_pos[-1] - motion.joint_pos[-2]).max() * 50.0 < 0.01
    assert motion.joint_pos[0] == pytest.approx(G1.default_joint_pos, abs=0.03)


def mujoco_zmp(motion):
    """ZMP (T, 2) from MuJoCo's inverse dynamics of the whole tree, nothing of ours."""
    model = mujoco.MjModel.from_xml_path(str(mjcf_path()))
    model.opt.disableflags |= mujoco.mjtDisableBit.mjDSBL_CONSTRAINT
    data = mujoco.MjData(model)
    qpos = np.hstack([motion.root_pos, motion.root_quat, motion.joint_pos])
    step = np.zeros((len(qpos) - 1, model.nv))
    for k in range(len(step)):
        mujoco.mj_differentiatePos(model, step[k], 0.02, qpos[k], qpos[k + 1])
    zmp = np.full((len(qpos), 2), np.nan)
    for k in range(1, len(qpos) - 1):
        data.qpos, data.qvel, data.qacc = qpos[k], 0.5 * (step[k] + step[k - 1]), (step[k] - step[k - 1]) / 0.02
        mujoco.mj_inverse(model, data)
        force = data.qfrc_inverse[:3]
        torque = data.xmat[1].reshape(3, 3) @ data.qfrc_inverse[3:6] + np.cross(data.xpos[1], force)
        zmp[k] = [-torque[1] / force[2], torque[0] / force[2]]
    return zmp


def inside(hull_points, point):
    """Whether the convex hull of (N, 2) holds the point: no direction separates them."""
    angles = np.linspace(0.0, 2.0 * np.pi, 72, endpoint=False)
    directions = np.stack([np.cos(angles), np.sin(angles)])
    return ((hull_points @ directions).max(0) >= point @ directions).all()


@pytest.mark.parametrize("name", ["fast", "left", "mixed"])
def test_zmp_of_all_bodies_stays_on_the_soles(name):
    motion = generate(command(GAITS[name]))
    zmp, points = mujoco_zmp(motion), soles(motion)
    held = [inside(points[k][motion.foot_contact[k]].reshape(-1, 3)[:, :2], zmp[k]) for k in range(1, len(zmp) - 1)]
    assert np.mean(held) > 0.95


def test_point_mass_zmp_alone_would_not_stay_there():
    motion = generate(command(GAITS["fast"]), GaitConfig(refinements=0))
    zmp, points = mujoco_zmp(motion), soles(motion)
    held = [inside(points[k][motion.foot_contact[k]].reshape(-1, 3)[:, :2], zmp[k]) for k in range(1, len(zmp) - 1)]
    assert np.mean(held) < 0.95


def mirrored(joint_pos):
    swapped = np.empty_like(joint_pos)
    for index, name in enumerate(G1.joint_names):
        other = name.replace("left", "X").replace("right", "left").replace("X", "right")
        sign = -1.0 if ("roll" in name or "yaw" in name) else 1.0
        swapped[:, G1.joint_index[other]] = sign * joint_pos[:, index]
    return swapped


@pytest.mark.parametrize("velocity", [(0.6, 0.0, 0.0), (0.3, 0.25, 0.0), (0.5, 0.0, -0.6)])
def test_a_mirrored_command_gives_the_mirrored_motion(velocity):
    mirror = np.array([1.0, -1.0, -1.0])
    one = generate(command(velocity), GaitConfig(first_step="left"))
    other = generate(command(velocity * mirror), GaitConfig(first_step="right"))
    # The robot itself is not quite symmetric: 0.3 mm in the torso's centre of mass.
    assert mirrored(other.joint_pos) == pytest.approx(one.joint_pos, abs=5e-3)
    assert other.root_pos * mirror[[0, 1, 0]] == pytest.approx(one.root_pos, abs=2e-3)


def test_commands_beyond_the_ellipsoid_are_scaled_into_it():
    motion = generate(command((3.0, 0.0, 0.0)))
    assert motion.velocity.max() == pytest.approx(1.2)
    mixed = generate(command((1.2, 0.4, 1.0)))
    assert mixed.velocity.max(0) == pytest.approx(np.array([1.2, 0.4, 1.0]) / np.sqrt(3.0), abs=1e-9)


def test_a_longer_command_does_not_change_the_past():
    short, long = generate(command(GAITS["arc"], 10.0)), generate(command(GAITS["arc"], 12.0))
    assert long.joint_pos[:500] == pytest.approx(short.joint_pos, abs=1e-4)


def test_a_stop_command_ends_a_walk_at_any_phase():
    for frames in range(150, 194, 4):  # a stride has 44
        commands = np.zeros((frames + 150, 3))
        commands[10:frames] = (0.7, 0.0, 0.0)
        motion = generate(commands)
        assert motion.foot_contact[-1].all()
        assert np.abs(np.diff(motion.joint_pos[-3:], axis=0)).max() * 50.0 < 0.02


@pytest.mark.parametrize("bad", [np.zeros((5, 2)), np.zeros((0, 3)), np.full((5, 3), np.nan)])
def test_bad_commands_are_refused_in_one_line(bad):
    with pytest.raises(ConfigError, match="commands: shape"):
        generate(bad)


def test_bad_gaits_are_refused():
    with pytest.raises(ConfigError, match="first_step"):
        GaitConfig(first_step="both")
    with pytest.raises(ConfigError, match="leg_reach"):
        replace(GaitConfig(), leg_reach=0.63)


def test_com_of_a_zmp_step_is_the_pendulums_closed_form():
    # x = d/2 exp(w (t - t0)) before the ZMP jumps by d, d - d/2 exp(-w (t - t0)) after; w^2 = g / z
    time = np.arange(400) * 0.02 - 4.01
    zmp = np.where(time[:, None] > 0.0, [0.2, -0.1], [0.0, 0.0])
    com = com_of_zmp(zmp, np.full(400, 0.6), zmp[0])
    swing = 0.5 * np.exp(-np.sqrt(9.81 / 0.6) * np.abs(time))
    expected = np.where(time > 0.0, 1.0 - swing, swing)
    assert com[:, 0] == pytest.approx(0.2 * expected, abs=4e-4)  # 20 ms steps: 0.3 mm
    assert com[:, 1] == pytest.approx(-0.1 * expected, abs=4e-4)


def test_centre_of_mass_and_momentum_are_mujocos():
    rng = np.random.default_rng(3)
    model = mujoco.MjModel.from_xml_path(str(mjcf_path()))
    data = mujoco.MjData(model)
    start, velocity = rng.uniform(-0.3, 0.3, 29), rng.uniform(-2.0, 2.0, 29)
    joints = start + np.arange(-1, 2)[:, None] * 0.02 * velocity
    root = np.zeros((3, 3)), np.tile([1.0, 0.0, 0.0, 0.0], (3, 1))
    poses = g1_kinematics().forward(*root, joints)
    data.qpos[:7] = [0.0, 0.0, 0.0, 1.0, 0.0, 0.0, 0.0]
    data.qpos[7:], data.qvel[6:] = start, velocity
    mujoco.mj_forward(model, data)
    mujoco.mj_subtreeVel(model, data)
    assert g1_masses().com(*poses)[1] == pytest.approx(data.subtree_com[1], abs=1e-9)
    # Central differences of 20 ms against exact velocities.
    assert g1_masses().angular_momentum(*poses)[1] == pytest.approx(data.subtree_angmom[1], abs=0.02)

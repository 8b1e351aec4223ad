"""Measures of `bm motion check` on a clip with one known defect each."""

from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
from squat_motion import squat

from bm_core.g1 import G1
from bm_core.motion import clip_from_qpos, find_clips, save_clip
from bm_training.motions.check import WarningLimits, check_file, find_jumps, measure_clip, warnings_of
from bm_training.motions.collision_shapes import CollisionShapes

LIMITS = WarningLimits()


@pytest.fixture(scope="module")
def shapes():
    return CollisionShapes()


def measured(shapes, motion, fps=30.0):
    return measure_clip(clip_from_qpos("x", *motion, fps), shapes, LIMITS)


def with_joint(motion, name, values):
    root_pos, root_quat, joint_pos = motion
    joint_pos = joint_pos.copy()
    joint_pos[:, G1.joint_index[name]] = values
    return root_pos, root_quat, joint_pos


def test_a_clean_clip_has_no_warnings(shapes):
    measures = measured(shapes, squat())
    assert warnings_of(measures, LIMITS) == ()
    assert measures.penetration == pytest.approx(0.0, abs=2e-3)
    assert measures.floor_gap == pytest.approx(0.0, abs=2e-3)
    assert measures.foot_slide < 0.02


def test_a_clip_sunk_by_5_cm_is_5_cm_below_the_floor_in_all_frames(shapes):
    root_pos, root_quat, joint_pos = squat()
    measures = measured(shapes, (root_pos - [0.0, 0.0, 0.05], root_quat, joint_pos))
    assert measures.penetration == pytest.approx(0.05, abs=2e-3)
    assert measures.penetration_frames == 101
    assert measures.floor_gap == pytest.approx(-0.05, abs=2e-3)
    assert warnings_of(measures, LIMITS) == ("penetration", "floor_gap")


def test_a_floating_clip_is_noticed_and_does_not_slide(shapes):
    root_pos, root_quat, joint_pos = squat()
    moving = root_pos + np.linspace(0.0, 2.0, 61)[:, None] * [1.0, 0.0, 0.0] + [0.0, 0.0, 0.2]
    measures = measured(shapes, (moving, root_quat, joint_pos))
    assert measures.floor_gap == pytest.approx(0.2, abs=2e-3)
    assert measures.foot_slide == 0.0
    assert warnings_of(measures, LIMITS) == ("floor_gap",)


def test_feet_that_slide_at_half_a_metre_a_second_are_measured_so(shapes):
    root_pos, root_quat, joint_pos = squat()
    moving = root_pos + 0.5 * (np.arange(61) / 30.0)[:, None] * [0.6, -0.8, 0.0]
    measures = measured(shapes, (moving, root_quat, joint_pos))
    assert measures.foot_slide == pytest.approx(0.5, abs=0.02)
    assert warnings_of(measures, LIMITS) == ("foot_slide",)


def test_joint_speed_is_a_fraction_of_that_joints_motor(shapes):
    # wrist_yaw: 22 rad/s no-load (reference table 1.5); 2.2 rad/s is a tenth, and nothing else moves.
    still = tuple(np.repeat(part[:1], 31, axis=0) for part in squat())
    measures = measured(shapes, with_joint(still, "left_wrist_yaw_joint", 2.2 * np.arange(31) / 30.0 - 1.1))
    assert measures.fastest_joint == "left_wrist_yaw_joint"
    assert measures.joint_speed == pytest.approx(0.1)


def test_overshoot_names_the_joint(shapes):
    measures = measured(shapes, with_joint(squat(), "waist_roll_joint", 0.52 + 0.05))
    assert measures.limit_overshoot == pytest.approx(0.05)
    assert measures.overshooting_joint == "waist_roll_joint"
    assert "limit_overshoot" in warnings_of(measures, LIMITS)


def test_an_arm_through_the_trunk_is_a_self_collision_of_that_arm(shapes):
    motion = squat()
    motion = with_joint(motion, "left_shoulder_pitch_joint", 0.0)
    motion = with_joint(motion, "left_shoulder_roll_joint", -0.4)
    measures = measured(shapes, motion)
    assert measures.self_collision_frames == 101
    assert "left_" in measures.self_collision_pair


def test_a_teleport_is_a_jump_at_its_frame_also_when_resampling_smears_it():
    for fps, frame in ((50.0, 40), (30.0, 30)):
        root_pos, root_quat, joint_pos = squat(frames=91, fps=fps)
        root_pos = root_pos + np.where(np.arange(91) >= frame, 0.4, 0.0)[:, None] * [1.0, 0.0, 0.0]
        jumps = find_jumps(clip_from_qpos("x", root_pos, root_quat, joint_pos, fps))
        assert len(jumps) == 1
        assert abs(jumps[0] - frame * 50.0 / fps) <= 1.5


def test_a_fast_but_steady_turn_is_no_jump():
    # 25 rad/s of a shoulder: 0.5 rad a frame, over the threshold of a jump, but so is every frame around it.
    frames = np.arange(20)
    motion = tuple(np.repeat(part[:1], 20, axis=0) for part in squat())
    sweep = np.clip(-2.5 + 0.25 * frames, -3.0, 2.5)
    assert find_jumps(clip_from_qpos("x", *with_joint(motion, "left_shoulder_pitch_joint", sweep), 50.0)) == []


def test_start_distance_is_that_of_the_worst_joint_from_the_default_pose(shapes):
    motion = with_joint(squat(), "right_elbow_joint", 0.6 - 1.3)  # default 0.6
    assert measured(shapes, motion).start_distance == pytest.approx(1.3)


def test_the_lowest_point_is_where_mujoco_sees_the_floor(shapes):
    import mujoco

    from bm_core.g1 import mjcf_path

    spec = mujoco.MjSpec.from_file(str(mjcf_path()))
    spec.worldbody.add_geom(name="floor", type=mujoco.mjtGeom.mjGEOM_PLANE, size=[0, 0, 1])
    model = spec.compile()
    data = mujoco.MjData(model)
    floor = model.geom("floor").id
    rng = np.random.default_rng(3)
    for _ in range(20):
        quat = rng.normal(size=4)
        joint_pos = rng.uniform(G1.lower, G1.upper)
        motion = (np.zeros((2, 3)), np.tile(quat / np.linalg.norm(quat), (2, 1)), np.tile(joint_pos, (2, 1)))
        clip = clip_from_qpos("x", *motion, 50.0)
        heights = shapes.lowest_heights(clip.body_pos_w, clip.body_quat_w)[0]
        data.qpos[:] = [*clip.root_pos[0], *clip.root_quat[0], *joint_pos]
        mujoco.mj_forward(model, data)
        touching = (data.contact.geom == floor).any(axis=1)
        assert heights.min() == pytest.approx(data.contact.dist[touching].min(), abs=1e-6)


def test_a_refused_file_is_a_fault_with_its_reason(shapes, tmp_path):
    clip = clip_from_qpos("good", *squat(), 30.0)
    save_clip(clip, tmp_path / "good.npz")
    save_clip(replace(clip, joint_pos=clip.joint_pos * np.nan), tmp_path / "bad.npz")
    good, bad = (check_file(tmp_path / f"{name}.npz", shapes, LIMITS) for name in ("good", "bad"))
    assert (good.fault, good.warnings, good.seconds) == (None, (), 2.0)
    assert bad.fault == (
        "bad.npz: frame 0: left_hip_pitch_joint is nan (2929 such values); repair the source, or cut with --start/--end"
    )
    assert bad.row()["penetration"] is None


SHARED = Path(__file__).resolve().parents[2].parent / "shared" / "motions"


@pytest.mark.skipif(not SHARED.is_dir(), reason="the development motions are not on this machine")
def test_the_known_faults_of_the_development_motions_are_found(shapes):
    # Their README: 46 clips; cartwheels, flips and cmu_02_06 dip hands 4-13 cm below the floor; every file can be read.
    checks = {path.stem: check_file(path, shapes, LIMITS) for path in find_clips(SHARED)}
    assert len(checks) == 46
    assert [check.fault for check in checks.values() if check.fault] == []
    deep = {name for name, check in checks.items() if check.measures.penetration > 0.035}
    assert deep == {
        *("mjpc_cartwheel1", "mjpc_cartwheel2", "mjpc_crouchflip", "mjpc_monkeyflip", "cmu_02_06", "kimodo_dance")
    }
    assert max(check.measures.penetration for check in checks.values()) == pytest.approx(0.13, abs=0.01)
    assert {name for name, check in checks.items() if not check.is_fit} == {
        *("mjpc_cartwheel2", "mjpc_crouchflip", "mjpc_monkeyflip")
    }

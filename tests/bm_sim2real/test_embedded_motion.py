"""Motions inside foreign graphs: read out exactly, proven by kinematics, followed like clips."""

import sys
from pathlib import Path

import numpy as np
import pytest
from onnx import helper

sys.path.insert(0, str(Path(__file__).parents[1] / "bm_core"))
from foreign_files import (  # noqa: E402
    mjlab_entries,
    motion_arrays,
    motion_network,
    wbt_entries,
    write_holosoma,
    write_wbt,
)
from tiny_bundle import made_up_state, save, wavy_clip  # noqa: E402

from bm_core.bundle import Bundle  # noqa: E402
from bm_core.errors import BundleError, RobotError  # noqa: E402
from bm_core.g1 import G1, TARGET_BODIES  # noqa: E402
from bm_core.reference import MotionReference  # noqa: E402
from bm_sim2real.blend import still  # noqa: E402
from bm_sim2real.policies.embedded_motion import read_embedded_motion  # noqa: E402
from bm_sim2real.policies.tracker import TrackerPolicy  # noqa: E402

CLIP = wavy_clip(100)
BODIES = [G1.body_index[name] for name in TARGET_BODIES]


def embedded(path):
    return read_embedded_motion(path, Bundle.read(path).contract)


@pytest.mark.parametrize("entries", [wbt_entries(), mjlab_entries()], ids=["breadth-first", "canonical"])
@pytest.mark.parametrize("clamp", [True, False], ids=["clamped", "unclamped"])
def test_joints_and_bodies_come_out_as_they_went_in(tmp_path, entries, clamp):
    motion = embedded(write_wbt(tmp_path / "x.onnx", CLIP, entries=entries, clamp=clamp))
    assert motion.clip.num_frames == 100 and not motion.drives_action
    for name in ("joint_pos", "joint_vel"):
        np.testing.assert_array_equal(getattr(motion.clip, name), getattr(CLIP, name).astype(np.float32))
    np.testing.assert_array_equal(motion.clip.body_pos_w[:, BODIES], CLIP.body_pos_w[:, BODIES].astype(np.float32))
    # Bodies that the graph does not return follow from root and joints.
    np.testing.assert_allclose(motion.clip.body_pos_w, CLIP.body_pos_w, atol=1e-5)


def test_holosomas_motion_follows_from_joints_and_anchor(tmp_path):
    motion = embedded(write_holosoma(tmp_path / "x.onnx", CLIP))
    np.testing.assert_allclose(motion.clip.body_pos_w, CLIP.body_pos_w, atol=1e-5)
    dots = np.abs((motion.clip.body_quat_w * CLIP.body_quat_w).sum(axis=-1))
    np.testing.assert_allclose(dots, 1.0, atol=1e-6)


def test_a_motion_that_holds_still_at_its_end_ends_where_it_stops_moving(tmp_path):
    arrays = motion_arrays(CLIP)
    held = {name: np.concatenate([rows, np.repeat(rows[-1:], 500, axis=0)]) for name, rows in arrays.items()}
    assert embedded(write_wbt(tmp_path / "x.onnx", arrays=held)).clip.num_frames == 100


def test_a_motion_that_passes_its_last_frame_in_the_middle_is_read_to_its_end(tmp_path):
    arrays = motion_arrays(CLIP)
    twice = {name: np.concatenate([rows, rows[50:]]) for name, rows in arrays.items()}
    assert embedded(write_wbt(tmp_path / "x.onnx", arrays=twice)).clip.num_frames == 150


def flipped(arrays):
    return {**arrays, "body_quat_w": arrays["body_quat_w"][..., [1, 2, 3, 0]]}


def swapped(arrays):
    order = [0, 2, 1, *range(3, 14)]
    return {**arrays, "body_pos_w": arrays["body_pos_w"][:, order]}


def one_body_less(arrays):
    return {**arrays, "body_pos_w": arrays["body_pos_w"][:, :13]}


BROKEN = {
    "quaternions xyzw": (flipped, "embedded motion: .* (cm|rad) off .* quaternions not wxyz"),
    "bodies exchanged": (swapped, "embedded motion: left_(hip_roll|knee)_link is .* cm .* body_names"),
    "a body less": (one_body_less, "13 bodies, but body_names lists 14"),
}


@pytest.mark.parametrize("case", BROKEN)
def test_a_motion_that_contradicts_the_robot_is_refused(tmp_path, case):
    change, message = BROKEN[case]
    with pytest.raises(BundleError, match=message):
        embedded(write_wbt(tmp_path / "x.onnx", arrays=change(motion_arrays(CLIP))))


def test_joint_names_in_another_order_are_noticed_through_the_bodies(tmp_path):
    path = write_wbt(tmp_path / "x.onnx", arrays=motion_arrays(CLIP), entries=mjlab_entries())
    with pytest.raises(BundleError, match="embedded motion: "):
        embedded(path)


def time_dependent(path):
    """An action that needs time_step: the frame's joints are added to it."""
    model = motion_network(154, motion_arrays(CLIP))
    gemm = next(node for node in model.graph.node if "actions" in node.output)
    gemm.output[0] = "plain"
    model.graph.node.append(helper.make_node("Add", ["plain", "joint_pos"], ["actions"]))
    return save(model, wbt_entries(), path)


def test_a_loaded_policy_follows_its_own_and_any_other_motion(tmp_path):
    policy = TrackerPolicy.load(write_wbt(tmp_path / "x.onnx", CLIP))
    rng = np.random.default_rng(0)
    for reference in (MotionReference(policy.embedded.clip), MotionReference(wavy_clip(30))):
        policy.reset(reference)
        output = policy.step(made_up_state(rng, CLIP, 0))
        assert output.frame == 1 and np.isfinite(output.q).all()


def test_a_policy_whose_action_needs_its_own_motion_follows_that_alone(tmp_path):
    policy = TrackerPolicy.load(time_dependent(tmp_path / "x.onnx"))
    clip = policy.embedded.clip
    assert policy.embedded.drives_action
    with pytest.raises(RobotError, match="depend on its own motion x"):
        policy.reset(still(MotionReference(clip).frame(0)))
    seen = []
    network = policy._network
    policy._network = lambda observation, step: seen.append(step) or network(observation, step)
    policy.reset(MotionReference(clip.slice(0.4, 1.0)))
    policy.step(made_up_state(np.random.default_rng(0), CLIP, 20))
    assert seen == [21]  # frame 1 of a part that begins at frame 20

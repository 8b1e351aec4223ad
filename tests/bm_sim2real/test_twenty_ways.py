"""Twenty ways to break a policy bundle; the runtime refuses each with a line that names what is broken."""

import sys
from pathlib import Path

import numpy as np
import onnx
import pytest
from onnx import numpy_helper

sys.path.insert(0, str(Path(__file__).parents[1] / "bm_core"))
from foreign_files import motion_arrays, motion_network  # noqa: E402
from tiny_bundle import edit_document, network, save, tiny_contract, wavy_clip, with_normaliser, write_bundle  # noqa: E402

from bm_core.bundle import Bundle  # noqa: E402
from bm_core.errors import BundleError  # noqa: E402
from bm_core.g1 import G1  # noqa: E402
from bm_core.golden_trace import encode_trace  # noqa: E402
from bm_core.onnx_file import read_onnx  # noqa: E402
from bm_sim2real.policies.tracker import TrackerPolicy  # noqa: E402

TERMS = ["command", "motion_anchor_pos_b", "motion_anchor_ori_b", "base_lin_vel", "base_ang_vel", "joint_pos"]
"""The first observation terms of the bundle, in order."""


def edited(change):
    """The document changed with care: the other metadata follow."""
    return lambda path: edit_document(path, change)


def reexported(change):
    """The model changed, and its new sha256 written into the contract."""

    def apply(path):
        model = onnx.load(path)
        change(model)
        path.write_bytes(model.SerializeToString())
        digest = read_onnx(path).graph_sha256
        edit_document(path, lambda d: d.update(graph_sha256=digest))

    return apply


def swap_terms(document):
    terms = document["observations"]
    terms[3], terms[4] = terms[4], terms[3]


def permute_joints(document):
    names = document["action"]["joint_names"]
    names[3], names[9] = names[9], names[3]


def swap_gains(document):
    kp = document["stiffness"]
    kp[3], kp[4] = kp[4], kp[3]


def round_gains(document):
    for key in ("stiffness", "damping"):
        document[key] = [round(value, 3) for value in document[key]]


def flip_quaternions(path):
    """A recording in xyzw: somewhere between robot and file the order was lost."""
    trace = Bundle.read(path).trace
    trace.pelvis_quat_w[:] = trace.pelvis_quat_w[:, [1, 2, 3, 0]]
    edit_document(path, lambda d: d.update(golden_trace=encode_trace(trace)))


def drop_normaliser(model):
    for _ in range(2):
        del model.graph.node[0]
    model.graph.node[0].input[0] = "obs"


def nan_weight(model):
    weight = next(tensor for tensor in model.graph.initializer if tensor.name == "w1")
    numbers = numpy_helper.to_array(weight).copy()
    numbers[0, 22] = np.nan
    weight.CopyFrom(numpy_helper.from_array(numbers, "w1"))


def truncate(path):
    path.write_bytes(path.read_bytes()[: path.stat().st_size // 2])


def stale_trace(path):
    other = write_bundle(path.with_name("older.onnx"), seed=1, model=normalised(seed=1))
    edit_document(path, lambda d: d.update(golden_trace=encode_trace(Bundle.read(other).trace)))


def time_step_beyond_motion(path):
    """Recorded on 40 frames, shipped with the first 30 of them: the graph would hold the last one for ever."""
    contract = tiny_contract(reference="embedded")
    arrays = motion_arrays(wavy_clip(40), G1.joint_names)
    write_bundle(path, contract, model=own(motion_network(contract.observation_dim, arrays)))
    TrackerPolicy.load(path)
    short = own(motion_network(contract.observation_dim, {name: rows[:30] for name, rows in arrays.items()}))
    metadata = {entry.key: entry.value for entry in onnx.load(path).metadata_props}
    save(short, metadata, path)
    edit_document(path, lambda d: d.update(graph_sha256=read_onnx(path).graph_sha256))


def own(model):
    model.producer_name = "beyondmimic-g1"
    return model


def normalised(seed=0):
    width = tiny_contract().observation_dim
    return with_normaliser(network(width, seed=seed), width)


def set_opset(model):
    model.opset_import[0].version = 21


WAYS = {
    "term missing": (edited(lambda d: d["observations"].pop(5)), "238 numbers, .* have 209; missing may be joint_pos"),
    "term swapped": (edited(swap_terms), r"tick 0: observation term 'base_ang_vel'\[0\] is"),
    "term resized": (
        edited(lambda d: d["observations"][5].update(dim=23)),
        "observation term 'joint_pos' has dim 23, 29 expected",
    ),
    "term renamed": (
        edited(lambda d: d["observations"][5].update(name="dof_pos")),
        "observation term 'dof_pos' is unknown",
    ),
    "joints permuted": (edited(permute_joints), r"'command'\[3\] \(right_knee_joint\)"),
    "gains rounded": (edited(round_gains), r"motor torque of \w+_joint is .*; its gains"),
    "gains scaled": (
        edited(lambda d: d.update(stiffness=[1.1 * kp for kp in d["stiffness"]])),
        "motor torque of left_hip_pitch_joint is .*; its gains",
    ),
    "gains swapped": (edited(swap_gains), "motor torque of left_knee_joint is .*; its gains"),
    "quaternion order flipped": (flip_quaternions, r"observation term 'motion_anchor_pos_b'\[0\] is"),
    "normaliser missing": (reexported(drop_normaliser), "the observation normaliser is missing in the graph"),
    "NaN weight": (reexported(nan_weight), "action of right_shoulder_pitch_joint is not finite; its weights may hold"),
    "truncated file": (truncate, "not a whole .onnx file"),
    "other robot": (edited(lambda d: d.update(robot="unitree_h1")), "made for robot 'unitree_h1', this is 'unitree_g1"),
    "wrong control_dt": (edited(lambda d: d.update(control_dt=0.01)), "control_dt is 0.01 s, the control loop runs at"),
    "wrong anchor": (edited(lambda d: d.update(anchor_body="pelvis")), r"term 'motion_anchor_(pos|ori)_b'\[0\] is"),
    "stale golden trace": (stale_trace, "action of left_hip_pitch_joint is .*; the network runs differently here"),
    "future schema": (edited(lambda d: d.update(schema_version=2)), "schema_version 2 is newer than this program's 1"),
    "time_step beyond motion": (time_step_beyond_motion, "time_step 3[0-9] is beyond the embedded motion of 30 frames"),
    "wrong opset": (reexported(set_opset), "opset 21, IR 8; at most 20 and 9 allowed"),
    "duplicated joint": (
        edited(lambda d: d["action"]["joint_names"].__setitem__(1, "left_knee_joint")),
        "joint 'left_knee_joint' is listed 2 times",
    ),
}


def test_there_are_twenty():
    assert len(WAYS) == 20


@pytest.fixture
def bundle_path(tmp_path):
    path = write_bundle(tmp_path / "tiny.onnx", model=normalised())
    assert [term.name for term in TrackerPolicy.load(path).contract.observations][:6] == TERMS
    return path


@pytest.mark.parametrize("way", WAYS)
def test_a_broken_bundle_is_refused_and_the_culprit_named(bundle_path, way):
    damage, message = WAYS[way]
    damage(bundle_path)
    with pytest.raises(BundleError, match=message) as refusal:
        TrackerPolicy.load(bundle_path)
    assert bundle_path.name in str(refusal.value) and "\n" not in str(refusal.value)

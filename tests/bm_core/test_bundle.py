"""A bundle proves itself, and every damaged one is refused with a line that names the damage."""

import dataclasses

import numpy as np
import onnx
import pytest
from tiny_bundle import edit_document, network, reordered, save, session, tiny_contract, write_bundle

from bm_core.bundle import CONTRACT_KEY, Bundle
from bm_core.errors import BundleError
from bm_core.golden_trace import encode_trace
from bm_core.observation_terms import observation_term
from bm_core.onnx_file import read_onnx


@pytest.fixture
def bundle_path(tmp_path):
    return write_bundle(tmp_path / "tiny.onnx")


def proven(path):
    return Bundle.read(path).prove(session(path))


def refused(path, message):
    with pytest.raises(BundleError, match=message) as caught:
        proven(path)
    assert path.name in str(caught.value) and "\n" not in str(caught.value)


def test_a_good_bundle_proves_itself(bundle_path):
    bundle = Bundle.read(bundle_path)
    report = bundle.prove(session(bundle_path))
    assert bundle.warnings == () and not bundle.is_foreign
    assert bundle.contract == tiny_contract()
    assert report.num_ticks == 10
    assert set(report.term_error) == {term.name for term in tiny_contract().observations}
    # The recorded states are rounded to float32, so a little is left.
    assert 0.0 < report.worst_term_error < 1e-5
    assert report.action_error < 1e-5 and report.torque_error < 1e-5


def test_equal_policies_give_equal_files(tmp_path):
    first, second = write_bundle(tmp_path / "a.onnx"), write_bundle(tmp_path / "b.onnx")
    assert first.read_bytes() == second.read_bytes()
    assert first.read_bytes() != write_bundle(tmp_path / "c.onnx", seed=1).read_bytes()


def test_a_breadth_first_policy_with_histories_proves_itself(tmp_path):
    terms = (observation_term("joint_pos", history=3), observation_term("base_ang_vel", history=4, scale=0.2))
    contract = reordered(tiny_contract(observations=terms), np.random.default_rng(2).permutation(29))
    assert proven(write_bundle(tmp_path / "x.onnx", contract)).num_ticks == 10


@pytest.mark.parametrize("fraction", [0.0, 0.02, 0.3, 0.7, 0.999])
def test_a_truncated_file_is_refused(bundle_path, fraction):
    whole = bundle_path.read_bytes()
    bundle_path.write_bytes(whole[: int(fraction * len(whole))])
    refused(bundle_path, "not a whole .onnx file|metadata '.*' is missing")


def test_a_file_cut_after_the_graph_does_not_pass_as_a_foreign_one(bundle_path):
    model = onnx.load(bundle_path)
    save(model, {}, bundle_path)
    refused(bundle_path, "our own export, but without its bm.contract")


def _set(path, value):
    *keys, last = path

    def change(document):
        target = document
        for key in keys:
            target = target[key]
        target[last] = value(target[last]) if callable(value) else value

    return change


def _swap_terms(document):
    terms = document["observations"]
    terms[3], terms[4] = terms[4], terms[3]


def _permute_joints(document):
    names = document["action"]["joint_names"]
    names[0], names[6] = names[6], names[0]


DAMAGES = {
    "other robot": (_set(["robot"], "unitree_h1"), "made for robot 'unitree_h1', this is 'unitree_g1_29dof'"),
    "future schema": (_set(["schema_version"], 2), "schema_version 2 is newer"),
    "unknown key": (_set(["mood"], 1), "unknown key 'mood'"),
    "missing key": (lambda d: d.pop("damping"), "key 'damping' is missing"),
    "missing trace": (lambda d: d.pop("golden_trace"), "key 'golden_trace' is missing"),
    "swapped terms": (_swap_terms, r"tick 0: observation term 'base_ang_vel'\[0\] is .* expected"),
    "permuted joints": (_permute_joints, r"tick 0: observation term 'command'\[0\] \(right_hip_pitch_joint\)"),
    "duplicated joint": (
        _set(["action", "joint_names", 1], "left_knee_joint"),
        "joint 'left_knee_joint' is listed 2 times",
    ),
    "unknown joint": (_set(["action", "joint_names", 1], "tail_joint"), "joint 'tail_joint' is not one of"),
    "scaled gains": (
        _set(["stiffness"], lambda v: [2.0 * kp for kp in v]),
        "tick 0: motor torque of left_hip_pitch_joint is .*; its gains",
    ),
    "scaled damping of one joint": (
        _set(["damping", 3], lambda kd: 1.5 * kd),
        "motor torque of left_knee_joint is .*; its gains",
    ),
    "scaled action": (_set(["action", "scale", 28], lambda a: 1.01 * a), "motor torque of right_wrist_yaw_joint"),
    "moved default pose": (_set(["action", "default_joint_pos", 3], 0.7), r"'joint_pos'\[3\] \(left_knee_joint\)"),
    "negative gain": (_set(["stiffness", 3], -1.0), "stiffness of left_knee_joint is -1.0, must be positive"),
    "short gains": (_set(["stiffness"], lambda v: v[:-1]), "stiffness has 28 numbers for 29 joints"),
    "other motor": (_set(["effort_limit", 3], 120.0), "effort_limit of left_knee_joint is 120.0 N m, .* 139"),
    "default pose out of range": (
        _set(["action", "default_joint_pos", 3], 4.0),
        "default_joint_pos of left_knee_joint",
    ),
    "other rate": (_set(["control_dt"], 0.01), "control_dt is 0.01 s, the control loop runs at 0.02"),
    "unknown anchor": (_set(["anchor_body"], "head"), "body 'head' is not one of"),
    "unknown body": (_set(["body_names", 0], "root"), "body 'root' is not one of"),
    "unknown term": (_set(["observations", 0, "name"], "commands"), "observation term 'commands' is unknown"),
    "wrong term dim": (_set(["observations", 5, "dim"], 23), "observation term 'joint_pos' has dim 23, 29 expected"),
    "doubled term": (
        _set(["observations", 6], lambda t: {**t, "name": "joint_pos"}),
        "observation term 'joint_pos' is listed 2 times",
    ),
    "window without steps": (_set(["observations", 8, "steps"], []), r"'reference_window': steps \[\]"),
    "shorter window": (
        lambda d: d["observations"][8].update(steps=[4], dim=39),
        "graph input 'obs' has 238 numbers, the observation terms have 199",
    ),
    "other window": (_set(["observations", 8, "steps"], [4, 9]), r"'reference_window'\[39\]"),
    "no history": (_set(["observations", 5, "history"], 0), "'joint_pos' has history 0"),
    "zero scale": (_set(["observations", 5, "scale"], 0.0), "'joint_pos' has scale 0.0"),
    "other scale": (_set(["observations", 5, "scale"], 1.5), r"'joint_pos'\[0\] \(left_hip_pitch_joint\)"),
    "other reference": (_set(["reference"], "telepathy"), "reference 'telepathy' is unknown"),
    "embedded reference": (_set(["reference"], "embedded"), "graph inputs are obs; obs, time_step expected"),
    "wide tolerance": (_set(["trace_tolerance"], 1.0), r"trace_tolerance is 1.0, a number in \(0, 0.1\]"),
    "other graph": (_set(["graph_sha256"], "0" * 64), "graph is not the exported one"),
    "damaged trace": (
        _set(["golden_trace", "npz"], lambda t: t[:-8] + "AAAAAAA="),
        "golden_trace does not have its sha256",
    ),
    "trace that is no base64": (_set(["golden_trace", "npz"], "%%%"), "golden_trace is not base64"),
}


@pytest.mark.parametrize("damage", DAMAGES)
def test_a_damaged_contract_is_refused(bundle_path, damage):
    change, message = DAMAGES[damage]
    assert proven(bundle_path).num_ticks == 10
    refused(edit_document(bundle_path, change), message)


def test_a_stale_trace_is_refused(tmp_path):
    """The trace of another checkpoint under the right sha256."""
    old, new = write_bundle(tmp_path / "old.onnx", seed=1), write_bundle(tmp_path / "new.onnx", seed=0)
    trace = encode_trace(Bundle.read(old).trace)
    edit_document(new, _set(["golden_trace"], trace))
    refused(new, r"tick 0: action of left_hip_pitch_joint is .*; the network runs differently here")


def test_exchanged_weights_are_refused_before_anything_runs(bundle_path):
    model = onnx.load(bundle_path)
    metadata = {entry.key: entry.value for entry in model.metadata_props}
    save(network(tiny_contract().observation_dim, seed=9), metadata, bundle_path)
    with pytest.raises(BundleError, match="the graph is not the exported one"):
        Bundle.read(bundle_path)


def test_nan_weights_are_refused_by_the_replay(bundle_path):
    model = onnx.load(bundle_path)
    bias = next(tensor for tensor in model.graph.initializer if tensor.name == "b1")
    numbers = onnx.numpy_helper.to_array(bias).copy()
    numbers[3] = np.nan
    bias.CopyFrom(onnx.numpy_helper.from_array(numbers, "b1"))
    bundle_path.write_bytes(model.SerializeToString())
    edit_document(bundle_path, _set(["graph_sha256"], read_onnx(bundle_path).graph_sha256))
    refused(bundle_path, "action of left_knee_joint is not finite; its weights may hold NaN")


def test_a_network_of_another_width_is_refused(bundle_path):
    with pytest.raises(BundleError, match=r"returned shape \(23,\), \(29,\) expected"):
        Bundle.read(bundle_path).prove(lambda obs: np.zeros(23, dtype=np.float32))


def test_metadata_for_other_stacks_must_agree(bundle_path):
    model = onnx.load(bundle_path)
    metadata = {entry.key: entry.value for entry in model.metadata_props}
    metadata["joint_stiffness"] = ",".join(["40.0"] * 29)
    refused(save(model, metadata, bundle_path), "metadata 'joint_stiffness' differs from bm.contract")


def test_a_trace_of_another_shape_is_refused(bundle_path):
    trace = dataclasses.replace(Bundle.read(bundle_path).trace, action=np.zeros((10, 23), np.float32))
    edit_document(bundle_path, _set(["golden_trace"], encode_trace(trace)))
    refused(bundle_path, r"action has shape \(10, 23\), \(10, 29\) expected")


def test_a_nan_in_the_trace_is_refused(bundle_path):
    trace = Bundle.read(bundle_path).trace
    broken = dataclasses.replace(trace, joint_pos=np.full_like(trace.joint_pos, np.nan))
    edit_document(bundle_path, _set(["golden_trace"], encode_trace(broken)))
    refused(bundle_path, "joint_pos holds NaN")


def test_an_opset_that_old_runtimes_cannot_load_is_refused(bundle_path):
    model = onnx.load(bundle_path)
    model.opset_import[0].version = 21
    bundle_path.write_bytes(model.SerializeToString())
    refused(bundle_path, "opset 21, IR 8; at most 20 and 9 allowed")


def test_the_contract_is_the_first_metadata_of_the_file(bundle_path):
    assert onnx.load(bundle_path).metadata_props[0].key == CONTRACT_KEY

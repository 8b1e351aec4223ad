"""`bm diff` names what is not the same, and nothing else."""

import dataclasses
import json
import sys
from pathlib import Path

import numpy as np
import onnx
import pytest
from onnx import numpy_helper

sys.path.insert(0, str(Path(__file__).parents[1] / "bm_core"))
from foreign_files import write_wbt  # noqa: E402
from tiny_bundle import network, reordered, tiny_contract, with_normaliser, write_bundle  # noqa: E402

from bm_core.errors import BundleError  # noqa: E402
from bm_core.observation_terms import observation_term  # noqa: E402
from bm_sim2real.bundle_diff import compare_bundles  # noqa: E402
from bm_sim2real.commands.diff import Diff  # noqa: E402


def changed(model, name, value):
    tensor = next(t for t in model.graph.initializer if t.name == name)
    numbers = numpy_helper.to_array(tensor).copy()
    numbers.flat[5] += value
    tensor.CopyFrom(numpy_helper.from_array(numbers, name))
    return model


def normalised(contract):
    return with_normaliser(network(contract.observation_dim), contract.observation_dim)


@pytest.fixture
def first(tmp_path):
    return write_bundle(tmp_path / "first.onnx", model=normalised(tiny_contract()))


def second(tmp_path, contract=None, edit=lambda model: model):
    contract = contract or tiny_contract()
    return write_bundle(tmp_path / "second.onnx", contract, model=edit(normalised(contract)))


def rows(first, second):
    return {(d.group, d.what): (d.first, d.second) for d in compare_bundles(first, second).differences}


def test_equal_bundles_have_no_difference(first, tmp_path, capsys):
    diff = compare_bundles(first, second(tmp_path))
    assert diff.differences == () and diff.largest_weight == 0.0 and diff.largest_action == 0.0
    assert Diff(first=first, second=first)() == 0
    assert "the same" in capsys.readouterr().out


def test_a_weight_is_told_from_a_normaliser(first, tmp_path):
    found = rows(first, second(tmp_path, edit=lambda model: changed(model, "w1", 0.5)))
    assert found.pop(("weights", "w1")) == ("", "up to 0.5 apart")
    assert [group for group, _ in found] == ["behaviour"]
    found = rows(first, second(tmp_path, edit=lambda model: changed(model, "mean", 0.25)))
    assert found[("normaliser", "mean")] == ("", "up to 0.25 apart")


def test_gains_and_scale_are_compared_joint_by_joint(first, tmp_path):
    base = tiny_contract()
    scale = (*base.action.scale[:28], 0.075)
    contract = dataclasses.replace(
        base,
        stiffness=tuple(1.5 * kp if i == 3 else kp for i, kp in enumerate(base.stiffness)),
        action=dataclasses.replace(base.action, scale=scale),
    )
    found = rows(first, second(tmp_path, contract))
    assert set(found) == {("gains", "stiffness of left_knee_joint"), ("gains", "scale of right_wrist_yaw_joint")}
    assert found[("gains", "scale of right_wrist_yaw_joint")][1] == "0.075"


def test_a_permutation_alone_is_one_difference_and_no_gain(first, tmp_path):
    contract = reordered(tiny_contract(), range(28, -1, -1))
    found = rows(first, second(tmp_path, contract))
    assert found == {("joints", "order"): ("[0] left_hip_pitch_joint", "[0] right_wrist_yaw_joint")}


def test_terms_that_are_gone_moved_or_changed_are_named(first, tmp_path):
    terms = list(tiny_contract().observations)
    terms[3], terms[4] = terms[4], terms[3]
    terms[5] = observation_term("joint_pos", scale=0.5)
    found = rows(first, second(tmp_path, tiny_contract(observations=tuple(terms[:-1]))))
    assert found[("terms", "order")] == ("[3] base_lin_vel", "[3] base_ang_vel")
    assert found[("terms", "joint_pos.scale")] == ("1.0", "0.5")
    assert found[("terms", "reference_window")] == ("yes", "no")
    assert ("weights", "w0") in found or ("weights", "mean") in found  # other sizes


def test_training_and_the_rest_of_the_contract_are_compared(first, tmp_path):
    base = tiny_contract()
    contract = dataclasses.replace(base, training=dataclasses.replace(base.training, steps=2000), first_frame=0)
    found = rows(first, second(tmp_path, contract))
    assert found == {("contract", "training.steps"): ("1000", "2000"), ("contract", "first_frame"): ("1", "0")}


def test_a_foreign_policy_can_be_compared(first, tmp_path):
    found = rows(first, write_wbt(tmp_path / "wbt.onnx"))
    assert found[("contract", "has_contract")] == ("True", "False")
    assert found[("contract", "reference")] == ("external", "embedded")


def test_the_command_writes_what_differs(first, tmp_path, capsys):
    other = second(tmp_path, edit=lambda model: changed(model, "w1", 0.5))
    assert Diff(first=first, second=other, json=tmp_path / "diff.json")() == 1
    document = json.loads((tmp_path / "diff.json").read_text())
    assert document["command"] == "diff" and not document["passed"]
    assert document["summary"]["groups"] == ["behaviour", "weights"]
    assert document["summary"]["largest_weight"] == pytest.approx(0.5)
    assert "up to 0.5 apart" in capsys.readouterr().out


def test_an_unreadable_file_is_refused(first, tmp_path):
    (tmp_path / "gone.onnx").write_bytes(first.read_bytes()[:100])
    with pytest.raises(BundleError, match="gone.onnx: not a whole .onnx file"):
        compare_bundles(first, tmp_path / "gone.onnx")


def test_nan_weights_are_a_difference(first, tmp_path):
    broken = tmp_path / "nan.onnx"
    model = onnx.load(first)
    changed(model, "w1", np.nan)
    from bm_sim2real.bundle_diff import _weights

    broken.write_bytes(model.SerializeToString())
    found, largest = _weights(onnx.load(first), model)
    assert found[0].what == "w1" and largest == float("inf")

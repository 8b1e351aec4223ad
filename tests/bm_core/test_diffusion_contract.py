"""A diffusion bundle's contract: what another robot, loop or program has made is refused with the field's name."""

import dataclasses
import json

import pytest
from test_diffusion_sampler import SPEC

from bm_core.contract import Training
from bm_core.diffusion.contract import DecoderSpec, diffusion_contract_from_dict, g1_diffusion_contract
from bm_core.diffusion.guidance.settings import GuidanceSpec
from bm_core.errors import BundleError, ConfigError
from bm_core.g1 import G1

CONTRACT = g1_diffusion_contract(
    SPEC,
    Training(commit="0123abc", motion_set="walk", motion_set_sha256="ff" * 32, steps=7, run="tiny"),
    decoder=DecoderSpec(sha256="ab" * 32),
    precision="fp32",
)
KNEE = G1.joint_index["left_knee_joint"]


def document():
    return json.loads(json.dumps(dataclasses.asdict(CONTRACT)))


def with_knee(field, value):
    """The document with the left knee's number in `field` replaced."""
    changed = document()
    *parts, last = field.split(".")
    place = changed
    for part in parts:
        place = place[part]
    place[last][KNEE] = value
    return changed


def test_what_was_written_is_read_again():
    assert diffusion_contract_from_dict(document(), "here") == CONTRACT


def test_guidance_that_is_younger_than_the_bundle_takes_its_defaults():
    old = document()
    old["guidance"] = {"slew": 0.5}
    assert diffusion_contract_from_dict(old, "here").guidance == GuidanceSpec(slew=0.5)
    del old["guidance"]
    assert diffusion_contract_from_dict(old, "here").guidance == GuidanceSpec()


@pytest.mark.parametrize(
    "changes, words",
    [
        ({"kind": "tracker"}, "kind is 'tracker', 'diffusion' expected"),
        ({"schema_version": 9}, "schema_version is 9"),
        ({"robot": "h1"}, "made for robot 'h1'"),
        ({"control_dt": 0.01}, "control_dt is 0.01 s"),
        ({"precision": "fp8"}, "precision is 'fp8'; known are fp32, fp16, int8"),
        ({"stiffness": [50.0]}, "stiffness has 1 numbers for 29 joints"),
        ({"guidance": 3}, "guidance: an object expected, found a int"),
        ({"guidance": {"slow": 1.0}}, "slow"),
        ({"decoder": None}, "decoder: an object expected"),
    ],
)
def test_what_this_program_cannot_run_is_refused_by_name(changes, words):
    with pytest.raises((BundleError, ConfigError), match=words):
        diffusion_contract_from_dict({**document(), **changes}, "here")


def test_joints_in_another_order_are_refused():
    changed = document()
    changed["action"]["joint_names"].reverse()
    with pytest.raises(BundleError, match="joint_names are not .*'s, in its order"):
        diffusion_contract_from_dict(changed, "here")


@pytest.mark.parametrize(
    "field, value, words",
    [
        ("stiffness", -1.0, "stiffness of left_knee_joint is -1.0, must be positive"),
        ("damping", 0.0, "damping of left_knee_joint is 0.0, must be positive"),
        ("action.scale", -0.5, "action.scale of left_knee_joint is -0.5"),
        ("effort_limit", 200.0, "effort_limit of left_knee_joint is 200.0 N m, the motor's is 139.0"),
        ("action.default_joint_pos", 4.0, "default_joint_pos of left_knee_joint is 4.0 rad, range"),
    ],
)
def test_gains_that_would_drive_a_joint_away_and_limits_beyond_the_motors_are_refused(field, value, words):
    with pytest.raises(BundleError, match=words):
        diffusion_contract_from_dict(with_knee(field, value), "here")

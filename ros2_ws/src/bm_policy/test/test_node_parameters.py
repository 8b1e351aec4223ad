"""Parameters of the policy node: each has a meaning and, where it is a number, a range; what runs cannot be changed."""

import pytest
import rclpy
from bm_g1_bridge.lifecycle import OperatedNode
from bm_policy.parameters import control_config, declare_parameters
from rclpy.parameter import Parameter

from bm_sim2real.operation.config import ControlConfig

OUR_NAMES = (
    *("policy", "motion", "transport", "start", "settle_s"),
    *("stall_allowance", "real_time_factor", "publish_reference"),
)


@pytest.fixture
def node():
    rclpy.init()
    node = OperatedNode("parameters")
    declare_parameters(node)
    yield node
    node.destroy_node()
    rclpy.shutdown()


def test_defaults_are_those_of_the_control_process(node):
    assert control_config(node) == ControlConfig()


def test_every_parameter_is_described(node):
    for name in OUR_NAMES:
        assert node.describe_parameter(name).description.endswith("."), name


def test_times_have_a_range(node):
    (allowed,) = node.describe_parameter("settle_s").floating_point_range
    assert (allowed.from_value, allowed.to_value) == (0.0, 600.0)
    assert not node.set_parameters([Parameter("settle_s", value=601.0)])[0].successful


def test_what_runs_cannot_be_changed(node):
    (result,) = node.set_parameters([Parameter("policy", value="another.onnx")])
    assert not result.successful
    assert node.set_parameters([Parameter("publish_reference", value=False)])[0].successful

"""Parameters that make no sense: the node refuses to configure with one line, and its process ends with code 2."""

import unittest

import launch_testing
from console import PATIENCE_S
from launch_ros.actions import LifecycleNode, Node
from launched import LaunchCase, processes, together

REFUSED = {
    "no_bundle": ({"policy": "/nowhere/tracker.onnx"}, "/nowhere/tracker.onnx"),
    "no_motion": ({"motion": "moonwalk"}, "no motion 'moonwalk'"),
    "no_motion_set": ({"motion_set": "no_such_set"}, "no_such_set"),
    "no_transport": ({"transport": "pigeon"}, "transport = 'pigeon': must be one of mailbox, topic"),
    "own_will": ({"interface": "eth9", "start": "play"}, "a real robot is armed by an operator"),
    "stalled": ({"interface": "eth9", "stall_allowance": 0.5}, "a stall allowance is for the simulated robot"),
    "no_time": ({"settle_s": -1.0}, "settle_s out of range Min: 0.0, Max: 600.0"),
}
"""Name of the policy node -> its parameters, and what it must say."""
BRIDGE = ({"bridge_timeout": 0.5}, "no bridge")
GUIDANCE = {
    "no_text": ({"joy_map": 3}, "joy_map"),
    "no_source": ({"source": "stars"}, "source = 'stars': must be one of joystick, waypoints"),
    "odd_places": ({"waypoints": [1.0, 2.0, 3.0]}, "3 numbers; pairs of x and y expected"),
}


def generate_test_description():
    policies = [_node("bm_policy", "policy", name, parameters) for name, (parameters, _) in REFUSED.items()]
    bridge = _node("bm_g1_bridge", "g1_bridge", "lonely_bridge", BRIDGE[0])
    sources = [
        Node(package="bm_guidance", executable="guidance", name=name, parameters=[parameters], output="screen")
        for name, (parameters, _) in GUIDANCE.items()
    ]
    return together(*policies, bridge, *sources)


def _node(package, executable, name, parameters):
    return LifecycleNode(
        package=package, executable=executable, name=name, namespace="", parameters=[parameters], output="screen"
    )


class Refusals(LaunchCase):
    def test_each_node_says_what_is_wrong_and_ends(self, proc_info, proc_output):
        for _, said in (*REFUSED.values(), BRIDGE, *GUIDANCE.values()):
            proc_output.assertWaitFor(said, timeout=PATIENCE_S, stream="stderr")
        for name in processes(proc_info):
            proc_info.assertWaitForShutdown(name, timeout=PATIENCE_S)


@launch_testing.post_shutdown_test()
class Codes(unittest.TestCase):
    def test_exit_code_says_could_not_run(self, proc_info):
        codes = {name: proc_info[name].returncode for name in processes(proc_info)}
        self.assertEqual(len(codes), len(REFUSED) + 1 + len(GUIDANCE))
        self.assertEqual(set(codes.values()), {2}, codes)

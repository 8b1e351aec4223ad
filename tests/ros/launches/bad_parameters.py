"""Parameters that make no sense: the node refuses to configure with one line, and its process ends with code 2."""

import unittest

import launch_testing
from launch import LaunchDescription
from launch_ros.actions import LifecycleNode
from launch_testing.actions import ReadyToTest

REFUSED = {
    "no_bundle": ({"policy": "/nowhere/tracker.onnx"}, "/nowhere/tracker.onnx"),
    "no_motion": ({"motion": "moonwalk"}, "no motion 'moonwalk'"),
    "no_motion_set": ({"motion_set": "no_such_set"}, "no_such_set"),
    "no_transport": ({"transport": "pigeon"}, "transport = 'pigeon': must be one of mailbox, topic"),
    "no_start": ({"start": "fly"}, "start = 'fly': must be one of manual, stand, play"),
    "own_will": ({"interface": "eth9", "start": "play"}, "a real robot is armed by an operator"),
}
"""Name of the node -> its parameters, and what it must say."""
BRIDGE = ({"bridge_timeout": 0.5}, "no bridge")


def generate_test_description():
    policies = [_node("bm_policy", "policy", name, parameters) for name, (parameters, _) in REFUSED.items()]
    bridge = _node("bm_g1_bridge", "g1_bridge", "lonely_bridge", BRIDGE[0])
    return LaunchDescription([*policies, bridge, ReadyToTest()])


def _node(package, executable, name, parameters):
    return LifecycleNode(
        package=package, executable=executable, name=name, namespace="", parameters=[parameters], output="screen"
    )


class Refusals(unittest.TestCase):
    def test_each_node_says_what_is_wrong_and_ends(self, proc_info, proc_output):
        for _, said in (*REFUSED.values(), BRIDGE):
            proc_output.assertWaitFor(said, timeout=60.0, stream="stderr")
        for name in proc_info.process_names():
            proc_info.assertWaitForShutdown(name, timeout=60.0)


@launch_testing.post_shutdown_test()
class Codes(unittest.TestCase):
    def test_exit_code_says_could_not_run(self, proc_info):
        codes = {name: proc_info[name].returncode for name in proc_info.process_names()}
        self.assertEqual(set(codes.values()), {2}, codes)

"""The default: the simulated robot stands up and walks by itself."""

import unittest
from itertools import pairwise

import launch_testing
from bm_msgs.msg import JointCommand, PolicyVector
from console import LATCHED
from diagnostic_msgs.msg import DiagnosticArray
from launched import RobotCase, events, tracking
from nav_msgs.msg import Odometry
from sensor_msgs.msg import JointState
from std_msgs.msg import String
from tf2_msgs.msg import TFMessage

from bm_core.g1 import G1
from bm_core.urdf import BASE_FRAME


def generate_test_description():
    return tracking()


class RobotWalks(RobotCase):
    def test_1_stands_then_tracks_the_walk(self):
        self.console.until_mode("stand", "running")
        self.console.until_mode("running")
        self.console.until(lambda: self.console.status.progress > 0.1, "progress of the motion")
        status = self.console.status
        self.assertTrue(status.is_armed and status.is_playing)
        self.assertEqual(status.motion, "walk_loop")
        self.assertLess(status.tracking_error, 0.15)  # m; a fallen robot is 0.5 m off

    def test_2_robot_moves_in_odometry(self):
        start = self.console.hear(Odometry, "odom").pose.pose.position
        self.console.until(lambda: self.distance(start) > 0.5, "half a metre walked")

    def test_2_lifecycle_nodes_are_active(self):
        for node in ("g1_bridge", "policy"):
            self.assertEqual(self.console.lifecycle_state(node), "active")

    def test_2_joint_states_name_all_joints_in_order(self):
        message = self.console.hear(JointState, "joint_states")
        self.assertEqual(tuple(message.name), G1.joint_names)
        self.assertEqual(len(message.position), 29)

    def test_2_tf_has_the_root_and_the_links(self):
        wanted = {("odom", BASE_FRAME), ("pelvis", "left_hip_pitch_link"), ("waist_roll_link", "torso_link")}
        self.console.collect_until(TFMessage, "/tf", lambda messages: wanted <= frames_of(messages), f"{wanted}")

    def test_2_every_command_answers_a_newer_reading(self):
        commands = self.console.collect(JointCommand, "joint_command", 20)
        numbers = [command.seq for command in commands]
        self.assertEqual(numbers, sorted(set(numbers)))
        self.assertTrue(all(b.state_seq > a.state_seq for a, b in pairwise(commands)))
        self.assertLessEqual({command.mode for command in commands}, {"running", "stand"})

    def test_2_observation_and_action_are_the_networks_own(self):
        self.assertIn('"policy"', self.console.hear(String, "policy/description", LATCHED).data)
        self.assertEqual(len(self.console.hear(PolicyVector, "policy/observation").data), 271)
        self.assertEqual(len(self.console.hear(PolicyVector, "policy/action").data), 29)

    def test_2_diagnostics_of_bridge_and_policy(self):
        wanted = {"bridge: link", "bridge: guard", "bridge: motors", "policy: loop", "policy: operation"}

        def has_all(messages) -> bool:
            return wanted <= {status.name for message in messages for status in message.status}

        messages = self.console.collect_until(DiagnosticArray, "/diagnostics", has_all, f"{wanted}")
        keys = {value.key for message in messages for status in message.status for value in status.values}
        self.assertLessEqual({"state_age_ms", "command_age_p99_ms", "hottest_motor_c", "effort_clamps"}, keys)

    def distance(self, start) -> float:
        now = self.console.hear(Odometry, "odom").pose.pose.position
        return ((now.x - start.x) ** 2 + (now.y - start.y) ** 2) ** 0.5


def frames_of(messages) -> set[tuple[str, str]]:
    return {(t.header.frame_id, t.child_frame_id) for message in messages for t in message.transforms}


@launch_testing.post_shutdown_test()
class AfterCtrlC(unittest.TestCase):
    def test_everything_ends_in_order(self, proc_info):
        launch_testing.asserts.assertExitCodes(proc_info, allowable_exit_codes=[0, -2])

    def test_bridge_has_damped_and_latched_nothing(self):
        self.assertEqual([event["name"] for event in events("fault")], ["shutdown"])
        self.assertEqual(events("mode")[-1]["mode"], "damping")
        self.assertEqual(len(events("end")), 1)

"""replay.launch.py on the bag that the test before it has recorded."""

import unittest

import launch_testing
from bm_msgs.msg import RobotState
from console import SENSOR
from launched import FOLDER, RobotCase, launched
from sensor_msgs.msg import JointState
from tf2_msgs.msg import TFMessage


def generate_test_description():
    return launched("replay", bag=FOLDER / "bag", rviz="false", loop="true")


class BagIsShown(RobotCase):
    def test_joints_readings_and_links_come_again(self):
        self.assertEqual(len(self.console.hear(JointState, "joint_states").name), 29)
        self.assertEqual(len(self.console.hear(RobotState, "robot_state", SENSOR).names), 29)
        wanted = {"base_link", "torso_link"}

        def has_links(messages) -> bool:
            return wanted <= {t.child_frame_id for message in messages for t in message.transforms}

        self.console.collect_until(TFMessage, "/tf", has_links, f"{wanted}")


@launch_testing.post_shutdown_test()
class Afterwards(unittest.TestCase):
    def test_player_ends_in_order(self, proc_info):
        launch_testing.asserts.assertExitCodes(proc_info, allowable_exit_codes=[0, -2])

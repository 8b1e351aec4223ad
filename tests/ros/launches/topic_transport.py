"""Commands by /joint_command instead of shared memory, as from another computer; and who may not send them."""

from bm_msgs.msg import JointCommand
from console import SENSOR
from launched import RobotCase, tracking


def generate_test_description():
    return tracking(transport="topic")


class RobotWalksByTopic(RobotCase):
    def test_1_stands_then_tracks_the_walk(self):
        self.console.until_mode("running")
        self.console.until(lambda: self.console.status.progress > 0.1, "progress of the motion")
        self.assertLess(self.console.status.tracking_error, 0.15)  # m

    def test_2_bridge_obeys_one_lease_only(self):
        leases = {command.lease for command in self.console.collect(JointCommand, "joint_command", 20)}
        self.assertEqual(len(leases), 1)
        self.assertNotEqual(leases, {0})
        self.assertIn("another client", self.console.trigger("g1_bridge/arm").message)
        self.console.until_mode("running")

    def test_3_publisher_with_the_wrong_reliability_is_named(self, proc_output):
        wrong = self.console.node.create_publisher(JointCommand, "joint_command", SENSOR)
        proc_output.assertWaitFor("incompatible QoS", timeout=40.0, stream="stderr")
        self.console.node.destroy_publisher(wrong)
        self.console.until_mode("running")

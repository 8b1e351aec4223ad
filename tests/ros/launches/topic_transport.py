"""Commands by /joint_command instead of shared memory, as from another computer; and who may not send them."""

from bm_msgs.msg import JointCommand
from console import PATIENCE_S, SENSOR
from launched import BRIEF_LIMITS, BRIEF_STALL_S, RobotCase, events, kill, pid_of, tracking


def generate_test_description():
    return tracking(transport="topic", stall_allowance=BRIEF_STALL_S)


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
        console = self.console
        wrong = console.do(lambda: console.node.create_publisher(JointCommand, "joint_command", SENSOR))
        proc_output.assertWaitFor("incompatible QoS", timeout=PATIENCE_S, stream="stderr")
        console.do(lambda: console.node.destroy_publisher(wrong))
        console.until_mode("running")

    def test_4_killed_policy_node_leaves_a_damping_robot(self, proc_info):
        kill(pid_of(proc_info, "policy"))
        self.console.until(lambda: events("fault"), "fault in the event log")
        (fault,) = events("fault")
        self.assertEqual(fault["name"], "silent_policy")
        self.assertLessEqual(fault["command_age_ticks"], BRIEF_LIMITS.silent_ticks)
        self.assertEqual(events("mode")[-1]["mode"], "damping")

"""An Xbox gamepad in simulated time: deadman, start, standby, next motion, lifecycle transitions, emergency stop."""

from bm_msgs.msg import JointCommand
from console import SENSOR
from launched import RobotCase, tracking
from rosgraph_msgs.msg import Clock
from sensor_msgs.msg import Imu, JointState, Joy

A, B, X, LB, VIEW = 0, 1, 2, 4, 6
PAD_X = 6
"""Axis of the direction pad; right is negative."""
RATE = 20.0
"""Of joy_node, which repeats what is held."""
MOTION = "stop_forward04_0"


def generate_test_description():
    return tracking(joystick="xbox", use_sim_time="true", start_paused="true", repeat="false", motion=MOTION)


class OperatorPresses(RobotCase):
    pad: "Pad"

    @classmethod
    def setUpClass(cls):
        super().setUpClass()
        cls.pad = Pad(cls.console)

    def test_1_stands(self):
        self.console.until_mode("stand")

    def test_2_stamps_are_the_simulated_robots_own_time(self):
        for kind, topic in ((Imu, "imu/pelvis"), (JointState, "joint_states"), (JointCommand, "joint_command")):
            stamp = seconds(self.console.hear(kind, topic, SENSOR).header.stamp)
            clock = seconds(self.console.hear(Clock, "/clock", SENSOR).clock)
            self.assertLess(abs(clock - stamp), 30.0, topic)  # the wall clock is decades away
            self.assertLess(clock, 1e6)

    def test_3_without_the_deadman_nothing_starts(self):
        self.pad.press(A)
        self.console.until_steps(50)
        self.assertEqual(self.console.status.mode, "stand")
        self.assertFalse(self.console.status.is_playing)

    def test_4_start_and_standby(self):
        self.pad.press(LB, A)
        self.console.until_mode("running")
        self.pad.press(LB, X)
        self.console.until_mode("stand")

    def test_5_direction_pad_selects(self):
        motions = list(self.console.status.motions)
        after = motions[(motions.index(MOTION) + 1) % len(motions)]
        self.pad.press(LB, right=True)
        self.console.until(lambda: self.console.status.motion == after, f"motion {after}")

    def test_6_released_deadman_brakes_stands_and_stays_until_reset(self):
        self.pad.release()
        self.console.until(lambda: "operator" in self.console.status.held, "the hold")
        self.console.until_mode("stand")
        refused = self.console.set_mode("running")
        self.assertFalse(refused.success)
        self.assertIn("held by operator", refused.message)
        self.pad.press(LB)
        self.console.until_steps(50)
        self.pad.press(LB, VIEW)
        self.console.until(lambda: not self.console.status.held, "the end of the hold")

    def test_7_deactivated_policy_damps_and_begins_anew(self):
        self.assertTrue(self.console.transition("policy", "deactivate"))
        self.console.until(lambda: self.console.robot.mode == "damping", "damping")
        self.assertFalse(self.console.robot.is_armed)
        self.assertEqual(self.console.robot.fault, "")
        self.assertEqual(self.console.lifecycle_state("policy"), "inactive")
        self.assertIn("not active", self.console.trigger("arm").message)
        self.assertTrue(self.console.transition("policy", "cleanup"))
        self.assertIn("not configured", self.console.trigger("arm").message)
        for name in ("configure", "activate"):
            self.assertTrue(self.console.transition("policy", name), name)
        self.assertEqual(self.console.lifecycle_state("policy"), "active")
        self.console.until_steps(10)

    def test_8_red_button_stops_without_the_deadman(self):
        self.pad.press(B)
        self.console.until(lambda: self.console.robot.fault.startswith("estop"), "the latched fault")
        self.assertEqual(self.console.robot.mode, "damping")


class Pad:
    """Says 20 times a second what is held, as joy_node does."""

    def __init__(self, console):
        self._console, self._sent, self._joy = console, 0, console.publisher(Joy, "joy")
        self._held = Joy(axes=[0.0] * 8, buttons=[0] * 11)
        console.every(1.0 / RATE, self._send)

    def press(self, *buttons, right=False):
        """Holds the buttons, the first of them for good, the others until they have been seen."""
        self._console.until(lambda: self._joy.get_subscription_count() > 0, "somebody who listens to the gamepad")
        first = buttons[:1] if buttons[0] == LB else ()
        for held, is_right in ((first, False), (buttons, right), (first, False)):
            self._hold(held, is_right)

    def release(self):
        self._hold((), False)

    def _hold(self, buttons, is_right):
        axes = [0.0] * 8
        axes[PAD_X] = -1.0 if is_right else 0.0
        self._held = Joy(axes=axes, buttons=[int(number in buttons) for number in range(11)])
        wanted = self._sent + 4
        self._console.until(lambda: self._sent >= wanted, "the gamepad's next messages")

    def _send(self):
        self._joy.publish(self._held)
        self._sent += 1


def seconds(stamp) -> float:
    return stamp.sec + 1e-9 * stamp.nanosec

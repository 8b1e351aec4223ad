"""Standing and waiting for an operator: motions by service and by action, cancelling, the emergency stop; recorded."""

from action_msgs.msg import GoalStatus
from launched import FOLDER, RobotCase, tracking

BAG = FOLDER / "bag"
SHORT = "walk"  # 2.6 s


def generate_test_description():
    return tracking(start_paused="true", repeat="false", record="true", bag=BAG)


class OperatorDecides(RobotCase):
    def test_1_stands_and_waits(self):
        self.console.until_mode("stand")
        self.assertFalse(self.console.status.is_playing)
        self.console.until(lambda: list(BAG.glob("*.mcap")), "an mcap file")

    def test_2_selection_by_name_and_by_step(self):
        motions = list(self.console.status.motions)
        self.assertEqual(self.console.select(SHORT).message, SHORT)
        self.assertEqual(self.console.select("+1").message, motions[(motions.index(SHORT) + 1) % len(motions)])
        self.assertEqual(self.console.select("-1").message, SHORT)
        refused = self.console.select("moonwalk")
        self.assertFalse(refused.success)
        self.assertIn("no motion 'moonwalk'", refused.message)
        self.console.until(lambda: self.console.status.motion == SHORT, "the selected motion in the status")

    def test_3_hang_is_refused_while_standing(self):
        refused = self.console.set_mode("hang")
        self.assertFalse(refused.success)
        self.assertIn("only from damping", refused.message)

    def test_4_action_plays_to_the_end(self):
        handle, feedback = self.console.play(SHORT)
        answer = self.console.result(handle)
        self.assertEqual(answer.status, GoalStatus.STATUS_SUCCEEDED, answer.result.message)
        self.assertTrue(answer.result.completed)
        self.assertLess(answer.result.mean_error, 0.15)  # m
        progress = [message.progress for message in feedback]
        self.assertEqual(progress, sorted(progress))
        self.assertGreater(progress[-1], 0.5)
        self.console.until_mode("stand")

    def test_5_cancelling_brakes_and_stands(self):
        handle, feedback = self.console.play("walk_loop")
        self.console.until(lambda: feedback and feedback[-1].progress > 0.15, "the walk well under way")
        cancelling = self.console.do(handle.cancel_goal_async)
        answer = self.console.result(handle)
        self.assertEqual(len(cancelling.result().goals_canceling), 1)
        self.assertEqual(answer.status, GoalStatus.STATUS_CANCELED, answer.result.message)
        self.assertFalse(answer.result.completed)
        self.console.until_mode("stand")

    def test_6_switches_from_one_motion_to_another(self):
        for motion in ("walk_loop", "stop_forward04_0"):
            self.assertTrue(self.console.select(motion).success)
            running = self.console.set_mode("running")
            self.assertTrue(running.success, running.message)
            self.console.until(lambda name=motion: self.plays(name), f"{motion} being played")
            self.console.set_mode("stand")
            self.console.until_mode("stand")

    def test_7_unknown_motion_aborts_the_goal(self):
        handle, _ = self.console.play("moonwalk")
        answer = self.console.result(handle)
        self.assertEqual(answer.status, GoalStatus.STATUS_ABORTED)
        self.assertIn("no motion 'moonwalk'", answer.result.message)

    def test_8_estop_latches_and_streams_damping(self):
        self.assertTrue(self.console.trigger("estop").success)
        self.console.until(lambda: self.console.robot.fault.startswith("estop"), "the latched fault")
        self.console.until(lambda: self.console.status.fault, "the fault in the policy's status")
        self.assertEqual(self.console.robot.mode, "damping")
        for refused in (self.console.trigger("arm"), self.console.set_mode("running")):
            self.assertFalse(refused.success)
            self.assertIn("fault", refused.message)
        self.assert_streams_damping()

    def test_9_reset_forgets_the_fault_and_moves_nothing(self):
        reset = self.console.trigger("reset")
        self.assertTrue(reset.success, reset.message)
        self.console.until(lambda: not self.console.robot.fault and not self.console.status.fault, "no fault")
        self.assertEqual(self.console.status.mode, "damping")

    def plays(self, motion: str) -> bool:
        return self.console.status.is_playing and self.console.status.motion == motion

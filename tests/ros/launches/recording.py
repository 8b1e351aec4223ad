"""A run with record:=true; the test around it replays the bag."""

from launched import FOLDER, RobotCase, tracking

BAG = FOLDER / "bag"


def generate_test_description():
    return tracking(record="true", bag=BAG, start_paused="true", repeat="false")


class RunIsRecorded(RobotCase):
    def test_1_bag_is_begun_before_the_robot_stands(self):
        self.console.until_mode("stand")
        self.console.until(lambda: list(BAG.glob("*.mcap")), "an mcap file")

    def test_2_motion_is_played(self):
        handle, _ = self.console.play("walk")
        self.assertTrue(self.console.result(handle).result.completed)

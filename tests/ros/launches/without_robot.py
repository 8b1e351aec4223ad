"""What needs no robot: display.launch.py of bm_description, and guidance nodes between an operator and goals."""

import xml.etree.ElementTree as ElementTree

from bm_msgs.msg import GuidanceGoal
from console import LATCHED
from geometry_msgs.msg import PoseStamped, TwistStamped
from launch_ros.actions import Node
from launched import RobotCase, included, together
from nav_msgs.msg import Odometry
from std_msgs.msg import String
from tf2_msgs.msg import TFMessage
from visualization_msgs.msg import Marker, MarkerArray

from bm_core.g1 import G1

PLACES = {"source": "waypoints", "waypoints": [2.0, 0.0]}


def generate_test_description():
    model = included("display", package="bm_description", rviz="false", sliders="false")
    sticks = Node(package="bm_guidance", executable="guidance", output="screen")
    places = Node(
        package="bm_guidance", executable="guidance", namespace="places", parameters=[PLACES], output="screen"
    )
    return together(model, sticks, places)


class ModelIsPublished(RobotCase):
    def test_urdf_has_the_joints_of_our_model(self):
        robot = ElementTree.fromstring(self.console.hear(String, "robot_description", LATCHED).data)
        moving = {joint.get("name") for joint in robot.iter("joint") if joint.get("type") == "revolute"}
        self.assertEqual(moving, set(G1.joint_names))

    def test_fixed_links_are_on_tf_static(self):
        frames = {t.child_frame_id for t in self.console.hear(TFMessage, "/tf_static", LATCHED).transforms}
        self.assertLessEqual({"pelvis", "l_sole", "r_sole", "imu_in_pelvis"}, frames)


class GoalsFollowTheOperator(RobotCase):
    """A robot that stands at the origin, as far as /odom says."""

    @classmethod
    def setUpClass(cls):
        super().setUpClass()
        cls.has_odometry = True
        for prefix in ("", "places/"):
            cls.console.every(0.02, lambda prefix=prefix: cls.say_where(prefix))

    @classmethod
    def say_where(cls, prefix):
        if cls.has_odometry:
            message = Odometry()
            message.header.stamp = cls.console.node.get_clock().now().to_msg()
            message.pose.pose.orientation.w = 1.0
            cls.console.publisher(Odometry, f"{prefix}odom").publish(message)

    def test_1_cmd_vel_becomes_a_velocity(self):
        wish = TwistStamped()
        wish.twist.linear.x, wish.twist.angular.z = 0.3, -0.2
        self.console.repeat("cmd_vel", wish, rate=20.0)
        self.console.until(lambda: self.goal().linear.x > 0.29, "the velocity asked for")
        goal = self.goal()
        self.assertTrue(goal.has_velocity and not goal.has_waypoint)
        self.assertAlmostEqual(goal.linear.x, 0.3, places=3)
        self.assertAlmostEqual(goal.yaw_rate, -0.2, places=3)

    def test_2_pillars_come_along(self):
        pillar = Marker(type=Marker.CYLINDER)
        pillar.pose.position.x, pillar.scale.x, pillar.scale.y = 1.5, 0.4, 0.4
        self.console.repeat("obstacles", MarkerArray(markers=[pillar]), rate=5.0)
        self.console.until(lambda: self.goal().pillars, "a pillar in the goal")
        (found,) = self.goal().pillars
        self.assertAlmostEqual(found.x, 1.5)
        self.assertAlmostEqual(found.z, 0.2)

    def test_3_waypoints_of_the_launch_and_of_rviz(self):
        goal = self.goal("places/")
        self.assertTrue(goal.has_waypoint and not goal.has_velocity)
        self.assertEqual((goal.waypoint.x, goal.waypoint.y), (2.0, 0.0))
        clicked = PoseStamped()
        clicked.pose.position.x, clicked.pose.position.y, clicked.pose.orientation.w = -1.0, 3.0, 1.0
        self.console.repeat("places/goal_pose", clicked, rate=5.0)
        self.console.until(lambda: self.goal("places/").waypoint.y == 3.0, "the clicked place")
        shown = self.console.hear(MarkerArray, "places/guidance_markers").markers
        self.assertIn((-1.0, 3.0), [(marker.pose.position.x, marker.pose.position.y) for marker in shown])

    def test_4_without_odometry_it_falls_silent(self):
        type(self).has_odometry = False
        self.console.until_silent(GuidanceGoal, "guidance_goal")

    def goal(self, prefix="") -> GuidanceGoal:
        return self.console.hear(GuidanceGoal, f"{prefix}guidance_goal")

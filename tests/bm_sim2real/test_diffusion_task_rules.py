"""The tasks' rules on made-up tracks: what counts as following, reaching, touching."""

import numpy as np
import pytest

from bm_core.diffusion.guidance.obstacle import BODY_RADII
from bm_core.g1 import TARGET_BODIES
from bm_sim2real.diffusion_tasks.lanes import Lane, LaneConfig, judge_lane, random_lane
from bm_sim2real.diffusion_tasks.track import Track
from bm_sim2real.diffusion_tasks.velocity_rules import (
    BOX,
    JOYSTICK,
    SEGMENT_S,
    FollowRule,
    judge_segments,
    random_commands,
)
from bm_sim2real.diffusion_tasks.waypoint_rules import judge_waypoints, random_places

DT = 0.02


def track_of(velocity, seconds, body_offset=None, yaw=0.0):
    """A pelvis that starts at the origin with world velocity(t); bodies all at the pelvis unless offset."""
    times = DT * np.arange(round(seconds / DT) + 1)
    world = np.array([velocity(t) for t in times], dtype=float)
    pos = np.concatenate([np.zeros((1, 2)), np.cumsum(DT * world[:-1, :2], axis=0)])
    bodies = np.repeat(np.pad(pos, ((0, 0), (0, 1)))[:, None], 14, axis=1)
    return Track(times=times, pos_xy=pos, yaw=np.full(len(times), yaw), velocity=world, body_pos_w=bodies)


SEGMENTS = [(SEGMENT_S, command) for _, command in JOYSTICK]


def perfect(t):
    return JOYSTICK[min(int(t / SEGMENT_S), 3)][1]


def test_a_robot_that_lags_by_half_a_second_follows():
    results = judge_segments(track_of(lambda t: perfect(max(0.0, t - 0.5)), 12.0), SEGMENTS, 0.0)
    assert [result.follows for result in results] == [True] * 4
    assert results[0].velocity_error == pytest.approx(0.0, abs=1e-9)


@pytest.mark.parametrize(
    "wrong, expected",
    [
        (lambda t: (0.0, 0.0, 0.0), [False] * 4),
        # 0.6 - 30 % = 0.42: 0.43 follows, 0.41 does not; backward 0.4 may be off by 0.15.
        (lambda t: tuple(np.array(perfect(t)) * 0.72), [True, True, True, True]),
        (lambda t: tuple(np.array(perfect(t)) * 0.68), [False, True, True, True]),
        (lambda t: tuple(np.array(perfect(t)) * 0.6), [False, False, False, False]),
        (lambda t: tuple(np.array(perfect(t)) + [0.0, 0.16, 0.0]), [False] * 4),
        (lambda t: tuple(np.array(perfect(t)) + [0.0, 0.14, 0.19]), [True] * 4),
    ],
)
def test_following_is_judged_on_every_axis(wrong, expected):
    assert [r.follows for r in judge_segments(track_of(wrong, 12.0), SEGMENTS, 0.0)] == expected


def test_only_the_last_two_seconds_of_a_segment_count_and_the_gait_may_sway():
    def late(t):
        sway = 0.4 * np.sin(2 * np.pi * t)
        return (0.0 if t % SEGMENT_S < 0.98 else perfect(t)[0], sway, perfect(t)[2])

    assert [r.follows for r in judge_segments(track_of(late, 12.0), SEGMENTS, 0.0)] == [True] * 4


def test_a_segment_that_was_cut_short_is_not_followed():
    results = judge_segments(track_of(perfect, 5.0), SEGMENTS, 0.0)
    assert [result.follows for result in results] == [True, False, False, False]
    assert np.isnan(results[2].mean[0])


def test_velocity_error_is_a_fraction_of_the_command():
    slow = judge_segments(track_of(lambda t: (0.54, 0.0, 0.0), 3.0), SEGMENTS[:1], 0.0, FollowRule())[0]
    assert slow.velocity_error == pytest.approx(0.1)


def test_random_commands_fill_the_ellipsoid():
    commands = np.array(random_commands(4000, 3))
    scaled = (commands - BOX.mean(axis=1)) / (0.5 * (BOX[:, 1] - BOX[:, 0]))
    radius = np.linalg.norm(scaled, axis=1)
    assert radius.max() <= 1.002 and (radius < 0.7937).mean() == pytest.approx(0.5, abs=0.03)
    assert random_commands(20, 0) == random_commands(20, 0) != random_commands(20, 1)


def walk_and_stop(places, speed=0.6, stop_s=2.0):
    """World velocity of a robot that walks straight from place to place and stands at each; and when it starts."""
    legs, starts, t, last = [], [], 0.0, np.zeros(2)
    for place in places:
        way = np.array(place) - last
        seconds = np.linalg.norm(way) / speed
        legs.append((t, t + seconds, speed * way / np.linalg.norm(way)))
        starts.append(t)
        t, last = t + seconds + stop_s, np.array(place)

    def velocity(now):
        for begin, end, v in legs:
            if begin <= now < end:
                return (*v, 0.0)
        return (0.0, 0.0, 0.0)

    return velocity, starts, t


PLACES = [(2.0, 0.0), (2.0, 2.0), (-1.0, 2.0), (0.0, 0.0)]


def test_waypoints_are_reached_by_walking_there_and_stopping():
    velocity, starts, end = walk_and_stop(PLACES)
    results = judge_waypoints(track_of(velocity, end), PLACES, starts, end)
    assert [result.reached for result in results] == [True] * 4
    assert results[0].path_m == pytest.approx(2.0, abs=0.02) and results[0].straight_m == pytest.approx(2.0)
    # 2 m at 0.6 m/s, then one second of rest.
    assert results[0].seconds == pytest.approx(2.0 / 0.6 + 1.0, abs=0.05)


def test_walking_past_a_waypoint_is_not_reaching_it():
    velocity, starts, end = walk_and_stop(PLACES, stop_s=0.9)
    results = judge_waypoints(track_of(velocity, end), PLACES, starts, end)
    assert [result.reached for result in results] == [False] * 4
    assert results[0].nearest_m < 0.05


def test_stopping_beside_a_waypoint_is_not_reaching_it():
    velocity, starts, end = walk_and_stop([(2.0, 0.0)])
    assert not judge_waypoints(track_of(velocity, end), [(2.31, 0.0)], starts, end)[0].reached
    assert judge_waypoints(track_of(velocity, end), [(2.29, 0.0)], starts, end)[0].reached


def test_waypoints_that_never_became_the_goal_are_not_reached():
    velocity, starts, end = walk_and_stop(PLACES)
    results = judge_waypoints(track_of(velocity, end), PLACES, starts[:2], end)
    assert [result.reached for result in results] == [True, True, False, False]


def test_places_are_random_within_reach_and_not_on_top_of_each_other():
    for seed in range(50):
        places = np.array([(0.0, 0.0), *random_places(seed)])
        assert len(places) == 5 and np.linalg.norm(places, axis=1).max() <= 4.0
        assert np.linalg.norm(np.diff(places, axis=0), axis=1).min() >= 0.99
    assert random_places(3) == random_places(3) != random_places(4)


def test_every_lane_has_a_pillar_on_the_line_and_gaps_to_walk_through():
    for seed in range(100):
        lane = random_lane(seed)
        assert len(lane.centers) == 3 and np.abs(lane.centers[:, 1]).min() <= 0.2
        assert (np.abs(lane.centers[:, 1]) <= 1.3).all() and (lane.centers[:, 0] >= 1.2).all()
        assert (lane.centers[:, 0] <= 3.8).all()
        apart = [np.linalg.norm(lane.centers[i] - lane.centers[j]) for i, j in ((0, 1), (0, 2), (1, 2))]
        assert min(apart) - 0.4 >= 0.999
    assert np.array_equal(random_lane(5).centers, random_lane(5).centers)
    assert not np.array_equal(random_lane(5).centers, random_lane(6).centers)


def straight(t):
    return (0.5, 0.0, 0.0)


def test_walking_straight_touches_in_every_lane():
    for seed in range(20):
        result = judge_lane(track_of(straight, 12.0), random_lane(seed))
        assert result.reached and result.touched and not result.success


FREE = Lane(centers=np.array([[2.0, 1.0], [3.0, -1.0], [2.5, -0.9]]))


def test_passing_with_room_succeeds_and_reports_the_clearance():
    result = judge_lane(track_of(straight, 12.0), FREE)
    assert result.success and result.seconds == pytest.approx(9.0, abs=0.05)
    assert result.path_m == pytest.approx(4.5, abs=0.05)
    # All bodies run along the line here: 0.9 m to the nearest centre, less pillar and the largest body radius.
    assert result.clearance_m == pytest.approx(0.9 - 0.2 - max(BODY_RADII), abs=0.01)


def test_a_hand_that_touches_is_a_touch():
    track = track_of(straight, 12.0)
    hand = TARGET_BODIES.index("right_wrist_yaw_link")
    track.body_pos_w[:, hand, 1] -= 0.6
    result = judge_lane(track, FREE)
    assert result.reached and result.touched
    assert result.clearance_m == pytest.approx(0.3 - 0.2 - BODY_RADII[hand], abs=0.01)


def test_what_happens_after_the_goal_or_after_the_time_does_not_count():
    behind = Lane(centers=np.array([[5.5, 0.0], [3.0, -1.4], [2.0, 1.4]]))
    assert judge_lane(track_of(straight, 20.0), behind).success
    late = judge_lane(track_of(lambda t: (0.1, 0.0, 0.0), 50.0), FREE)
    assert not late.reached and not late.touched and late.nearest_m == pytest.approx(2.0, abs=0.02)


def test_moving_pillars_go_back_and_forth_between_the_lanes_borders():
    lane = Lane(centers=np.array([[2.0, 1.0]]), config=LaneConfig(pillars=1, speed=0.5))
    for time, y, velocity in ((0.0, 1.0, 0.5), (1.0, 1.5, -0.5), (2.0, 1.0, -0.5), (7.0, -1.5, 0.5), (8.0, -1.0, 0.5)):
        centers, velocities = lane.centers_at(time)
        assert centers[0].tolist() == pytest.approx([2.0, y])
        if abs(y) < 1.5:
            assert velocities[0].tolist() == pytest.approx([0.0, velocity])
    (obstacle,) = lane.obstacles_at(2.0)
    assert obstacle.velocity == (0.0, -0.5) and obstacle.shape.center == pytest.approx((2.0, 1.0))
    still = track_of(lambda t: (0.5 if t < 4.0 else 0.0, 0.0, 0.0), 10.0)
    assert judge_lane(still, lane).touched

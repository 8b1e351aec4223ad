"""Maps and the page of bm eval diffusion --report."""

import re
from xml.etree import ElementTree

import numpy as np
import pytest

from bm_core.diffusion.guidance.goal import GuidanceGoal
from bm_core.diffusion.guidance.obstacle import Obstacle
from bm_core.diffusion.guidance.shapes import Box, Capsule, Pillar, Sphere, Wall
from bm_sim2real.diffusion_tasks.recording import RunRecording
from bm_sim2real.diffusion_tasks.task_report import ShownRun, TaskReport, task_report_html
from bm_sim2real.diffusion_tasks.tasks import LaneTask
from bm_sim2real.diffusion_tasks.write_report import chosen_seeds
from bm_sim2real.guidance.planar_state import PlanarState
from bm_sim2real.markers import Solid, goal_markers, obstacle_markers
from bm_sim2real.planning.episode import EpisodeResult
from bm_sim2real.plots_map import MapGoal, MapPicture, map_svg

SHAPES = {
    "pillar": (Pillar(center=(1.0, 2.0), radius=0.2), Solid.CYLINDER),
    "sphere": (Sphere(center=(1.0, 2.0, 0.5), radius=0.2), Solid.SPHERE),
    "capsule": (Capsule(start=(0.0, 0.0, 0.5), end=(1.0, 0.0, 0.5), radius=0.2), Solid.SPHERE),
    "box": (Box(center=(1.0, 2.0, 0.5), half_size=(0.1, 0.2, 0.5), yaw=0.3), Solid.BOX),
    "wall": (Wall(point=(2.0, 0.0), normal=(-1.0, 0.0)), Solid.BOX),
}


def circles(svg, style):
    root = ElementTree.fromstring(svg)
    return [
        tuple(float(c.get(key)) for key in ("cx", "cy", "r")) for c in root.iter("circle") if c.get("class") == style
    ]


def picture(**values):
    path = np.stack([np.linspace(0, 3, 200), np.zeros(200)], axis=1)
    return MapPicture(path=path, yaw=np.zeros(200), **values)


def test_a_map_shows_everything_to_scale_with_y_upwards():
    goals = [MapGoal(place=(3.0, 1.0), radius=0.3, label="1"), MapGoal(place=(1.0, -1.0), radius=0.3, reached=False)]
    svg = map_svg(picture(pillars=[(2.0, 0.5, 0.2)], goals=goals, plans=[np.array([[0.0, 0.0], [0.5, 0.2]])]))
    assert circles(svg, "pillar") == [(2.0, -0.5, 0.2)]
    assert circles(svg, "goal") == [(3.0, -1.0, 0.3)] and circles(svg, "goal missed") == [(1.0, 1.0, 0.3)]
    left, top, width, height = map(float, re.search(r'viewBox="([^"]+)"', svg).group(1).split())
    assert left < 0.0 and left + width > 3.3 and top < -1.3 and top + height > 1.3
    assert svg.count('class="plan"') == 1


def test_labels_are_escaped():
    assert "<b>" not in map_svg(picture(goals=[MapGoal(place=(0.0, 0.0), radius=0.3, label="<b>")]))


@pytest.mark.parametrize("name", SHAPES)
def test_every_shape_is_drawn_where_it_is(name):
    shape, solid = SHAPES[name]
    markers = obstacle_markers(Obstacle(shape=shape))
    assert {marker.solid for marker in markers} == {solid}
    for marker in markers:
        distance, _ = shape.distance(np.array([marker.center], dtype=float))
        assert distance[0] < 0.0


def test_a_goal_shows_waypoint_obstacles_and_plan():
    goal = GuidanceGoal(waypoint=(1.0, 2.0), obstacles=(Obstacle(shape=SHAPES["pillar"][0]),))
    assert len(goal_markers(goal, np.zeros((16, 2)))) == 18
    assert len(goal_markers(goal, with_obstacles=False)) == 1


def result(seed, success):
    return EpisodeResult(
        seed=seed, success=success, fell=False, head_fell=False, detail="" if success else "touched <a pillar>",
        seconds=9.0, path_m=5.0, net_m=5.0, plans=10, plan_losses=0, plan_ms=(20.0,),
        values={"clearance_m": 0.1, "centers": []},
    )  # fmt: skip


def test_failures_are_shown_first_and_successes_fill_up():
    results = [result(seed, seed not in (3, 4, 7)) for seed in range(10)]
    assert chosen_seeds(results, 4) == [0, 1, 3, 4]
    assert chosen_seeds([result(seed, False) for seed in range(3)], 4) == [0, 1, 2]
    assert chosen_seeds([result(seed, True) for seed in range(9)], 2) == [0, 1]


def test_the_page_holds_runs_map_and_velocities_and_needs_no_network():
    pytest.importorskip("onnxruntime")
    pytest.importorskip("onnx")
    from tiny_planner import tiny_policy

    task = LaneTask(3, tiny_policy().contract)
    task.states = [
        PlanarState(time=0.02 * k, pos_xy=np.array([0.01 * k, 0.0]), yaw=0.0, velocity=np.array([0.5, 0.0, 0.0]))
        for k in range(100)
    ]
    task._bodies = [np.zeros((14, 3))] * 100
    recording = RunRecording(task=task, result=result(3, False), commands=[(0.6, 0.0, 0.0)] * 100)
    summary = {
        "successes": 1, "runs": 2, "success_rate": 0.5, "success_interval": (0.1, 0.9), "falls": 0, "path_m": 5.0,
        "velocity_error": None, "plan_ms": {"p50": 20.0, "p99": 30.0}, "latency_ms": 40,
    }  # fmt: skip
    report = TaskReport(
        task="obstacle", summary=summary, results=[result(0, True), result(3, False)], facts=[("Policy", "<x>")],
        shown=[ShownRun(recording=recording, video=None)], passed=False, made="today",
    )  # fmt: skip
    page = task_report_html(report)
    assert "touched &lt;a pillar&gt;" in page and "<a pillar>" not in page and "&lt;x&gt;" in page
    assert page.count('class="map"') == 1 and len(re.findall('class="pillar"', page)) == 3
    assert "clearance_m" in page and "centers" not in page
    assert not re.search(r"https?://", page)

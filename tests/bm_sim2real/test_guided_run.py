"""Goals from outside: whose silence counts, and from when on."""

import pytest

pytest.importorskip("onnxruntime")

from tiny_planner import tiny_policy  # noqa: E402

from bm_core.diffusion.guidance.goal import GuidanceGoal  # noqa: E402
from bm_sim2real.guard import CommandGuard  # noqa: E402
from bm_sim2real.holds import Hold  # noqa: E402
from bm_sim2real.loop import ControlLoop  # noqa: E402
from bm_sim2real.modes import Mode  # noqa: E402
from bm_sim2real.operation.guided_run import GuidedRun  # noqa: E402
from bm_sim2real.planning.machine import GuidedMachine  # noqa: E402
from bm_sim2real.policies.tracker import TrackerPolicy  # noqa: E402
from bm_sim2real.robots.mujoco import MujocoRobot  # noqa: E402
from bm_sim2real.robots.protocol import BaseState  # noqa: E402
from bm_sim2real.robots.simulation_config import SimulationConfig  # noqa: E402

AHEAD = GuidanceGoal(velocity=(0.3, 0.0, 0.0))
SILENT = 30
"""Control steps: more than the 0.5 s that a source may be silent."""


class Stage:
    def __init__(self, balancer):
        self.robot = MujocoRobot(SimulationConfig(base_state=BaseState.GROUND_TRUTH))
        self.robot.connect()
        tracker = TrackerPolicy(balancer.contract, balancer.network)
        self.machine = GuidedMachine(tiny_policy(), tracker, balancer.stand, self.robot.features)
        self.guided = GuidedRun(self.machine)
        self.loop = ControlLoop(self.robot, self.machine, CommandGuard(start_mode=Mode.STAND))

    def run(self, steps):
        for _ in range(steps):
            self.loop.step()
            self.guided.step(self.robot.read())

    def stand(self):
        self.machine.start_standing(self.robot.read())
        self.run(10)


@pytest.fixture
def stage(balancer):
    return Stage(balancer)


def test_silence_holds_a_robot_that_stands(stage):
    stage.stand()
    stage.guided.wish(AHEAD)
    stage.run(SILENT)
    assert stage.machine.held is Hold.GUIDANCE


def test_silence_that_began_on_the_rope_holds_nothing(stage):
    """Hanging, the estimate of the base ends, with it odometry, and with that the goals."""
    stage.robot.hang()
    stage.machine.hang(stage.robot.read())
    stage.guided.wish(AHEAD)
    stage.run(SILENT)
    assert stage.machine.mode is Mode.HANG and not stage.machine.held


def test_what_was_wished_on_the_rope_is_not_done_on_the_floor(stage):
    stage.guided.is_on = True
    stage.guided.wish(AHEAD)
    stage.run(1)
    stage.stand()
    stage.run(SILENT)
    assert stage.machine.mode is Mode.STAND and not stage.machine.is_guided and not stage.machine.is_starting


def test_after_a_fault_the_robot_can_be_stood_up_though_guidance_is_silent(stage):
    stage.stand()
    stage.guided.wish(AHEAD)
    stage.machine.estop("pressed")
    stage.run(SILENT)
    stage.machine.reset()
    stage.run(SILENT)
    assert not stage.machine.held
    stage.machine.hang(stage.robot.read())
    assert stage.machine.mode is Mode.HANG


def test_goals_that_come_again_count_again(stage):
    stage.robot.hang()
    stage.guided.wish(AHEAD)
    stage.run(SILENT)
    stage.robot.release()
    stage.stand()
    assert not stage.machine.held
    stage.guided.wish(AHEAD)
    stage.run(SILENT)
    assert stage.machine.held is Hold.GUIDANCE

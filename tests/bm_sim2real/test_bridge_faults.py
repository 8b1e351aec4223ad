"""Every fault of the table, in one process and over DDS: right answer, in time, nothing wild on the way."""

import json
import os
import signal
import tempfile

import pytest
import unitree_wire  # noqa: F401  the DDS extra, and a tag of our own

import bm_sim2real.guard
from bm_core.errors import ConfigError
from bm_sim2real.bridge.shared_memory import memory_path
from bm_sim2real.commands.faults import Faults
from bm_sim2real.fault_injection.controlled_ends import controlled_ends
from bm_sim2real.fault_injection.drivers import HoldPose
from bm_sim2real.fault_injection.report import fault_report
from bm_sim2real.fault_injection.rig import Rig
from bm_sim2real.fault_injection.scenarios import LINK_SCENARIOS
from bm_sim2real.fault_injection.suite import TRANSPORTS, fault_row, run_scenario, summarize_faults
from bm_sim2real.fault_injection.walking_scenarios import SCENARIOS, WALKING_SCENARIOS
from bm_sim2real.process_signals import Terminated, signals_raise
from bm_sim2real.robots.unitree.mock_link import MockNetwork

ROWS = [(s, t) for s in LINK_SCENARIOS for t in TRANSPORTS]
BY_NAME = {scenario.name: scenario for scenario in SCENARIOS}


@pytest.mark.parametrize("scenario, transport", ROWS, ids=[f"{s.name}, {t}" for s, t in ROWS])
def test_fault_is_answered_as_designed(scenario, transport):
    result = run_scenario(scenario, transport)
    assert result.passed, result


@pytest.mark.slow
@pytest.mark.parametrize("scenario", WALKING_SCENARIOS, ids=[scenario.name for scenario in WALKING_SCENARIOS])
def test_fault_of_a_walking_robot_is_answered_as_designed(scenario):
    result = run_scenario(scenario, "in-process")
    assert result.passed, result


@pytest.mark.parametrize("name", ["walking, operator lost", "walking, legs exchanged"])
def test_a_walking_robot_is_braked_or_damped_over_dds(name):
    result = run_scenario(BY_NAME[name], "dds")
    assert result.passed, result


def test_there_are_at_least_thirty_faults_each_on_both_transports():
    assert len(BY_NAME) == len(SCENARIOS) >= 30
    assert sorted(TRANSPORTS) == ["dds", "in-process"]


@pytest.mark.parametrize("transport", TRANSPORTS)
@pytest.mark.parametrize("name", ["policy silent", "robot silent", "speed too low", "IMU quaternion zero"])
def test_a_guard_without_rules_fails_the_suite(monkeypatch, name, transport):
    monkeypatch.setattr(bm_sim2real.guard, "RULES", ())
    assert not run_scenario(BY_NAME[name], transport).passed


def test_a_guard_that_is_too_eager_fails_the_suite(monkeypatch):
    def nervous(view, limits):
        return (
            bm_sim2real.guard.Fault("nerves", bm_sim2real.guard.Reaction.DAMPING, view.tick, "")
            if view.tick > 150
            else None
        )

    monkeypatch.setattr(bm_sim2real.guard, "RULES", (nervous,))
    assert not run_scenario(BY_NAME["30 % lost"], "in-process").passed


def test_a_scenario_is_the_same_each_time():
    assert run_scenario(BY_NAME["50 % lost"], "dds", seed=3) == run_scenario(BY_NAME["50 % lost"], "dds", seed=3)


def test_summary_counts_rows_and_the_slowest_reaction():
    names = ("emergency stop in running", "robot silent", "10 % lost")
    results = [run_scenario(BY_NAME[name], "in-process") for name in names]
    summary = summarize_faults(results)
    assert (summary["faults"], summary["passed"], summary["transports"]) == (3, 3, ["in-process"])
    assert (summary["worst_reaction_ticks"], summary["worst_reaction_ms"]) == (26, 52)


def test_a_dead_writer_is_damped_by_the_guardian_on_the_wire():
    rig = Rig(HoldPose(), MockNetwork(), seed=0)
    try:
        for _ in range(30):
            rig.tick()
        assert rig.robot.wire.command.kp.min() > 0.0
        rig.is_writer_alive = False
        for tick in range(1, 12):
            rig.tick()
            assert rig.robot.wire.command.kp.any() == (tick < 10)
        assert rig.robot.wire.command.kd.tolist() == [8.0] * 15 + [3.0] * 14
    finally:
        rig.close()


@pytest.mark.parametrize(
    "number, what", [(signal.SIGINT, KeyboardInterrupt), (signal.SIGTERM, Terminated)], ids=["SIGINT", "SIGTERM"]
)
@pytest.mark.parametrize("moment", ["built", "closed"])
def test_a_rig_that_is_stopped_while_it_is_built_or_closed_leaves_nothing(number, what, moment, monkeypatch, tmp_path):
    class Interrupted(HoldPose):
        def place(self, body):
            super().place(body)
            if moment == "built":
                signal.raise_signal(number)

    rmdir = os.rmdir

    def interrupted(*arguments, **options):
        if moment == "closed":
            signal.raise_signal(number)
        rmdir(*arguments, **options)

    monkeypatch.setattr(tempfile, "tempdir", str(tmp_path))
    monkeypatch.setattr(os, "rmdir", interrupted)
    with signals_raise(), pytest.raises(what):
        rig = Rig(Interrupted(), MockNetwork(), seed=0)
        rig.tick()
        assert list(tmp_path.iterdir()) and memory_path("lo").exists()
        rig.close()
    monkeypatch.undo()
    assert (list(tmp_path.iterdir()), memory_path("lo").exists()) == ([], False)


def test_controlled_ends_come_at_different_moments_and_for_every_cause():
    ends = controlled_ends(20, seed=0)
    assert len({end.name for end in ends}) == 20 and ends[0].name == controlled_ends(20, seed=0)[0].name
    assert len({end.driver().warm_up for end in ends}) >= 18
    assert [end.hold for end in ends[:3]] == ["planner", "guidance", "operator"]


@pytest.mark.slow
@pytest.mark.parametrize("end", controlled_ends(3, seed=1), ids=lambda end: end.hold)
def test_a_controlled_end_leaves_the_robot_standing(end):
    result = run_scenario(end, "in-process")
    assert result.passed, result


def test_the_report_has_every_row_and_names_what_failed():
    results = [run_scenario(BY_NAME[name], "in-process") for name in ("target NaN", "10 % lost")]
    rows = [fault_row(result) for result in results]
    rows.append({**rows[0], "fault": "controlled end 1: planner lost at 2.00 s", "passed": False})
    struck = [
        {
            "fault": "client kill -9", "transport": "processes", "expected": "silent_policy", "found": "silent_policy",
            "reaction_ticks": 30, "reaction_ms": 61.4, "allowed_ticks": 30, "passed": True,
        }
    ]  # fmt: skip
    text = fault_report(rows, struck, summarize_faults(results), [90, 0, 0, 0, 5, 4, 0, 0, 1, 0])
    assert "| target NaN | in-process | refused_command | 11 | 21 |" in text
    assert "0 of 1 end standing" in text and "**FAILED**, expected refused_command" in text
    assert "| client kill -9 | silent_policy | 30 | 30 | 61 |  |" in text
    assert "of 100 ticks of a bare 500 Hz loop beside, 10 came more than 2 ms late, 1 more than 50 ms" in text


def test_command_writes_its_document(tmp_path, monkeypatch):
    monkeypatch.setenv("BM_DDS_TAG", unitree_wire.os.environ["BM_DDS_TAG"])  # the command sets another; put it back
    path, report = tmp_path / "faults.json", tmp_path / "faults.md"
    assert Faults(only="target NaN", transport="in-process", json=path, report=report)() == 0
    assert "1 of 1 rows as they must be" in report.read_text()
    document = json.loads(path.read_text())
    assert document["command"] == "faults" and document["passed"]
    assert document["rows"][0]["found"] == "refused_command"
    with pytest.raises(ConfigError, match="no such fault; known: policy silent"):
        Faults(only="no such thing")()

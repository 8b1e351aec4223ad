"""Every fault of the table, in one process and over DDS: right answer, in time, nothing wild on the way."""

import json

import pytest
import unitree_wire  # noqa: F401  the DDS extra, and a tag of our own

import bm_sim2real.guard
from bm_core.errors import ConfigError
from bm_sim2real.commands.faults import Faults
from bm_sim2real.fault_injection.scenarios import LINK_SCENARIOS
from bm_sim2real.fault_injection.suite import TRANSPORTS, run_scenario, summarize_faults
from bm_sim2real.fault_injection.walking_scenarios import SCENARIOS, WALKING_SCENARIOS

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


def test_command_writes_its_document(tmp_path, monkeypatch):
    monkeypatch.setenv("BM_DDS_TAG", unitree_wire.os.environ["BM_DDS_TAG"])  # the command sets another; put it back
    path = tmp_path / "faults.json"
    assert Faults(only="target NaN", transport="in-process", json=path)() == 0
    document = json.loads(path.read_text())
    assert document["command"] == "faults" and document["passed"]
    assert document["rows"][0]["found"] == "refused_command"
    with pytest.raises(ConfigError, match="no such fault; known: policy silent"):
        Faults(only="no such thing")()

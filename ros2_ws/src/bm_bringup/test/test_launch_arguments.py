"""Launch arguments: each is a line of the manual, and what contradicts itself is refused before anything starts."""

import importlib.util
from pathlib import Path

import pytest
from bm_bringup.settings import ArgumentError, Settings

LAUNCH = Path(__file__).parents[1] / "launch"
SIMULATION = {
    "backend": "sim",
    "network_interface": "",
    "use_sim_time": "false",
    "stall_allowance": "",
    "real_time_factor": "1.0",
    "rviz": "false",
    "headless": "false",
    "foxglove": "false",
    "record": "false",
    "ghost": "auto",
}


def settings(**changes):
    return Settings(read=lambda name: {**SIMULATION, **changes}[name])


@pytest.mark.parametrize("path", sorted(LAUNCH.glob("*.launch.py")), ids=lambda path: path.name)
def test_every_argument_has_a_sentence_and_only_the_bag_has_no_default(path):
    spec = importlib.util.spec_from_file_location(path.stem, path)
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    arguments = module.generate_launch_description().get_launch_arguments()
    assert len(arguments) >= 5
    assert all(". " in f"{argument.description} " for argument in arguments)
    assert [argument.name for argument in arguments if argument.default_value is None] in ([], ["bag"])


def test_the_simulated_robot_is_on_loopback_whatever_the_interface_says():
    assert settings(network_interface="eth0").interface == "lo"
    assert settings(backend="hardware", network_interface="eth0").interface == "eth0"


@pytest.mark.parametrize(
    "changes, has_ghost",
    [
        ({}, False),
        ({"rviz": "true"}, True),
        ({"rviz": "true", "headless": "true"}, False),
        ({"record": "true"}, True),
        ({"record": "true", "ghost": "false"}, False),
        ({"ghost": "true"}, True),
    ],
)
def test_the_reference_is_published_where_something_shows_it(changes, has_ghost):
    assert settings(**changes).has_ghost is has_ghost


def test_only_a_simulated_robot_has_a_stall_allowance():
    assert settings().stall_allowance == 0.2
    assert settings(stall_allowance="0").stall_allowance == 0.0
    assert settings(backend="hardware", network_interface="eth0").stall_allowance == 0.0


def test_only_a_simulated_robot_has_a_real_time_factor():
    assert settings().real_time_factor == 1.0
    assert settings(real_time_factor="0.5").real_time_factor == 0.5


def test_what_is_no_number_is_named():
    with pytest.raises(ArgumentError, match="stall_allowance:=long: a number expected"):
        _ = settings(stall_allowance="long").stall_allowance
    with pytest.raises(ArgumentError, match="waypoints:=1,b: numbers between commas"):
        Settings(read=lambda name: "1,b").numbers("waypoints")

"""Times that make no sense are refused in one line, before anything is loaded or started."""

import math

import pytest

from bm_core.errors import ConfigError
from bm_sim2real.bridge.config import BridgeConfig
from bm_sim2real.cli import main
from bm_sim2real.session import SessionConfig

SENSELESS = pytest.mark.parametrize("value", [math.nan, math.inf, -1.0])


@SENSELESS
@pytest.mark.parametrize("name", ["clearance", "lower_s", "settle_s", "stand_s", "exit_damping_s"])
def test_a_session_has_finite_times(name, value):
    with pytest.raises(ConfigError, match=f"= {value:g}: must be a finite number, 0 or more"):
        SessionConfig(**{name: value})


@SENSELESS
def test_a_bridge_waits_for_a_finite_time(value):
    with pytest.raises(ConfigError, match=f"--wait. = {value:g}: must be a finite number, 0 or more"):
        BridgeConfig(first_state_s=value)


@pytest.mark.parametrize("robot", [[], ["--robot", "hardware", "--network-interface", "lo", "--yes"]])
def test_the_standing_time_of_a_run_is_refused_at_once(robot, capsys):
    assert main(["run", *robot, "--seconds", "nan"]) == 2
    assert capsys.readouterr().err == "error: s of standing (--seconds) = nan: must be a finite number, 0 or more\n"


def test_the_patience_of_a_bridge_is_refused_at_once(capsys):
    assert main(["bridge", "--network-interface", "lo", "--wait", "nan"]) == 2
    assert "(--wait) = nan: must be a finite number" in capsys.readouterr().err

"""`bm eval isaaclab`: options that leave nothing to evaluate are refused before a clip or the simulation is loaded."""

from pathlib import Path

import pytest

from bm_core.errors import ConfigError
from bm_training.tracking.clip_options import ClipOptions
from bm_training.tracking.evaluate import EvaluateIsaacLab


@pytest.mark.parametrize(
    ("option", "value"),
    [
        ("num_envs", 0),
        ("repeats", 0),
        ("repeats", -1),
        ("starts_per_bin", -1),
        ("episode_s", 0.0),
        ("episode_s", float("nan")),
        ("bin_s", 0.0),
        ("bin_s", 0.001),
        ("bin_s", float("inf")),
    ],
)
def test_an_option_without_sense_is_refused_first(option, value):
    command = EvaluateIsaacLab(policy=Path("nowhere"), clips=ClipOptions(motions="nowhere.npz"), **{option: value})
    with pytest.raises(ConfigError, match=f"--{option.replace('_', '-')} .*: must be at least") as raised:
        command()
    assert "\n" not in str(raised.value)


def test_whole_clips_alone_may_be_asked_for():
    EvaluateIsaacLab(policy=Path("nowhere"), starts_per_bin=0, repeats=None)._check()


@pytest.mark.parametrize("option", ["require_completion", "require_body_error_mm"])
def test_a_threshold_that_nothing_can_be_compared_with_is_refused(option):
    command = EvaluateIsaacLab(policy=Path("nowhere"), **{option: float("nan")})
    with pytest.raises(ConfigError, match=f"{option} = nan: must be a number"):
        command()

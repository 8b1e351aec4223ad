"""`bm eval estimator` from its arguments to exit code and document."""

import json

import numpy as np
import pytest

from bm_core.errors import BmError
from bm_core.motion import clip_from_qpos, save_clip
from bm_sim2real.commands.eval_estimator import EvalEstimator


@pytest.fixture
def standing_clip(balancer, tmp_path):
    """1 s of the balancer's own pose."""
    frames = 51
    stand = balancer.stand
    clip = clip_from_qpos(
        "still",
        np.tile(stand.body_pos_w[0], (frames, 1)),
        np.tile(stand.body_quat_w[0], (frames, 1)),
        np.tile(stand.joint_pos, (frames, 1)),
        50.0,
        made_by="test",
    )
    path = tmp_path / "still.npz"
    save_clip(clip, path)
    return path


def test_it_measures_every_trial_and_writes_them_down(bundle_path, standing_clip, tmp_path, capsys):
    """Standing still there is no way, so the drift over it cannot pass."""
    target = tmp_path / "result.json"
    command = EvalEstimator(
        policy=bundle_path,
        walking=str(standing_clip),
        others=str(standing_clip),
        seconds=0.5,
        no_sabotage=True,
        jobs=1,
        json=target,
    )
    assert command() == 1
    document = json.loads(target.read_text())
    rows = {row["trial"]: row for row in document["rows"]}
    assert document["command"] == "eval estimator" and document["passed"] is False
    assert rows["still"]["vel_rmse"] < 0.02 and rows["still"]["failure"] == ""
    assert "drift" in rows["walking"]["failure"]
    assert "FAILED" in capsys.readouterr().out


def test_without_walking_clips_it_does_not_start(tmp_path, bundle_path):
    with pytest.raises(BmError):
        EvalEstimator(policy=bundle_path, walking=str(tmp_path))()

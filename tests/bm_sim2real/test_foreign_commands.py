"""Policies of other projects go through bm check, bm eval and bm run as they are; untrained ones just fall."""

import json
import sys
from pathlib import Path

import pytest
from onnx import helper

sys.path.insert(0, str(Path(__file__).parents[1] / "bm_core"))
from foreign_files import (  # noqa: E402
    OBSERVATIONS_160,
    mjlab_entries,
    motion_arrays,
    motion_network,
    wbt_entries,
    write_holosoma,
    write_unitree_rl_lab,
    write_wbt,
)
from tiny_bundle import network, save  # noqa: E402

from bm_core.data import shipped  # noqa: E402
from bm_core.errors import BundleError  # noqa: E402
from bm_core.motion import load_clip  # noqa: E402
from bm_sim2real.commands.check import Check  # noqa: E402
from bm_sim2real.commands.eval_tracking import EvalTracking  # noqa: E402
from bm_sim2real.commands.run import Run  # noqa: E402

WALK = load_clip(shipped("motions", "walk.npz"))


def without_motion(path):
    """A graph that wants time_step and returns nothing but actions."""
    model = network(154, extra_input=True)
    model.producer_name = "pytorch"
    return save(model, wbt_entries(), path)


FORMATS = {
    "whole_body_tracking, 154": lambda folder: write_wbt(folder / "x.onnx", WALK),
    "whole_body_tracking, 160": lambda folder: write_wbt(
        folder / "x.onnx", WALK, entries=wbt_entries(observations=OBSERVATIONS_160)
    ),
    "mjlab, 160": lambda folder: write_wbt(folder / "x.onnx", WALK, entries=mjlab_entries()),
    "holosoma": lambda folder: write_holosoma(folder / "x.onnx", WALK),
    "unitree_rl_lab": write_unitree_rl_lab,
    "time_step without a motion": lambda folder: without_motion(folder / "x.onnx"),
}


@pytest.mark.parametrize("name", FORMATS)
def test_check_and_eval_take_it(tmp_path, name):
    path = FORMATS[name](tmp_path)
    assert Check(bundle=path, inferences=5)() == 1  # nothing proves it, which is said
    has_motion = name.split(",")[0] in ("whole_body_tracking", "mjlab", "holosoma")
    motions = None if has_motion else str(shipped("motions", "walk.npz"))
    document = tmp_path / "eval.json"
    EvalTracking(policy=path, motions=motions, jobs=1, json=document)()
    rows = json.loads(document.read_text())["rows"]
    assert [row["clip"] for row in rows] == ["x" if has_motion else "walk"] and rows[0]["frames"] > 5


@pytest.mark.slow
@pytest.mark.parametrize("name", FORMATS)
def test_run_takes_it(tmp_path, name, capsys):
    """Those with a motion inside get it after the shipped tracker has stood; the others have to stand themselves."""
    path = FORMATS[name](tmp_path)
    has_motion = name.split(",")[0] in ("whole_body_tracking", "mjlab", "holosoma")
    document = tmp_path / "run.json"
    given = {"motion": path} if has_motion else {"policy": path, "seconds": 0.5}
    assert Run(**given, json=document)() in (0, 1)
    assert json.loads(document.read_text())["command"] == "run"
    assert ("playing x" in capsys.readouterr().out) == has_motion


def test_a_policy_that_can_follow_its_own_motion_only_is_refused_before_anything_moves(tmp_path, capsys):
    model = motion_network(154, motion_arrays(WALK))
    next(node for node in model.graph.node if "actions" in node.output).output[0] = "plain"
    model.graph.node.append(helper.make_node("Add", ["plain", "joint_pos"], ["actions"]))
    path = save(model, wbt_entries(), tmp_path / "x.onnx")
    with pytest.raises(BundleError, match="x.onnx: its actions depend on the motion inside it, so it can neither"):
        Run(motion=path)()
    assert "hang" not in capsys.readouterr().out

"""A policy that is told its clip becomes a graph with the motion inside: the graph tells it itself."""

from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest

torch = pytest.importorskip("torch")
pytest.importorskip("onnx")
pytest.importorskip("onnxruntime")
pytest.importorskip("rsl_rl")

from tiny_tracker import write_tracker  # noqa: E402

from bm_core.motion import load_clip  # noqa: E402
from bm_core.observation_terms import tracker_terms  # noqa: E402
from bm_export.checkpoint import load_tracker  # noqa: E402
from bm_export.time_step_graph import EmbeddedActor, embedded_contract  # noqa: E402

CLIP = Path(__file__).resolve().parents[2] / "motions" / "walk_loop.npz"
TERMS = tracker_terms(state_estimation=False, motions=("stand", "walk_loop"))


def test_the_graph_fills_in_the_id_of_the_motion_that_it_holds(tmp_path):
    tracker = load_tracker(write_tracker(tmp_path / "run", TERMS, bias=0.1))
    clip = load_clip(CLIP)
    seen = torch.randn(1, 154, generator=torch.Generator().manual_seed(0))
    step = torch.tensor([[3.0]])
    assert embedded_contract(tracker.contract).observation_dim == 154
    for name, told in (("walk_loop", [0.0, 1.0]), ("stand", [1.0, 0.0]), ("run", [0.0, 0.0])):
        graph = EmbeddedActor(tracker.actor, tracker.contract, replace(clip, name=name))
        expected = tracker.actor(torch.cat([seen, torch.tensor([told])], dim=1))
        np.testing.assert_allclose(graph(seen, step)[0].detach(), expected.detach(), atol=1e-6)

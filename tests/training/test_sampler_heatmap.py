"""The heat map is a picture of the right size that shows what it is given."""

import json

import numpy as np
import pytest
import torch

from bm_core.errors import ConfigError
from bm_training.sampling import AdaptiveSampler, AdaptiveSamplerConfig, SamplingMode
from bm_training.sampling.bin_history import BinHistory, BinSnapshot, bin_axis, read_bin_history
from bm_training.sampling.heatmap import _emphasis, heatmap_image, heatmap_png


def trained(failing_bin, iterations=4):
    generator = torch.Generator().manual_seed(0)
    sampler = AdaptiveSampler(AdaptiveSamplerConfig(), [101, 76], [1.0, 1.0], 50.0, generator, ["walk", "kick"])
    snapshots = []
    for _ in range(iterations):
        sampler.add_entries(torch.arange(4), torch.full((4,), 50.0, dtype=torch.float64))
        sampler.add_failures(torch.tensor([failing_bin]), torch.tensor([50.0], dtype=torch.float64))
        sampler.end_iteration()
        snapshots.append(sampler.snapshot())
    return bin_axis(sampler), snapshots


def test_png_has_the_signature_of_the_format():
    assert heatmap_png(*trained(failing_bin=0)).startswith(b"\x89PNG\r\n\x1a\n")


def test_image_is_height_width_rgb_and_repeatable():
    image = heatmap_image(*trained(failing_bin=0))
    assert image.shape == (700, 1200, 3) and image.dtype == np.uint8
    np.testing.assert_array_equal(image, heatmap_image(*trained(failing_bin=0)))


def test_a_failing_bin_is_bright_in_its_own_row():
    top, bottom = (heatmap_image(*trained(failing_bin=b))[:, 100:500].mean(-1) for b in (0, 3))
    upper, lower = slice(60, 200), slice(500, 640)
    assert top[upper].mean() > top[lower].mean()
    assert bottom[lower].mean() > bottom[upper].mean()


def test_one_snapshot_is_enough_and_none_is_refused():
    axis, snapshots = trained(failing_bin=1, iterations=1)
    assert heatmap_png(axis, snapshots)
    with pytest.raises(ConfigError, match="at least one snapshot"):
        heatmap_png(axis, [])


def test_the_history_of_a_run_is_read_back_while_it_grows(tmp_path):
    axis, snapshots = trained(failing_bin=2)
    history = BinHistory(tmp_path, axis)
    for snapshot in snapshots[:2]:
        history.add(snapshot)
    assert len(read_bin_history(tmp_path)[1]) == 2
    resumed = BinHistory(tmp_path, axis)
    for snapshot in snapshots[1:]:  # the second one again
        resumed.add(snapshot)
    again, read = read_bin_history(tmp_path)
    assert [snapshot.iteration for snapshot in read] == [1, 2, 3, 4]
    np.testing.assert_allclose(read[-1].failure_rate, snapshots[-1].failure_rate, atol=1e-4)
    # walk has bins 0 and 1, kick 2 and 3.
    assert (again.names, again.first_bin, again.bin_name(3)) == (("walk", "kick"), (0, 2), "kick[1]")


def test_a_folder_without_history_is_refused(tmp_path):
    with pytest.raises(ConfigError, match="no table of bins"):
        read_bin_history(tmp_path)


def grown_run(folder):
    """walk alone at iteration 1, walk and kick (of twice the weight) at iteration 2; axis and snapshots of memory."""
    generator = torch.Generator().manual_seed(0)
    config = AdaptiveSamplerConfig(mode=SamplingMode.UNIFORM)
    sampler = AdaptiveSampler(config, [101, 76], [1.0, 0.0], 50.0, generator, ["walk", "kick"])
    rows = []
    for weights in ([1.0, 0.0], [1.0, 2.0]):
        sampler.set_motion_weights(weights)
        sampler.end_iteration()
        rows.append(BinHistory(folder, bin_axis(sampler)).add(sampler.snapshot()))
    return bin_axis(sampler), rows


def test_a_motion_that_comes_in_later_is_compared_with_the_weight_it_has_then(tmp_path):
    for axis, snapshots in (grown_run(tmp_path), read_bin_history(tmp_path)):
        first, second = (_emphasis(axis, snapshot) for snapshot in snapshots)
        # Uniform sampling draws by weight x duration: once as often as that, and not at all before its stage.
        np.testing.assert_allclose(first, [1.0, 1.0, 0.0, 0.0], atol=1e-5)
        np.testing.assert_allclose(second, 1.0, atol=1e-5)
        assert heatmap_png(axis, snapshots)


def test_a_file_that_knows_only_the_weights_of_the_first_stage_leaves_blank_what_it_cannot_tell(tmp_path):
    grown_run(tmp_path)
    file = tmp_path / "bins.jsonl"
    lines = [json.loads(line) for line in file.read_text().splitlines()]
    for line in lines:
        line.pop("within", None)
        line.pop("share", None)
    file.write_text("".join(json.dumps(line) + "\n" for line in lines))
    axis, snapshots = read_bin_history(tmp_path)
    emphasis = _emphasis(axis, snapshots[1])
    # walk: 100 of 175 steps, weight 1 against 2; it was everything before.
    np.testing.assert_allclose(emphasis[:2], 100 / 250, atol=1e-5)
    assert np.isnan(emphasis[2:]).all()
    assert heatmap_png(axis, snapshots)


def test_bins_drawn_by_hand_that_have_no_weight_are_not_a_multiple_of_nothing():
    axis, (snapshot,) = trained(failing_bin=0, iterations=1)
    bare = BinSnapshot(
        iteration=1,
        failure_rate=snapshot.failure_rate,
        probability=snapshot.probability,
        base=np.array([0.5, 0.5, 0.0, 0.0]),
    )
    assert np.isnan(_emphasis(axis, bare)[2:]).all()
    assert heatmap_png(axis, [bare])

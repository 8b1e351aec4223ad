"""The heat map is a picture of the right size that shows what it is given."""

import numpy as np
import pytest
import torch

from bm_core.errors import ConfigError
from bm_training.sampling import AdaptiveSampler, AdaptiveSamplerConfig
from bm_training.sampling.bin_history import BinHistory, bin_axis, read_bin_history
from bm_training.sampling.heatmap import heatmap_image, heatmap_png


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

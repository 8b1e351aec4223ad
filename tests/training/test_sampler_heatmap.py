"""The heat map is a picture of the right size that shows what it is given."""

import numpy as np
import pytest
import torch

from bm_core.errors import ConfigError
from bm_training.sampling import AdaptiveSampler, AdaptiveSamplerConfig
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
    return sampler, snapshots


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
    sampler, snapshots = trained(failing_bin=1, iterations=1)
    assert heatmap_png(sampler, snapshots)
    with pytest.raises(ConfigError, match="at least one snapshot"):
        heatmap_png(sampler, [])

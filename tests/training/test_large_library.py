"""A library of 50 minutes costs a control step what one of a minute costs: same operations, tensors of same sizes."""

from collections import Counter

import numpy as np
import pytest

torch = pytest.importorskip("torch")

from torch.utils._python_dispatch import TorchDispatchMode  # noqa: E402

from bm_core.g1 import G1  # noqa: E402
from bm_core.motion import clip_from_qpos  # noqa: E402
from bm_training.tracking.library_benchmark import LibraryStep  # noqa: E402
from bm_training.tracking.motion_set import LoadedMotionSet, Role, repeated  # noqa: E402


class Work(TorchDispatchMode):
    """Counts operations by name and by the numbers that they write."""

    def __init__(self):
        super().__init__()
        self.done = Counter()

    def __torch_dispatch__(self, function, types, args=(), kwargs=None):
        result = function(*args, **(kwargs or {}))
        # Views and in-place additions return what is there already; they name the table, whatever is done to it.
        writes = all(returned.alias_info is None for returned in function._schema.returns)
        outputs = result if isinstance(result, (tuple, list)) else (result,)
        size = sum(part.numel() for part in outputs if isinstance(part, torch.Tensor)) if writes else 0
        self.done[str(function), size] += 1
        return result


@pytest.fixture(scope="module")
def minute():
    """Three clips that last 60 s together."""
    clips = []
    for name, frames in (("a", 501), ("b", 1501), ("c", 1001)):
        root, quat = np.tile([0.0, 0.0, 0.76], (frames, 1)), np.tile([1.0, 0.0, 0.0, 0.0], (frames, 1))
        clips.append(clip_from_qpos(name, root, quat, np.tile(G1.default_joint_pos, (frames, 1)), 50.0))
    return LoadedMotionSet(name="minute", clips=tuple(clips), weights=(1.0, 2.0, 3.0), roles=(Role.OTHER,) * 3)


def work_of_a_step(motions):
    library = motions.on_device("cpu").library
    step = LibraryStep(library, 256)
    with Work() as work:
        step()
    return library, work.done


def test_a_step_does_the_same_work_for_a_minute_and_for_50(minute):
    small, once = work_of_a_step(minute)
    large, many = work_of_a_step(repeated(minute, 50.0))
    assert (small.num_motions, large.num_motions) == (3, 150)
    assert large.num_frames >= 50 * 60 * 50
    assert once == many and sum(once.values()) > 20
    assert max(size for _, size in many) < large.num_frames


def test_repeated_clips_keep_their_weights_and_get_names_of_their_own(minute):
    motions = repeated(minute, 2.5)
    assert [clip.name for clip in motions.clips] == [f"{name}#{k}" for k in range(3) for name in "abc"]
    assert motions.weights == (1.0, 2.0, 3.0) * 3
    assert motions.clips[4].joint_pos is minute.clips[1].joint_pos


def test_a_minute_takes_less_than_three_mebibytes(minute):
    # 240 numbers of 4 bytes a frame: 29 + 29 joints, 14 bodies with 13 each.
    library = minute.on_device("cpu").library
    assert library.num_bytes / library.num_frames == 960

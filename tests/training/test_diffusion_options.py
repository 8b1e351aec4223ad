"""What the diffusion commands refuse: one line before data or a simulator is touched, and nothing left behind."""

from __future__ import annotations

import math
import shutil
from pathlib import Path

import pytest

torch = pytest.importorskip("torch")
pytest.importorskip("isaaclab")
pytest.importorskip("h5py")

import isaaclab.app  # noqa: E402
from diffusion_data import STEPS, rollouts, save_run  # noqa: E402

from bm_core.errors import BmError  # noqa: E402
from bm_training.diffusion import rollout_file  # noqa: E402
from bm_training.diffusion.collect import Collect  # noqa: E402
from bm_training.diffusion.collect_rounds import CollectRounds  # noqa: E402
from bm_training.diffusion.evaluate import EvaluateDiffusion  # noqa: E402
from bm_training.diffusion.motion_options import MotionOptions, StartMotionOptions  # noqa: E402
from bm_training.diffusion.rollout_file import RolloutWriter  # noqa: E402
from bm_training.diffusion.train import TrainDiffusion  # noqa: E402
from bm_training.diffusion.train_latent import TrainLatent  # noqa: E402

torch.set_num_threads(1)
ROOT = Path(__file__).resolve().parents[2]
TRACKER, STREAM = ROOT / "policies" / "g1_tracker.pt", str(ROOT / "motions" / "stream_s2_000.npz")
NAN, NOWHERE = math.nan, Path("nowhere")
ON_CPU = {"device": "cpu", "num_envs": 2}


@pytest.fixture
def model(tmp_path):
    return save_run(tmp_path / "model")


@pytest.fixture(autouse=True)
def no_simulator(monkeypatch):
    def launch_simulation(cfg, _):
        raise AssertionError("the simulator was started")

    monkeypatch.setattr(isaaclab.app, "launch_simulation", launch_simulation)


def refused(command, said, out=None):
    """Runs into one line that says `said`, and leaves no `out`."""
    with pytest.raises(BmError, match=said) as refusal:
        command()
    assert "\n" not in str(refusal.value)
    assert out is None or not out.exists()


@pytest.mark.parametrize(
    ("options", "said"),
    [
        ({"batch": 0}, "batch = 0: must be >= 1"),
        ({"max_steps": -1}, "max_steps = -1"),
        ({"learning_rate": NAN}, "learning_rate = nan"),
        ({"learning_rate": -1.0}, "learning_rate = -1"),
        ({"warmup_steps": -1}, "warmup_steps = -1"),
        ({"log_interval": 0}, "log_interval = 0"),
        ({"val_interval": 0}, "val_interval = 0"),
        ({"save_interval": 0}, "save_interval = 0"),
        ({"gate_interval": -1}, "gate_interval = -1"),
        ({"gate_envs": 0}, "gate_envs = 0"),
        ({"gate_seconds": NAN}, "gate_seconds = nan"),
        ({"validation": NAN}, "validation = nan"),
        ({"validation": 1.0}, "validation = 1"),
        ({"dropout": 1.0}, "dropout = 1"),
        ({"clean_history": 7.0}, "clean_history = 7"),
        ({"shared_levels": NAN}, "shared_levels = nan"),
        ({"committed": -0.1}, "committed = -0.1"),
        ({"forgotten": NAN}, "forgotten = nan"),
        ({"most_committed": 0}, "most_committed = 0"),
        ({"action_weight": NAN}, "action_weight = nan"),
        ({"emphasis_factor": 0.0}, "emphasis_factor = 0"),
        ({"seed": -1}, "seed = -1"),
        ({"max_minutes": NAN}, "--max-minutes nan"),
        ({"device": "abacus"}, "--device abacus"),
        ({"resume": NOWHERE}, "nowhere: neither a checkpoint nor a run"),
        ({"resume": TRACKER}, "is a tracker's checkpoint"),
        ({"data": ""}, "--data: nothing is named"),
        ({"data": "nowhere,"}, "--data nowhere,: part 2 is empty"),
        ({"data": ", nowhere"}, "part 1 is empty"),
    ],
)
def test_a_training_is_refused_before_its_data_is_read(options, said, tmp_path, monkeypatch):
    def load_collections(folders, *, verify):
        raise AssertionError("the data was read")

    monkeypatch.setattr(rollout_file, "load_collections", load_collections)
    train = TrainDiffusion(**({"data": "nowhere", "run_dir": tmp_path / "run", "device": "cpu"} | options))
    refused(train, said, out=tmp_path / "run")


@pytest.fixture(scope="module")
def data(tmp_path_factory):
    folder = tmp_path_factory.mktemp("data")
    writer = RolloutWriter(folder, steps=STEPS, sources=["squat"], provenance={"teacher": "the clip itself"})
    writer.write_shard(rollouts(4), seed=0)
    return folder


def test_a_training_that_its_data_or_checkpoint_does_not_fit_leaves_no_folder(data, tmp_path):
    tiny = {"model": "tiny", "batch": 4, "max_steps": 1, "device": "cpu"}
    run = tmp_path / "run"
    refused(TrainDiffusion(data=f"{data},{data}/../{data.name}", run_dir=run, **tiny), "is named twice", out=run)
    assert TrainDiffusion(data=f" {data} ", run_dir=tmp_path / "first", **tiny)() == 0
    other = {**tiny, "model": "small", "resume": tmp_path / "first"}
    refused(TrainDiffusion(data=str(data), run_dir=run, **other), "model or tokens are not those of this run", out=run)
    joint = {**tiny, "gate_interval": 1, "latent": NOWHERE}
    refused(TrainDiffusion(data=str(data), run_dir=run, **joint), "--latent: the data holds joint actions", out=run)


def test_a_shard_that_is_none_is_named_also_where_nothing_is_verified(data, tmp_path):
    shutil.copytree(data, tmp_path / "damaged")
    (tmp_path / "damaged" / "shard_00000.h5").write_text("not HDF5")
    for verify, said in ((True, "not the file that the manifest names"), (False, "not a shard of a data set")):
        train = TrainDiffusion(data=str(tmp_path / "damaged"), run_dir=tmp_path / "run", device="cpu", verify=verify)
        refused(train, rf"shard_00000\.h5: .*{said}", out=tmp_path / "run")


@pytest.mark.parametrize(
    ("options", "said"),
    [
        ({"episodes": 0}, "episodes = 0"),
        ({"shard_episodes": 0}, "shard_episodes = 0"),
        ({"steps": 0}, "steps 0 must be 1..survive"),
        ({"steps": 300}, "steps 300 must be 1..survive"),
        ({"rollout_s": 4.9}, "rollout_s = 4.9: must be at least survive, 5 s"),
        ({"rollout_s": NAN}, "rollout_s = nan"),
        ({"survive": 20_000, "rollout_s": 1000.0}, "no clip goes on for 20000 frames"),
        ({"noise": NAN}, "noise.ladder"),
        ({"noise": -1.0}, "noise.ladder"),
        ({"max_minutes": NAN}, "--max-minutes nan"),
        ({"seed": -1}, "seed = -1"),
        ({"device": "abacus"}, "--device abacus"),
    ],
)
def test_a_collection_that_would_hold_nothing_is_refused(options, said, tmp_path):
    clips = MotionOptions(motions=STREAM)
    collect = Collect(**({"out": tmp_path / "out", "teacher": TRACKER, "clips": clips} | ON_CPU | options))
    refused(collect, said, out=tmp_path / "out")


@pytest.mark.parametrize(
    ("options", "said"),
    [
        ({"episodes": 0}, "episodes = 0"),
        ({"shard_episodes": 0}, "shard_episodes = 0"),
        ({"run": 3}, "run 3 must be longer"),
        ({"steps": 0}, "steps 0 must be 1..survive"),
        ({"guided": NAN}, "guided = nan"),
        ({"guided": 3.0}, "guided = 3"),
        ({"kick": -1.0}, "kick = -1"),
        ({"latency_ms": 30.0}, "--latency-ms 30: whole control steps of 20 ms"),
        ({"latency_ms": -20.0}, "--latency-ms -20"),
        ({"latency_ms": 2000.0}, "--latency-ms 2000: .* at most 260 ms"),
        ({"latency_ms": NAN}, "--latency-ms nan"),
        ({"passes": 0}, "0 passes"),
        ({"guidance": NOWHERE}, "nowhere"),
        ({"max_minutes": NAN}, "--max-minutes nan"),
        ({"device": "abacus"}, "--device abacus"),
    ],
)
def test_rounds_that_cannot_be_played_are_refused(options, said, tmp_path, model):
    clips = StartMotionOptions(motions=STREAM)
    given = {"model": model, "out": tmp_path / "out", "teacher": TRACKER, "clips": clips} | ON_CPU | options
    refused(CollectRounds(**given), said, out=tmp_path / "out")


@pytest.mark.parametrize(
    ("options", "said"),
    [
        ({"latency_ms": "abc"}, "--latency-ms abc: numbers between commas"),
        ({"latency_ms": "nan"}, "--latency-ms nan: whole control steps"),
        ({"latency_ms": "20,,40"}, "part 2 is empty"),
        ({"passes": "x"}, "--passes x: whole numbers between commas"),
        ({"passes": "8,0"}, "0 passes"),
        ({"tasks": ""}, "--tasks: nothing is named"),
        ({"tasks": "dance"}, "--tasks: dance is unknown"),
        ({"start": "cold,"}, "part 2 is empty"),
        ({"eta": NAN}, "eta = nan"),
        ({"warm_levels": (99, 0)}, "warm_state_level = 99"),
        ({"most_committed": -1}, "most_committed = -1"),
        ({"guidance": NOWHERE}, "nowhere"),
        ({"guidance_scale": NAN}, "guidance_scale = nan"),
        ({"seconds": NAN}, "seconds = nan"),
        ({"seconds": -1.0}, "seconds = -1"),
        ({"kick": -1.0}, "kick = -1"),
        ({"require_success": NAN}, "require_success = nan"),
        ({"seed": -1}, "seed = -1"),
        ({"device": "abacus"}, "--device abacus"),
    ],
)
def test_a_closed_loop_that_cannot_be_played_is_refused(options, said, model):
    refused(EvaluateDiffusion(**({"model": model, "teacher": TRACKER} | ON_CPU | options)), said)


def test_blanks_in_lists_do_not_count(model):
    evaluation = EvaluateDiffusion(model=model, tasks="walk-perturb, joystick", latency_ms="0, 40", passes="8, 4")
    from bm_training.diffusion.trainer import load_model

    spec, _ = load_model(model / "checkpoints" / "model_000042.pt")
    found = [(one.trial.name, one.latency, one.spec.sampler.passes) for one in evaluation._combinations(spec)]
    assert found == [(task, latency, n) for task in ("walk-perturb", "joystick") for latency in (0, 2) for n in (8, 4)]


@pytest.mark.parametrize(
    ("options", "said"),
    [
        ({"latent": 0}, "latent = 0"),
        ({"hidden": ()}, "hidden = "),
        ({"hidden": (64, 0)}, "hidden = "),
        ({"kl_weight": NAN}, "kl_weight = nan"),
        ({"learning_rate": 0.0}, "learning_rate = 0"),
        ({"iterations": -1}, "iterations = -1"),
        ({"max_minutes": NAN}, "--max-minutes nan"),
        ({"seed": -1}, "seed = -1"),
        ({"device": "abacus"}, "--device abacus"),
    ],
)
def test_a_training_of_latents_is_refused_before_there_is_a_simulator(options, said, tmp_path):
    clips = MotionOptions(motions=STREAM)
    train = TrainLatent(**({"run_dir": tmp_path / "run", "teacher": TRACKER, "clips": clips} | ON_CPU | options))
    refused(train, said, out=tmp_path / "run")

"""`bm demo` on a policy that really balances: promises decide the exit code, and bad input leaves nothing behind."""

import json
import shutil

import numpy as np
import pytest
from squat_motion import squat

from bm_core.motion import clip_from_qpos, save_clip
from bm_core.onnx_file import read_onnx
from bm_sim2real import cli, rendering
from bm_sim2real.command_table import Command
from bm_sim2real.rendering import clip_qpos
from bm_sim2real.video_clip import VideoJob, encode_gif, film
from bm_sim2real.video_process import VideoProcess

HOSTILE = "<img src=x onerror=alert(1)>"
SUMMARY = {"clips", "completed", "completion_rate", "body_error_m", "anchor_error_m", "tick_ms", "realtime_factor"}


def standing_clip(frame, name="stand", frames=51):
    pose = (
        np.repeat(part[None], frames, axis=0) for part in (frame.body_pos_w[0], frame.body_quat_w[0], frame.joint_pos)
    )
    return clip_from_qpos(name, *pose, 50.0, source="a test")


@pytest.fixture
def place(bundle_path, balancer, tmp_path):
    """A folder with the policy, a clip that it can do and one that it cannot."""
    shutil.copy(bundle_path, tmp_path / "policy.onnx")
    save_clip(standing_clip(balancer.stand), tmp_path / "motions" / "stand.npz")
    save_clip(clip_from_qpos("squat", *squat(), 30.0), tmp_path / "motions" / "squat.npz")
    return tmp_path


@pytest.fixture
def bm(monkeypatch, place):
    """Runs `bm demo` in the folder; returns its exit code."""
    monkeypatch.setattr(
        cli, "find_commands", lambda: [Command(words=("demo",), target="bm_sim2real.commands.demo:Demo")]
    )
    monkeypatch.chdir(place)

    def run(*arguments, policy="policy.onnx", motions="motions", films="0"):
        options = ["--policy", policy, "--motions", motions, "--report", "out", "--film-seconds", films]
        return cli.main(["demo", *options, *arguments])

    return run


def promise(place, *names):
    sha256 = read_onnx(place / "policy.onnx").graph_sha256
    card = {"schema": 1, "graph_sha256": sha256, "promised_clips": list(names)}
    (place / "policy.json").write_text(json.dumps(card))


def metrics(place):
    return json.loads((place / "out" / "metrics.json").read_text())


def test_without_a_model_card_nothing_is_required_and_it_says_so(bm, place, capsys):
    assert bm() == 0
    output = capsys.readouterr().out
    assert "no model card (policy.json)" in output
    assert metrics(place)["summary"]["completed"] == 1 and metrics(place)["passed"]


def test_a_promised_clip_that_fails_is_exit_1(bm, place, capsys):
    promise(place, "stand", "squat")
    assert bm() == 1
    document = metrics(place)
    assert not document["passed"] and document["summary"]["failed_promises"] == ["squat"]
    assert "promised, but not completed: squat" in capsys.readouterr().out
    assert ">Failed<" in (place / "out" / "report.html").read_text()


def test_a_clip_that_fails_without_a_promise_is_exit_0(bm, place):
    promise(place, "stand")
    assert bm() == 0
    rows = {row["clip"]: (row["completed"], row["promised"]) for row in metrics(place)["rows"]}
    assert rows == {"stand": (True, True), "squat": (False, False)}


def test_promised_clips_that_are_not_there_are_counted_aloud(bm, place, capsys):
    promise(place, "stand", "moonwalk")
    assert bm() == 0
    assert "1 completed; 1 more were not played" in capsys.readouterr().out


def test_metrics_have_the_keys_that_other_tools_rely_on(bm, place):
    assert bm("--json", "copy.json") == 0
    document = metrics(place)
    assert set(document) == {"command", "version", "machine", "rows", "summary", "passed"}
    assert document["command"] == "demo" and set(document["summary"]) >= SUMMARY
    assert set(document["summary"]["tick_ms"]) == {"p50", "p99", "max"}
    assert document["summary"]["clips"] == 2 and document["summary"]["completion_rate"] == 0.5
    assert json.loads((place / "copy.json").read_text()) == document


def test_the_standing_clip_is_measured_as_it_was_tracked(bm, place):
    assert bm() == 0
    stand = next(row for row in metrics(place)["rows"] if row["clip"] == "stand")
    assert stand["seconds"] == 1.0 and stand["frames"] == 50 and stand["failure"] == ""
    assert 0.0 < stand["body_error_m"] < 0.02


def test_a_hostile_clip_name_does_no_harm(bm, place, balancer):
    save_clip(standing_clip(balancer.stand, HOSTILE), place / "motions" / "odd.npz")
    assert bm() == 0
    page = (place / "out" / "report.html").read_text()
    assert HOSTILE not in page and "&lt;img src=x onerror=alert(1)&gt;" in page
    assert HOSTILE in {row["clip"] for row in metrics(place)["rows"]}


@pytest.mark.parametrize(
    ("options", "complaint"),
    [
        ({"policy": "missing.onnx"}, "missing.onnx"),
        ({"motions": "nowhere"}, "nowhere"),
        ({"motions": "motions/stand.npz,motions/stand.npz"}, ""),
        ({"motions": "policy.onnx"}, "policy.onnx"),
    ],
)
def test_what_cannot_run_is_exit_2_one_line_and_nothing_written(bm, place, capsys, options, complaint):
    before = sorted(place.rglob("*"))
    assert bm(**options) == 2
    error = capsys.readouterr().err.strip()
    assert error.startswith("error: ") and "\n" not in error and complaint in error
    assert sorted(place.rglob("*")) == before


def test_a_model_card_of_another_policy_is_exit_2(bm, place, capsys):
    promise(place, "stand")
    card = json.loads((place / "policy.json").read_text())
    (place / "policy.json").write_text(json.dumps({**card, "graph_sha256": "00" * 32}))
    assert bm() == 2
    assert "about the network 000000000000" in capsys.readouterr().err


def test_a_report_that_cannot_be_written_is_refused_before_the_work(bm, place, capsys):
    (place / "out").write_text("a file")
    assert bm() == 2
    assert "--report" in capsys.readouterr().err


def test_films_come_from_another_process_and_one_that_fails_has_its_reason(bm, balancer):
    clip = standing_clip(balancer.stand, frames=11)
    qpos = clip_qpos(clip)
    with VideoProcess() as films:
        good = VideoJob(name="good", start_s=0.0, robot_qpos=qpos, reference_qpos=qpos, size=(64, 40))
        films.submit(good)
        films.submit(VideoJob(name="bad", start_s=0.0, robot_qpos=qpos, reference_qpos=qpos[:, :30], size=(64, 40)))
        drawn, missing = films.collect(60.0)
    assert set(drawn) == {"good"} and set(missing) == {"bad"} and "ConfigError" in missing["bad"]
    video = drawn["good"]
    assert video.seconds == pytest.approx(0.22) and video.source
    assert video.data[4:8] == b"ftyp" if video.mime == "video/mp4" else video.data[:4] == b"GIF8"


def test_without_opengl_stick_figures_are_filmed_and_named(monkeypatch, balancer):
    monkeypatch.setattr(rendering, "_gl_context", lambda *_: (None, "none here"))
    qpos = clip_qpos(standing_clip(balancer.stand, frames=9))
    video = film(VideoJob(name="stand", start_s=1.0, robot_qpos=qpos, reference_qpos=qpos, size=(64, 40)))
    assert video.source.startswith("stick figures") and len(video.data) > 200 and video.start_s == 1.0


def test_a_film_without_ffmpeg_is_an_animated_gif():
    frames = (np.full((40, 64, 3), shade, dtype=np.uint8) for shade in (0, 100, 200))
    data = encode_gif(frames, 12.5)
    assert data.startswith(b"GIF89a") and data.count(b"\x21\xf9\x04") == 3  # one graphic control block a picture

"""The commands that go over DDS, as a user types them: `bm sim-robot`, `bm bridge`, `bm run --robot hardware`, `bm eval
wire`."""

import json
import signal
import subprocess
import sys
import time

import numpy as np
import pytest
import unitree_wire  # noqa: F401  the DDS extra, and a tag of our own

from bm_core.data import shipped
from bm_core.errors import RobotError
from bm_core.motion import clip_from_qpos, load_clip, save_clip
from bm_sim2real.bridge.client import BridgeClient
from bm_sim2real.bridge.config import BridgeConfig
from bm_sim2real.cli import main
from bm_sim2real.mirror import show_mirror
from bm_sim2real.wire_evaluation import WireResult, summarize_paths

PATIENCE_S = 600.0
"""For a process that starts or ends: beside measured processes at real-time priority others hardly run."""
SLOWED = ("--real-time-factor", "0.5")
"""For a robot and its bridge: a computer that does two other things at once must keep up as well."""
BM = [sys.executable, "-c", "import sys; from bm_sim2real.cli import main; sys.exit(main(sys.argv[1:]))"]


def start(*words, **options):
    return subprocess.Popen([*BM, *words], start_new_session=True, text=True, **options)


def run_hardware(*options):
    words = ["run", "--robot", "hardware", "--network-interface", "lo", *options]
    return subprocess.run([*BM, *words], capture_output=True, text=True, timeout=PATIENCE_S)


def end(*processes):
    """With SIGTERM, or else by force."""
    for process in processes:
        if process.poll() is None:
            process.send_signal(signal.SIGTERM)
        try:
            process.communicate(timeout=PATIENCE_S)
        except subprocess.TimeoutExpired:
            process.kill()
            process.communicate()


def sim_robot(*options):
    """`bm sim-robot`, until the test ends."""
    process = start("sim-robot", "--ignore-interrupt", *options, stdout=subprocess.PIPE)
    yield process
    end(process)


@pytest.fixture
def robot():
    yield from sim_robot()


@pytest.fixture
def slow_robot():
    yield from sim_robot(*SLOWED)


@pytest.fixture
def bridge(slow_robot, tmp_path):
    """`bm bridge` as slow as its robot, with its log"""
    # As wide as ages may be: this computer may stand still for a second, and that is not what is tested.
    words = ("bridge", "--network-interface", "lo", *SLOWED, "--stall-allowance", "2", "--wait", str(PATIENCE_S))
    process = start(*words, "--log", str(tmp_path / "events.jsonl"), stdout=subprocess.PIPE)
    process.log = tmp_path / "events.jsonl"
    yield process
    end(process)


def commands_of(robot):
    """End it; how many commands it says that it accepted, and what it said."""
    robot.send_signal(signal.SIGTERM)
    told, _ = robot.communicate(timeout=PATIENCE_S)
    assert robot.returncode == 0
    return int(told.partition("commands: ")[2].partition(" accepted")[0]), told


def wait_for(log, event):
    """Until the bridge has written that event."""
    deadline = time.monotonic() + PATIENCE_S
    while not (log.exists() and f'"{event}"' in log.read_text()):
        assert time.monotonic() < deadline, f"no event {event}"
        time.sleep(0.1)


@pytest.mark.slow
def test_a_run_on_the_simulated_robot_through_a_bridge_that_is_there_already(slow_robot, bridge, tmp_path):
    out, record = tmp_path / "run.json", tmp_path / "run.npz"
    wait_for(bridge.log, "start")
    refused = run_hardware("--dry-run", "--yes")
    assert refused.returncode == 2 and "a bridge is running that does send commands" in refused.stderr
    ran = run_hardware("--yes", "--seconds", "0.5", "--record", str(record), "--json", str(out))
    assert out.exists(), ran.stderr
    document = json.loads(out.read_text())
    # Whether a loaded machine keeps up is its affair; what it says about it must agree.
    fault = document["summary"]["fault"]
    assert ran.returncode == (0 if fault is None else 1) and document["passed"] is (fault is None)
    stages = [line.split(" s  ")[1] for line in ran.stdout.splitlines() if " s  " in line]
    assert stages[0].startswith("bridge: processes ") and stages[1].startswith("policy: ")
    assert stages[2] == "damping" and stages[-1] == "damped, end"
    assert fault is not None or stages[3:5] == ["hang", "stand"]
    with np.load(record) as rows:
        modes = [json.loads(str(rows["info"]))["modes"][mode] for mode in rows["mode"]]
    assert len(modes) > 100 and modes[0] == "damping"
    assert bridge.poll() is None, "a bridge that was there before a run stays"
    bridge.send_signal(signal.SIGTERM)
    told, _ = bridge.communicate(timeout=PATIENCE_S)
    assert bridge.returncode == 0 and "SIMULATED, ages 2 s wider than on a robot" in told
    accepted, told = commands_of(slow_robot)
    assert accepted > 1000 and "SIMULATED G1 on lo" in told and ", 0 corrupt, 0 refused" in told


@pytest.mark.slow
def test_a_mirror_and_a_dry_run_with_a_bridge_of_its_own_send_nothing(robot, tmp_path):
    pictures, said = iter(range(20)), []
    config = BridgeConfig(first_state_s=PATIENCE_S)
    show_mirror(config, said.append, port=0, is_over=lambda: next(pictures, None) is None)
    assert said[0].startswith("mirror of lo, listening: http://127.0.0.1:")
    out = tmp_path / "run.json"
    ran = run_hardware("--dry-run", "--yes", "--seconds", "0.5", "--json", str(out))
    if "the writer fell silent" in ran.stderr:
        assert ran.returncode == 2 and commands_of(robot)[0] == 0
        pytest.skip("this computer stands still for longer than a bridge may")
    fault = json.loads(out.read_text())["summary"]["fault"]
    assert ran.returncode == (0 if fault is None else 1) and ", DRY RUN; " in ran.stdout
    with pytest.raises(RobotError, match="no bridge"):
        BridgeClient("lo")  # the run's own bridge has gone with it
    assert commands_of(robot)[0] == 0


@pytest.mark.parametrize(
    "options, words",
    [
        ([], "needs --network-interface"),
        (["--network-interface", "eth0", "--yes"], "--yes on eth0: only for the simulated robot on lo"),
    ],
)
def test_a_run_on_hardware_is_refused_before_anything_is_started(options, words, capsys):
    assert main(["run", "--robot", "hardware", *options]) == 2
    assert words in capsys.readouterr().err


@pytest.fixture
def calm(tmp_path):
    """Half a second of standing."""
    path = tmp_path / "calm.npz"
    save_clip(load_clip(shipped("motions", "stand.npz"), end_s=0.5), path)
    return path


@pytest.fixture
def lying(tmp_path):
    pose = np.tile([0.0, 0.0, 0.1], (25, 1)), np.tile([0.7071068, 0.0, 0.7071068, 0.0], (25, 1)), np.zeros((25, 29))
    path = tmp_path / "lying.npz"
    save_clip(clip_from_qpos("lying", *pose, 50.0), path)
    return path


def test_the_wire_tracks_as_well_as_one_process_and_what_cannot_be_entered_is_left_out(calm, lying, tmp_path, capsys):
    out = tmp_path / "wire.json"
    # At most 1: half a second is short, one tick's difference of the two paths counts for much of it.
    code = main(["eval", "wire", "--motions", f"{calm},{lying}", "--most", "1", "--json", str(out)])
    document = json.loads(out.read_text())
    assert (code, document["passed"], document["summary"]["failed"]) == (0, True, [])
    (row,) = document["rows"]
    assert row["failure"] == "" and 0.0 < row["wire_m"] < 0.05 and abs(row["difference"]) < 1.0
    assert list(document["summary"]["left_out"]) == ["lying"]
    assert "left out: " in capsys.readouterr().out


def test_clips_that_no_standing_robot_can_enter_are_refused_by_name(lying, capsys):
    assert main(["eval", "wire", "--motions", str(lying)]) == 2
    assert "none of these motions begins where a standing robot can enter it: lying" in capsys.readouterr().err


def test_a_clip_fails_by_its_own_difference_or_its_fault():
    def result(clip, wire_m, failure=""):
        return WireResult(clip=clip, delay_ms=0, in_process_m=0.040, wire_m=wire_m, failure=failure)

    results = [result("same", 0.041), result("worse", 0.046), result("fallen", 0.040, "it fell")]
    summary = summarize_paths(results, most=0.1)
    assert set(summary["failed"]) == {"worse", "fallen"} and summary["worst_clip"] == "worse"
    assert summary["worst_difference"] == pytest.approx(0.15)

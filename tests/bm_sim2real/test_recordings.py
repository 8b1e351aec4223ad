"""`bm replay`: recordings against the policy that made them. The bag is written here, byte by byte."""

import json
import struct

import numpy as np
import pytest

from bm_core.bundle import Bundle
from bm_core.errors import ConfigError
from bm_sim2real.commands.replay import Replay
from bm_sim2real.policies.inference import OnnxSession
from bm_sim2real.recordings.mcap_file import MAGIC, read_messages
from bm_sim2real.recordings.recorded_steps import read_recording

STEPS = 20


def text(value):
    data = value.encode()
    return struct.pack("<I", len(data)) + data


def record(opcode, body):
    return struct.pack("<BQ", opcode, len(body)) + body


def vector_cdr(step, frame, data):
    """stamp, an empty frame_id (its NUL, then up to the next multiple of 8), step, frame, data."""
    head = b"\x00\x01\x00\x00" + struct.pack("<iI", 5, 6) + struct.pack("<I", 1) + b"\x00" + b"\x00" * 3
    return head + struct.pack("<Qq", step, frame) + struct.pack("<I", len(data)) + np.asarray(data, "<f4").tobytes()


def string_cdr(value):
    data = value.encode() + b"\x00"
    return b"\x00\x01\x00\x00" + struct.pack("<I", len(data)) + data


class Bag:
    """Two vectors and a description, in one chunk."""

    TOPICS = ("/policy/observation", "/policy/action", "/policy/description")

    def __init__(self):
        self.body = b""
        for number, topic in enumerate(self.TOPICS):
            kind = "std_msgs/msg/String" if topic.endswith("description") else "bm_msgs/msg/PolicyVector"
            self.body += record(0x03, struct.pack("<H", number + 1) + text(kind) + text("ros2msg") + text(""))
            head = struct.pack("<HH", number, number + 1)
            self.body += record(0x04, head + text(topic) + text("cdr") + struct.pack("<I", 0))

    def add(self, topic, data, sequence=0):
        self.body += record(0x05, struct.pack("<HIQQ", self.TOPICS.index(topic), sequence, 1, 1) + data)

    def bytes(self, compression="", cut=0):
        chunk = struct.pack("<QQQI", 0, 1, len(self.body), 0) + text(compression)
        chunk += struct.pack("<Q", len(self.body)) + self.body
        whole = MAGIC + record(0x01, text("ros2") + text("")) + record(0x06, chunk)
        return whole[:-cut] if cut else whole + record(0x0F, struct.pack("<I", 0))


@pytest.fixture
def steps(bundle_path):
    """(observations, actions) of the balancer's own network."""
    observations = np.random.default_rng(3).normal(size=(STEPS, 154)).astype(np.float32)
    session = OnnxSession(bundle_path)
    return observations, np.stack([session(row) for row in observations])


@pytest.fixture
def bag(tmp_path, steps, bundle_path):
    def write(name="bag", *, wrong=None, sha=None, **options):
        content = Bag()
        description = {"graph_sha256": sha or Bundle.read(bundle_path).model.graph_sha256}
        content.add("/policy/description", string_cdr(json.dumps(description)))
        for k, (observation, action) in enumerate(zip(*steps, strict=True)):
            action = action + (np.eye(29)[4] * 0.01 if k == wrong else 0.0)
            content.add("/policy/observation", vector_cdr(100 + k, k, observation))
            content.add("/policy/action", vector_cdr(100 + k, k, action))
        folder = tmp_path / name
        folder.mkdir()
        (folder / f"{name}_0.mcap").write_bytes(content.bytes(**options))
        return folder

    return write


def test_a_bag_of_this_policy_replays_exactly(bag, bundle_path, tmp_path):
    assert Replay(log=bag(), policy=bundle_path, json=tmp_path / "r.json")() == 0
    summary = json.loads((tmp_path / "r.json").read_text())["summary"]
    assert summary["steps"] == STEPS and summary["largest_difference"] < 1e-6


def test_a_changed_action_fails_and_is_named(bag, bundle_path, tmp_path):
    assert Replay(log=bag(wrong=7), policy=bundle_path, json=tmp_path / "r.json")() == 1
    summary = json.loads((tmp_path / "r.json").read_text())["summary"]
    assert summary["step"] == 107 and summary["joint"] == "left_ankle_pitch_joint"
    assert summary["largest_difference"] == pytest.approx(0.01, rel=1e-3)


def test_a_bag_of_another_network_is_refused(bag, bundle_path):
    with pytest.raises(ConfigError, match="another network"):
        Replay(log=bag(sha="0" * 64), policy=bundle_path)()


def test_a_bag_whose_recorder_was_killed_is_read_up_to_there(tmp_path, steps):
    content = Bag()
    content.add("/policy/observation", vector_cdr(1, 1, steps[0][0]))
    # Without a chunk around them, as a recorder that is killed leaves them.
    whole = MAGIC + content.body
    (tmp_path / "a.mcap").write_bytes(whole + content.body[:-30])
    found = list(read_messages(tmp_path / "a.mcap", ("/policy/observation",)))
    assert len(found) == 1 and found[0].type == "bm_msgs/msg/PolicyVector"


def test_a_step_that_lost_its_action_is_counted(tmp_path, steps):
    content = Bag()
    for k in range(3):
        content.add("/policy/observation", vector_cdr(k, k, steps[0][k]))
    content.add("/policy/action", vector_cdr(1, 1, steps[1][1]))
    (tmp_path / "a.mcap").write_bytes(content.bytes())
    found = read_recording(tmp_path / "a.mcap")
    assert found.step.tolist() == [1] and found.unpaired == 2
    np.testing.assert_array_equal(found.observation[0], steps[0][1])


def test_a_compressed_bag_says_what_to_do(tmp_path):
    (tmp_path / "a.mcap").write_bytes(Bag().bytes(compression="zstd"))
    with pytest.raises(ConfigError, match="zstd; write it anew with `ros2 bag convert`"):
        read_recording(tmp_path / "a.mcap")


def test_other_files_are_refused(tmp_path):
    (tmp_path / "a.mcap").write_bytes(b"SQLite format 3\x00")
    with pytest.raises(ConfigError, match="no MCAP file"):
        read_recording(tmp_path / "a.mcap")
    with pytest.raises(ConfigError, match="no such recording"):
        read_recording(tmp_path / "nothing")


def test_a_log_of_bm_run_leaves_out_what_the_policy_took_no_part_in(tmp_path, steps, bundle_path):
    observation, action = (np.vstack([np.full((2, part.shape[1]), np.nan, np.float32), part]) for part in steps)
    np.savez(tmp_path / "run.npz", observation=observation, action=action, frame=np.arange(STEPS + 2))
    assert len(read_recording(tmp_path / "run.npz").observation) == STEPS
    assert Replay(log=tmp_path / "run.npz", policy=bundle_path)() == 0

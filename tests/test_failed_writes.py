"""Every command whose result cannot be written: exit code 2, one line, the older file whole, nothing half written.

Full disk: the most bytes that this process may write into a file (RLIMIT_FSIZE) are so few that every result is too
long. That is a real write that fails in the kernel, and needs no rights.
"""

import contextlib
import json
import os
import shutil
import sys

import h5py
import pytest

from bm_core.data import shipped
from bm_core.errors import ConfigError
from bm_core.motion import load_clip, save_clip
from bm_sim2real import recorder
from bm_sim2real.cli import main
from bm_sim2real.command_table import find_commands
from bm_sim2real.output_places import FILES, PLACES, output_options
from bm_sim2real.result_json import write_result

resource = pytest.importorskip("resource", reason="limits of a process are for POSIX")
POLICY, WALK = shipped("policies", "g1_tracker.onnx"), shipped("motions", "walk.npz")
COMMANDS = {" ".join(command.words): command for command in find_commands()}
NEEDS_TRAINING = ("bm_training.tracking", "bm_training.diffusion", "bm_export", "bm_training.bench")
"""Modules whose commands need torch before they look at their files."""
BYTES = 64
"""Of a file, while the disk is full: a semaphore of the system has room, no result has."""

OLD = b"an older result"


@pytest.fixture(scope="session")
def inputs(tmp_path_factory):
    """What the commands read: a recording, an evaluation, a clip of a third of a second."""
    folder = tmp_path_factory.mktemp("inputs")
    short = load_clip(WALK, end_s=0.3)
    save_clip(short, folder / "walk.npz")
    assert main(["run", "--seconds", "0.1", "--record", str(folder / "log.npz")]) == 0
    words = ["eval", "tracking", "--motions", str(folder / "walk.npz"), "--jobs", "1"]
    assert main([*words, "--json", str(folder / "evaluation.json")]) in (0, 1)
    shutil.copy(folder / "evaluation.json", folder / "again.json")
    (folder / "stands.yaml").write_text("scenarios:\n  - {name: stands, motion: stand.npz, end_s: 0.4}\n")
    return folder


@contextlib.contextmanager
def full_disk():
    """No file may grow beyond some bytes. SIGXFSZ is ignored by Python, so a write says EFBIG, as it says ENOSPC."""
    # A module that is first imported now would leave half of its bytecode, which Python 3.11 then fails on for good.
    keeps_none, sys.dont_write_bytecode = sys.dont_write_bytecode, True
    before = resource.getrlimit(resource.RLIMIT_FSIZE)
    resource.setrlimit(resource.RLIMIT_FSIZE, (BYTES, before[1]))
    try:
        yield
    finally:
        resource.setrlimit(resource.RLIMIT_FSIZE, before)
        sys.dont_write_bytecode = keeps_none


@pytest.fixture
def lines(tmp_path, monkeypatch, capsys):
    """Runs a command line in an empty folder; gives back exit code, stdout and stderr."""
    monkeypatch.chdir(tmp_path)

    def run(words):
        code = main(words)
        captured = capsys.readouterr()
        return code, captured.out, captured.err

    with open(os.devnull) as nothing:
        monkeypatch.setattr(sys, "stdin", nothing)
        yield run


def everything(folder):
    """Path -> content of all that lies in a folder; None for a folder."""
    return {
        str(path.relative_to(folder)): None if path.is_dir() else path.read_bytes()
        for path in sorted(folder.rglob("*"))
    }


def is_one_line(err, place):
    """Whether stderr is one error about that place; a progress bar that has gone leaves an empty line."""
    said = [line for line in err.splitlines() if line.strip()]
    return len(said) == 1 and said[0].startswith("error: ") and str(place) in said[0]


WRITERS = {
    "check json": ("check {policy} --json {out}", "x.json"),
    "diff json": ("diff {policy} {policy} --json {out}", "x.json"),
    "replay json": ("replay {log} --json {out}", "x.json"),
    "eval compare json": ("eval compare {evaluation} {again} --json {out}", "x.json"),
    "eval tracking json": ("eval tracking --motions {walk} --jobs 1 --json {out}", "x.json"),
    "bench json": ("bench --steps 50 --loads 0 --json {out}", "x.json"),
    "regress json": ("regress {stands} --jobs 1 --json {out}", "x.json"),
    "regress junit": ("regress {stands} --jobs 1 --junit {out}", "x.xml"),
    "regress report": ("regress {stands} --jobs 1 --report {folder}", "regress.html"),
    "demo metrics": ("demo --motions {walk} --film-seconds 0 --report {folder}", "metrics.json"),
    "run json": ("run --seconds 0.1 --json {out}", "x.json"),
    "run h5": ("run --seconds 0.1 --record {out}", "x.h5"),
    "run npz": ("run --seconds 0.1 --record {out}", "x.npz"),
    "motion check json": ("motion check {walk} --json {out}", "x.json"),
    "motion check set": ("motion check {walk} --fit-set {out}", "x.yaml"),
    "motion convert": ("motion convert {walk} --out {folder}", "walk.npz"),
    "motion generate": ("motion generate --minutes 0 --stop-phases 0 --out {folder}", "stand.npz"),
    "motion render png": ("motion render {walk} --frames 2 --size 64 48 --out {out}", "x.png"),
    "motion render mp4": ("motion render {walk} --size 64 48 --out {out}", "x.mp4"),
    "motion render gif": ("motion render {walk} --size 64 48 --out {out}", "x.gif"),
    "motion similar json": ("motion similar {walk} {stand} --json {out}", "x.json"),
    "motion similar png": ("motion similar {walk} {stand} --png {out}", "x.png"),
    "sim-robot truth": ("sim-robot --seconds 0.1 --truth {out}", "x.npz"),
}
KEPT = {"regress json", "regress junit", "regress report", "demo metrics", "run json"} | {
    name for name in WRITERS if name.endswith(" json")
}
"""Results of a measurement, which must not be lost with their file."""


def words_of(line, inputs, target):
    paths = {
        "policy": POLICY,
        "log": inputs / "log.npz",
        "evaluation": inputs / "evaluation.json",
        "again": inputs / "again.json",
        "walk": inputs / "walk.npz",
        "stand": shipped("motions", "stand.npz"),
        "stands": inputs / "stands.yaml",
        "out": target,
        "folder": target.parent,
    }
    return [word.format(**paths) for word in line.split()]


@pytest.mark.parametrize("name", WRITERS)
def test_a_full_disk_is_one_line_and_leaves_the_older_file(name, inputs, lines, tmp_path):
    line, file = WRITERS[name]
    target = tmp_path / "results" / file
    target.parent.mkdir()
    target.write_bytes(OLD)
    with full_disk():
        code, out, err = lines(words_of(line, inputs, target))
    assert code == 2, err[-2000:]
    assert is_one_line(err, target), err[-2000:]
    assert everything(target.parent) == {file: OLD}
    if name in KEPT:
        assert "the result has gone to stdout" in err
        assert len(out) > BYTES


# -- before the work

NEEDED = {
    "check": "x.onnx",
    "diff": "x.onnx y.onnx",
    "replay": "x.h5",
    "eval compare": "a=x b=y",
    "eval isaaclab": "x --motions x",
    "motion convert": "x",
    "motion render": "x",
    "motion retarget": "x",
    "bridge": "--network-interface lo",
    "train report": "x",
    "train compare": "a=x",
    "train tracking": "--motions x",
    "train diffusion": "--data x",
    "train distill": "--motions x --teacher x=y",
    "train latent": "--motions x --teacher x",
    "train ablate": "--motions x",
    "train eval-diffusion": "x",
    "collect": "--motions x --teacher x",
    "collect info": "x",
    "collect rounds": "--model x --motions x --teacher x",
    "export diffusion": "x",
    "export tracking": "x",
}
"""What a command cannot be called without, beside its output; none of these files exists."""
FIXED = {"motion render": "x.png", "motion retarget": "x.npz"}
"""Outputs whose suffix is looked at."""


def options_of(command):
    """The options by which a command writes; none if it cannot be loaded here."""
    try:
        return output_options(command.load())
    except ModuleNotFoundError:
        return []


PLACED = [(name, option) for name, command in COMMANDS.items() for option in options_of(command)]


@pytest.mark.parametrize("situation", ["below a file", "folder", "read-only"])
@pytest.mark.parametrize("name, option", PLACED, ids=lambda value: str(value))
def test_a_place_that_cannot_be_written_is_refused_before_the_work(name, option, situation, lines, tmp_path):
    """Before the inputs, too: none of them exists, and that is not what the line is about."""
    (tmp_path / "file").write_bytes(OLD)
    folder = {"below a file": tmp_path / "file", "folder": tmp_path / "f", "read-only": "/proc/nowhere"}[situation]
    target = f"{folder}/{FIXED.get(name, 'x.json') if option in (*FILES, 'out') else 'place'}"
    if situation == "folder":
        if option in PLACES:
            pytest.skip("a folder is a place for it")
        os.makedirs(target)
    words = [*name.split(), *NEEDED.get(name, "").split(), f"--{option.replace('_', '-')}", target]
    out = "--run-dir" if "run_dir" in options_of(COMMANDS[name]) else "--out"
    if out[2:].replace("-", "_") in options_of(COMMANDS[name]) and option not in ("out", "run_dir"):
        words += [out, str(tmp_path / FIXED.get(name, "results"))]
    before = everything(tmp_path)
    code, _, err = lines(words)
    assert code == 2, err[-2000:]
    assert is_one_line(err, target), err[-2000:]
    assert "cannot be written" in err or "not a regular file" in err
    assert everything(tmp_path) == before


def test_every_option_that_is_a_place_is_known_by_its_name():
    """An option of another name would be looked at after the work only."""
    inputs = {
        *("policy", "motion", "motions", "motion_root", "gamepad", "guidance", "tracker", "teacher", "joystick", "log"),
        *("run", "bin_probabilities", "curriculum", "resume", "init_from", "latent", "model", "gate_teacher", "clip"),
        *("reference", "embed_motion", "checkpoint", "bundles", "inputs", "paths", "files", "folder", "data"),
        *("teachers", "recording", "first", "second", "bundle", "evaluations", "source", "remote", "collection"),
    }
    for command in COMMANDS.values():
        try:
            fields = command.load().__dataclass_fields__
        except ModuleNotFoundError:
            continue
        paths = {name for name, field in fields.items() if "Path" in str(field.type)}
        assert paths <= inputs | set(FILES) | set(PLACES), command.name


def test_looking_at_a_place_leaves_nothing_and_makes_no_folder(lines, tmp_path):
    code, _, err = lines(["check", "no-such.onnx", "--json", "new/folder/x.json"])
    assert code == 2 and "no-such.onnx" in err
    assert everything(tmp_path) == {}


# -- what a measurement has found is not lost


def test_a_result_that_cannot_be_written_is_kept_among_the_temporary_files(tmp_path, monkeypatch):
    monkeypatch.setattr("tempfile.tempdir", str(tmp_path / "temporary"))
    (tmp_path / "file").write_bytes(OLD)
    with pytest.raises(ConfigError, match=r"cannot be written.*the result is kept in (.*)x\.json$") as raised:
        write_result(tmp_path / "file" / "x.json", command="test", rows=[], summary={"hours": 3}, passed=True)
    (kept,) = (tmp_path / "temporary").rglob("x.json")
    assert str(raised.value).endswith(str(kept))
    assert json.loads(kept.read_text())["summary"] == {"hours": 3}
    assert (tmp_path / "file").read_bytes() == OLD


def test_a_recording_keeps_what_came_before_the_disk_was_full(inputs, lines, tmp_path, monkeypatch):
    """2 s on the disk, then no more: the file is whole, beside the older one, and the line names it."""
    monkeypatch.setattr(recorder, "CHUNK", 50)
    (tmp_path / "x.h5").write_bytes(OLD)
    seconds, take_room = [], recorder.take_room

    def until_full(path, size):
        seconds.append(1.0)
        if len(seconds) > 3:  # once for the empty file, once a second
            raise OSError(28, os.strerror(28))
        take_room(path, size)

    monkeypatch.setattr(recorder, "take_room", until_full)
    code, _, err = lines(["run", "--seconds", "0.1", "--record", str(tmp_path / "x.h5")])
    part = tmp_path / "x.part.h5"
    assert code == 2
    assert is_one_line(err, tmp_path / "x.h5") and err.rstrip().endswith(f"the 2 s until then are in {part}")
    assert (tmp_path / "x.h5").read_bytes() == OLD
    with h5py.File(part) as file:
        assert {len(file[name]) for name in file} == {100}
        assert "contract" in json.loads(file.attrs["info"])
    assert part.stat().st_size < 2_000_000  # the room that was kept has been given back


def test_a_recording_never_overwrites_what_a_crash_has_left(inputs, lines, tmp_path):
    (tmp_path / "x.part.h5").write_bytes(OLD)
    assert lines(["run", "--seconds", "0.1", "--record", str(tmp_path / "x.h5")])[0] == 0
    assert everything(tmp_path).keys() == {"x.h5", "x.part.h5"}
    assert (tmp_path / "x.part.h5").read_bytes() == OLD


def test_a_generated_set_is_written_whole_or_not_at_all(lines, tmp_path):
    """The manifest's place is a folder, which shows after all clips; the older clip stays."""
    out = tmp_path / "clips"
    out.mkdir()
    (out / "stand.npz").write_bytes(OLD)
    with full_disk():
        assert lines(["motion", "generate", "--minutes", "0", "--stop-phases", "0", "--out", str(out)])[0] == 2
    assert everything(out) == {"stand.npz": OLD}


@pytest.mark.skipif(not os.path.exists("/dev/full"), reason="needs /dev/full")
def test_a_full_disk_behind_stdout_is_one_line(tmp_path):
    import subprocess

    with open("/dev/full", "w") as full:
        command = [sys.executable, "-m", "bm_sim2real.cli", "motion", "list"]
        answer = subprocess.run(command, stdout=full, stderr=subprocess.PIPE, text=True, cwd=tmp_path)
    assert answer.returncode == 2
    assert is_one_line(answer.stderr, "stdout") and os.strerror(28) in answer.stderr

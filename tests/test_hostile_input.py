"""Every command of `bm` on missing, empty, wrong and hostile input: exit code 2, one line, nothing written."""

import os
import sys

import pytest

from bm_core.data import shipped
from bm_sim2real.cli import main
from bm_sim2real.command_table import find_commands

NOWHERE = "no/such/file"
COMMANDS = {" ".join(command.words): command for command in find_commands()}
NEEDS_TRAINING = ("bm_training.tracking", "bm_training.diffusion", "bm_export", "bm_training.bench")
"""Modules whose commands need torch before they look at their files."""


def is_here(command):
    try:
        command.load()
        if command.target.startswith(NEEDS_TRAINING):
            import torch  # noqa: F401
    except ModuleNotFoundError:
        return False
    return True


@pytest.fixture
def lines(tmp_path, monkeypatch, capsys):
    """Runs a command line in an empty folder; gives back its code, its stderr and the files it left behind."""
    monkeypatch.chdir(tmp_path)

    def run(*words):
        before = sorted(path for path in tmp_path.rglob("*"))
        code = main(list(map(str, words)))
        left = [str(path) for path in sorted(tmp_path.rglob("*")) if path not in before]
        return code, capsys.readouterr().err.strip(), left

    return run


def refused(result, words):
    code, err, left = result
    assert code == 2, (words, err[-600:])
    assert "Traceback" not in err and "bug in beyondmimic" not in err, (words, err[-1500:])
    assert err, words
    if err.startswith("error: "):
        assert "\n" not in err, (words, err)
    assert left == [], words


@pytest.mark.parametrize("name", COMMANDS)
def test_an_unknown_option_is_refused(name, lines):
    if not is_here(COMMANDS[name]):
        pytest.skip("needs the training environment")
    refused(lines(*name.split(), "--no-such-option", "3"), name)


def texts(tmp_path):
    """Files that are nothing a command wants."""
    files = {
        "empty": b"",
        "text": b"hello\n" * 20,
        "binary": bytes(range(256)) * 40,
        "html": b"<html><script>alert(1)</script></html>",
        "zip": b"PK\x03\x04" + bytes(200),
        "bomb.yaml": b"a: &a [x,x,x,x,x,x,x,x]\nb: &b [*a,*a,*a,*a]\nc: [*b,*b,*b,*b]\n",
        "deep.json": b"[" * 50_000,
    }
    for name, content in files.items():
        (tmp_path / name).write_bytes(content)
    return files


BUNDLE_TAKERS = {
    "check": "{}",
    "diff": "{} {}",
    "demo": "--policy {}",
    "view": "--policy {}",
    "run": "--policy {}",
    "eval tracking": "--policy {}",
    "eval brake": "--policy {}",
    "eval diffusion": "--policy {} --runs 1",
    "bench": "--policy {} --steps 50 --loads 0",
    "bench diffusion": "{}",
    "play-diffusion": "--policy {} --headless",
    "replay": "{}",
    "regress": "{}",
}
MOTION_TAKERS = {
    "motion check": "{}",
    "motion convert": "{} --out out",
    "motion list": "{}",
    "motion render": "{} --out out.png",
    "motion retarget": "{} --out out.npz",
    "eval tracking": "--motions {}",
    "eval brake": "--motions {}",
    "demo": "--motions {}",
    "view": "--motion {}",
    "run": "--motion {}",
}
TAKERS = [(name, words, ".onnx") for name, words in BUNDLE_TAKERS.items()] + [
    (name, words, ".npz") for name, words in MOTION_TAKERS.items()
]


@pytest.mark.parametrize("name, words, suffix", TAKERS, ids=lambda value: str(value))
def test_a_missing_file_is_refused_by_name(name, words, suffix, lines):
    arguments = words.replace("{}", NOWHERE + suffix).split()
    result = lines(*name.split(), *arguments)
    refused(result, (name, words))
    assert "file" in result[1]


@pytest.mark.parametrize("name, words, suffix", TAKERS, ids=lambda value: str(value))
def test_a_file_that_is_something_else_is_refused(name, words, suffix, lines, tmp_path):
    for kind, content in texts(tmp_path).items():
        file = tmp_path / f"{kind.partition('.')[0]}{suffix}"
        file.write_bytes(content)
        code, err, left = lines(*name.split(), *words.replace("{}", str(file)).split())
        if name in ("motion check", "motion list"):  # to find faults is their work
            assert code in (1, 2) and "Traceback" not in err and left == []
            continue
        refused((code, err, left), (name, kind))


@pytest.mark.parametrize("name, words, suffix", TAKERS, ids=lambda value: str(value))
def test_a_folder_where_a_file_belongs_is_refused(name, words, suffix, lines, tmp_path):
    folder = tmp_path / f"folder{suffix}"
    folder.mkdir()
    refused(lines(*name.split(), *words.replace("{}", str(folder)).split()), (name, words))


NUMBERS = {
    "eval tracking": ["--seeds 0", "--delay-ms 3", "--friction -1", "--mass-scale nan", "--gain-scale inf", "--jobs x"],
    "eval brake": ["--trials many", "--delay-ms -2", "--max-speed 0"],
    "eval diffusion": ["--task fly", "--runs x"],
    "bench": ["--steps 0", "--loads -1", "--bridge-seconds -1"],
    "regress": ["--only no-such-scenario", "--jobs 0", "--update --only walks", "--update --matrix"],
    "faults": ["--only rain", "--transport pigeon"],
    "motion generate": ["--out out --minutes -1", "--out out --num 0"],
    "run": ["--robot tank", "--network-interface"],
    "soak": ["--real-time-factor 2"],
    "sim-robot": [
        "--real-time-factor 0",
        "--real-time-factor nan",
        *(f"--seconds 0.1 {option} {number}" for option in ("--battery", "--lower-after") for number in ("nan", "-1")),
        *("--seconds 0.1 --battery 300", "--seconds 0.1 --lower-after inf", "--seconds 0.1 --lift-after nan"),
        *("--seconds 0.1 --latency-ms 3", "--seconds 0.1 --jitter-ms -2", "--seconds 0.1 --mode-machine 256"),
    ],
    "bridge": ["--network-interface lo --real-time-factor 1.5", "--network-interface eth9 --real-time-factor 0.5"],
    "check": ["", "a b"],
    "diff": ["one"],
}


@pytest.mark.parametrize("line", [f"{name} {words}" for name, many in NUMBERS.items() for words in many])
def test_a_senseless_value_is_refused(line, lines):
    refused(lines(*line.split()), line)


@pytest.mark.parametrize("words", ["", "fly", "eval", "motion fly", "bench fly", "🤖", "../../etc/passwd", "--json"])
def test_senseless_commands_are_refused(words, lines):
    refused(lines(*words.split()), words)


POLICY = shipped("policies", "g1_tracker.onnx")
WRITERS = {
    "check": f"{POLICY} --json",
    "motion render": f"{shipped('motions', 'walk.npz')} --end 0.04 --out",
    "motion generate": "--minutes 0 --stop-phases 0 --out",
    "diff": f"{POLICY} {POLICY} --json",
}


@pytest.mark.skipif(os.name != "posix" or os.geteuid() == 0 and sys.platform != "linux", reason="needs /proc")
@pytest.mark.parametrize("name", WRITERS)
def test_a_place_that_cannot_be_written_is_refused(name, lines, monkeypatch):
    place = "/proc/nowhere/out.png" if name == "motion render" else "/proc/nowhere/out"
    code, err, left = lines(*name.split(), *WRITERS[name].split(), place)
    assert code == 2 and left == []
    last = err.splitlines()[-1]
    assert last.startswith("error: ") and "/proc/nowhere" in last


def test_tables_name_commands_that_exist():
    assert set(BUNDLE_TAKERS) | set(MOTION_TAKERS) | set(NUMBERS) | set(WRITERS) <= set(COMMANDS)

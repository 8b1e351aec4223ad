"""Atomic files: the target is the old content or the new one, never a part, and nothing is left beside it."""

import os

import numpy as np
import pytest

from bm_core.atomic_file import atomic_write_bytes, atomic_write_text, replacing
from bm_core.errors import ConfigError


def test_text_is_written_as_utf8_and_folders_are_made(tmp_path):
    path = tmp_path / "new" / "deep" / "note.txt"
    atomic_write_text(path, "naïve Σ\n")
    assert path.read_bytes() == "naïve Σ\n".encode()


def test_failure_in_the_block_keeps_the_old_file_and_leaves_no_partial(tmp_path):
    path = tmp_path / "clip.npz"
    path.write_bytes(b"old")
    with pytest.raises(RuntimeError), replacing(path) as partial:
        partial.write_bytes(b"half of the new")
        raise RuntimeError("crash")
    assert path.read_bytes() == b"old"
    assert [entry.name for entry in tmp_path.iterdir()] == ["clip.npz"]


def test_target_is_untouched_until_the_block_ends(tmp_path):
    path = tmp_path / "clip.npz"
    path.write_bytes(b"old")
    with replacing(path) as partial:
        partial.write_bytes(b"new")
        assert path.read_bytes() == b"old"
    assert path.read_bytes() == b"new"


def test_partial_keeps_the_suffix_that_savez_would_append(tmp_path):
    with replacing(tmp_path / "clip.npz") as partial:
        np.savez(partial, joint_pos=np.ones(3))
    assert np.load(tmp_path / "clip.npz")["joint_pos"].tolist() == [1.0, 1.0, 1.0]


def test_new_file_has_the_rights_of_any_other_new_file(tmp_path):
    (tmp_path / "plain").write_bytes(b"")
    atomic_write_bytes(tmp_path / "atomic", b"")
    assert (tmp_path / "atomic").stat().st_mode == (tmp_path / "plain").stat().st_mode


def test_link_is_followed_and_stays_a_link(tmp_path):
    (tmp_path / "real").write_text("old")
    (tmp_path / "link").symlink_to(tmp_path / "real")
    atomic_write_text(tmp_path / "link", "new")
    assert (tmp_path / "link").is_symlink()
    assert (tmp_path / "real").read_text() == "new"


def test_folder_in_place_of_the_file_is_refused(tmp_path):
    with pytest.raises(ConfigError, match="not a regular file"):
        atomic_write_text(tmp_path, "text")


def test_file_in_place_of_a_folder_is_one_clear_line(tmp_path):
    (tmp_path / "file").write_text("")
    with pytest.raises(ConfigError, match=r"file/x\.json: cannot be written: .*; choose another path$"):
        atomic_write_text(tmp_path / "file" / "x.json", "text")


def test_stream_is_never_replaced(tmp_path):
    """Under `> file`, /dev/stdout leads to a regular file; a rename would pull it from under the shell."""
    with open(tmp_path / "stdout", "wb") as stream, pytest.raises(ConfigError, match="not a regular file"):
        atomic_write_text(f"/dev/fd/{stream.fileno()}", "text")


def test_error_about_another_file_is_not_blamed_on_the_target(tmp_path):
    with pytest.raises(FileNotFoundError), replacing(tmp_path / "out.txt"):
        (tmp_path / "missing-input.txt").read_text()
    assert os.listdir(tmp_path) == []

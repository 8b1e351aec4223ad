"""Files appear whole or not at all: written beside the target, flushed to the disk, then renamed over it."""

from __future__ import annotations

import contextlib
import errno
import os
import secrets
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from bm_core.errors import ConfigError

NO_ROOM = frozenset({errno.ENOSPC, errno.EDQUOT, errno.EFBIG})
"""The disk, the user's share of it or the file has no room left."""
CANNOT_WRITE = NO_ROOM | {errno.EROFS, errno.EIO}
"""What the user's disk can be at fault for, and our code cannot."""


@contextmanager
def replacing(path: str | Path) -> Iterator[Path]:
    """Yield a path to write to; at the end of the block its file replaces `path`, on any exception it is removed.

    The yielded path lies in the target's folder (a rename is atomic only inside one file system) and keeps the suffix,
    because np.savez, imageio and others choose or extend it. Missing folders are made, and are gone again if nothing
    comes of it. Raises ConfigError if the target cannot be written.
    """
    target = _target(path)
    partial = target.with_name(f".{target.stem}.{os.getpid()}-{secrets.token_hex(4)}.tmp{target.suffix}")
    missing = [folder for folder in target.parents if not folder.exists()]
    is_written = False
    try:
        target.parent.mkdir(parents=True, exist_ok=True)
        yield partial
        _flush(partial)
        os.replace(partial, target)
        is_written = True
        _flush(target.parent)
    except OSError as error:
        if not _is_about(error, target, partial):
            raise
        raise cannot_be_written(target, error) from error
    finally:
        with contextlib.suppress(OSError):
            partial.unlink()
        if not is_written:
            _remove_empty(missing)


def atomic_write_bytes(path: str | Path, data: bytes) -> None:
    """Write `data` to `path`, whole or not at all. Raises ConfigError if that cannot be done."""
    with replacing(path) as partial:
        partial.write_bytes(data)


def atomic_write_text(path: str | Path, text: str) -> None:
    """Write `text` as UTF-8 to `path`, whole or not at all. Raises ConfigError if that cannot be done."""
    atomic_write_bytes(path, text.encode())


def check_file_place(path: str | Path) -> None:
    """ConfigError if no file can be written at `path`: asked before the work, not after. Leaves nothing behind."""
    target = _target(path)
    _check_place(target, target.parent)


def check_folder_place(path: str | Path) -> None:
    """ConfigError if no file can be written into the folder `path`, which need not exist. Leaves nothing behind."""
    folder = Path(os.path.realpath(path))
    _check_place(folder, folder)


def _check_place(target: Path, folder: Path) -> None:
    try:
        present = next(place for place in (folder, *folder.parents) if place.exists())
        # Rights alone say too little: the disk may be read-only or full, and root may do everything.
        with tempfile.TemporaryFile(dir=present, prefix=".bm-") as file:
            file.write(b"\0")
            file.flush()
    except OSError as error:
        raise cannot_be_written(target, error) from error


def cannot_be_written(target: Path, error: OSError) -> ConfigError:
    """What the system says about a place, as our one line with the remedy."""
    obstacle = next((place for place in target.parents if place.exists() and not place.is_dir()), None)
    cause = error.strerror or str(error)
    if obstacle is not None:  # the system says "File exists", of which nobody can make anything
        cause = f"{obstacle} is a file, not a folder"
    remedy = "make room on the disk, or choose another path" if error.errno in NO_ROOM else "choose another path"
    return ConfigError(f"{target}: cannot be written: {cause}; {remedy}")


def _remove_empty(folders: list[Path]) -> None:
    """The innermost first; one that holds something, or never came to be, stays as it is."""
    with contextlib.suppress(OSError):
        for folder in folders:
            folder.rmdir()


def _target(path: str | Path) -> Path:
    """Where the bytes go: a link is followed (the link stays); a stream, device or folder is refused."""
    target = Path(os.path.realpath(path))
    # /dev/stdout and /dev/fd/1 lead to a regular file under `> file`; a rename would pull it from under the shell.
    is_stream = os.path.abspath(path).startswith(("/dev/std", "/dev/fd/", "/proc/"))
    if is_stream or (target.exists() and not target.is_file()):
        raise ConfigError(f"{path}: is not a regular file, so it cannot be replaced; choose another path")
    return target


def _is_about(error: OSError, target: Path, partial: Path) -> bool:
    """Only this file's own trouble is reported as such; an OSError of the block about another file goes on."""
    if error.filename is None:  # raised by a write to an open file, which no longer knows its name
        return error.errno in CANNOT_WRITE
    return Path(os.fsdecode(error.filename)) in {partial, target, *target.parents}


def _flush(path: Path) -> None:
    """Wait until the file's (or folder's) content is on the disk: without it a power cut can leave an empty file."""
    descriptor = os.open(path, os.O_RDONLY)
    try:
        os.fsync(descriptor)
    finally:
        os.close(descriptor)

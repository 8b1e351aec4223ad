"""Files appear whole or not at all: written beside the target, flushed to the disk, then renamed over it."""

from __future__ import annotations

import errno
import os
import secrets
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from bm_core.errors import ConfigError


@contextmanager
def replacing(path: str | Path) -> Iterator[Path]:
    """Yield a path to write to; at the end of the block its file replaces `path`, on any exception it is removed.

    The yielded path lies in the target's folder (a rename is atomic only inside one file system) and keeps the suffix,
    because np.savez, imageio and others choose or extend it. Missing folders are made. Raises ConfigError if the
    target cannot be written.
    """
    target = _target(path)
    partial = target.with_name(f".{target.stem}.{os.getpid()}-{secrets.token_hex(4)}.tmp{target.suffix}")
    try:
        target.parent.mkdir(parents=True, exist_ok=True)
        yield partial
        _flush(partial)
        os.replace(partial, target)
        _flush(target.parent)
    except OSError as error:
        if not _is_about(error, target, partial):
            raise
        raise ConfigError(f"{target}: cannot be written: {error.strerror or error}; choose another path") from error
    finally:
        if partial.exists():
            partial.unlink()


def atomic_write_bytes(path: str | Path, data: bytes) -> None:
    """Write `data` to `path`, whole or not at all. Raises ConfigError if that cannot be done."""
    with replacing(path) as partial:
        partial.write_bytes(data)


def atomic_write_text(path: str | Path, text: str) -> None:
    """Write `text` as UTF-8 to `path`, whole or not at all. Raises ConfigError if that cannot be done."""
    atomic_write_bytes(path, text.encode())


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
        return error.errno in {errno.ENOSPC, errno.EDQUOT, errno.EFBIG, errno.EROFS, errno.EIO}
    return Path(os.fsdecode(error.filename)) in {partial, target, *target.parents}


def _flush(path: Path) -> None:
    """Wait until the file's (or folder's) content is on the disk: without it a power cut can leave an empty file."""
    descriptor = os.open(path, os.O_RDONLY)
    try:
        os.fsync(descriptor)
    finally:
        os.close(descriptor)

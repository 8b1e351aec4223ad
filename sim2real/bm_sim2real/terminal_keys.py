"""Single keys from a terminal, without Enter and without waiting."""

from __future__ import annotations

import os
import select
import sys
import termios
import tty


class TerminalKeys:
    """Reads keys while open; Ctrl-C stays a signal. Use as a context manager: the terminal is restored at the end."""

    def __init__(self, fd: int | None = None) -> None:
        """`fd` of a terminal, by default standard input. Without one `is_open` is False and no key ever comes."""
        self._fd = sys.stdin.fileno() if fd is None else fd
        self._before: list | None = None

    def __enter__(self) -> TerminalKeys:
        if os.isatty(self._fd):
            self._before = termios.tcgetattr(self._fd)
            tty.setcbreak(self._fd)
        return self

    def __exit__(self, *_: object) -> None:
        if self._before is not None and self.is_open:
            termios.tcsetattr(self._fd, termios.TCSANOW, self._before)
        self._before = None

    @property
    def is_open(self) -> bool:
        """Whether the terminal is still there; a lost connection hangs it up."""
        if self._before is None:
            return False
        try:
            termios.tcgetattr(self._fd)
        except termios.error:
            return False
        return True

    def take(self) -> str:
        """The keys pressed since the last call."""
        if not self.is_open or not select.select([self._fd], [], [], 0.0)[0]:
            return ""
        try:
            return os.read(self._fd, 64).decode(errors="ignore")
        except OSError:
            return ""

"""Films are made in a second process while the evaluation goes on: they share no lock and no crash with it."""

from __future__ import annotations

import multiprocessing
import os
import time
from collections.abc import Callable
from concurrent.futures import Future, ProcessPoolExecutor, wait
from concurrent.futures.process import BrokenProcessPool
from types import TracebackType

from bm_sim2real.video_clip import ClipVideo, VideoJob, film

NICE = 5
"""The drawing gives way to what is being timed."""


class VideoProcess:
    """One process that films one job after the other. Use it as a context manager; leaving it ends the process."""

    def __init__(self) -> None:
        # Not fork: OpenGL and ONNX Runtime do not survive it.
        context = multiprocessing.get_context("spawn")
        self._pool = ProcessPoolExecutor(max_workers=1, mp_context=context, initializer=_give_way)
        self._films: dict[str, Future[ClipVideo]] = {}

    def __enter__(self) -> VideoProcess:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._stop()

    def submit(self, job: VideoJob) -> None:
        """Queue a film and return at once. After a crash of the process nothing more is queued."""
        try:
            self._films[job.name] = self._pool.submit(film, job)
        except BrokenProcessPool as error:
            self._films[job.name] = Future()
            self._films[job.name].set_exception(error)

    @property
    def queued(self) -> int:
        return len(self._films)

    @property
    def finished(self) -> int:
        return sum(future.done() for future in self._films.values())

    def collect(
        self, seconds: float, on_wait: Callable[[], None] | None = None
    ) -> tuple[dict[str, ClipVideo], dict[str, str]]:
        """Wait at most `seconds` for what is queued; returns films and, for those that are missing, the reason.

        `on_wait` is called some times a second meanwhile.
        """
        deadline = time.monotonic() + seconds
        while self.finished < self.queued and time.monotonic() < deadline:
            if on_wait is not None:
                on_wait()
            pending = [future for future in self._films.values() if not future.done()]
            wait(pending, timeout=min(0.25, max(0.0, deadline - time.monotonic())))
        films, missing = {}, {}
        for name, future in self._films.items():
            if not future.done():
                missing[name] = "not drawn in the time that was left"
            elif (error := future.exception()) is not None:
                missing[name] = _reason(error)
            else:
                films[name] = future.result()
        return films, missing

    def _stop(self) -> None:
        """At once: a film that nobody waits for any more is not worth seconds at the end of a command."""
        workers = list((self._pool._processes or {}).values())
        self._pool.shutdown(wait=False, cancel_futures=True)
        if self.finished < self.queued:
            for worker in workers:
                worker.terminate()


def _give_way() -> None:
    """Lower priority and one thread, also for the software renderer. Read by OpenGL and BLAS when they are loaded."""
    os.environ["LP_NUM_THREADS"] = "1"
    os.environ["OMP_NUM_THREADS"] = "1"
    if hasattr(os, "nice"):
        os.nice(NICE)


def _reason(error: BaseException) -> str:
    if isinstance(error, BrokenProcessPool):
        return "the drawing process crashed"
    first = str(error).strip().splitlines()
    return f"{type(error).__name__}: {first[0][:160]}" if first else type(error).__name__

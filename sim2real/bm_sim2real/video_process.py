"""Films are made in a second process while the evaluation goes on: they share no lock and no crash with it."""

from __future__ import annotations

import multiprocessing
import os
import sys
import time
from collections.abc import Callable
from concurrent.futures import FIRST_COMPLETED, Future, ProcessPoolExecutor, wait
from concurrent.futures.process import BrokenProcessPool

from bm_sim2real.commands.progress import cores
from bm_sim2real.parallel import CleanEnd, begin_worker, end_pool
from bm_sim2real.process_signals import children_ignore_sigint, signals_put_off
from bm_sim2real.rendering import mesh_model_path
from bm_sim2real.video_clip import FRAME_STEPS, ClipVideo, VideoJob, drawing_s, film

NICE = 5
"""The drawing gives way to what is being timed."""


class VideoProcess:
    """One process that films one job after the other; a second one once nothing is timed any more.

    Use it as a context manager; leaving it ends the processes.
    """

    def __init__(self) -> None:
        self._pools = [_pool()]
        self._films: dict[str, tuple[VideoJob, Future[ClipVideo]]] = {}

    def __enter__(self) -> VideoProcess:
        return self

    def __exit__(self, *_: object) -> None:
        self._stop()

    def submit(self, job: VideoJob) -> None:
        """Queue a film and return at once. After a crash of the process every film has that as its reason."""
        self._films[job.name] = job, _submitted(self._pools[0], job)

    @property
    def queued(self) -> int:
        """Films asked for."""
        return len(self._films)

    @property
    def finished(self) -> int:
        """Films that are ready, or never will be."""
        return sum(future.done() for _, future in self._films.values())

    def collect(
        self, seconds: float, on_wait: Callable[[], None] | None = None
    ) -> tuple[dict[str, ClipVideo], dict[str, str]]:
        """Wait at most `seconds` for what is queued; returns films and, for those that are missing, the reason.

        `on_wait` is called some times a second meanwhile.
        """
        self._share()
        deadline = time.monotonic() + seconds
        while self.finished < self.queued and time.monotonic() < deadline:
            if on_wait is not None:
                on_wait()
            with signals_put_off():  # `wait` would keep locks of futures that the pool's thread then waits for
                pending = [future for _, future in self._films.values() if not future.done()]
                wait(pending, timeout=min(0.25, max(0.0, deadline - time.monotonic())), return_when=FIRST_COMPLETED)
        films, missing = {}, {}
        for name, (_, future) in self._films.items():
            if not future.done():
                missing[name] = "not drawn in the time that was left"
            elif (error := future.exception()) is not None:
                missing[name] = _reason(error)
            else:
                films[name] = future.result()
        return films, missing

    def _share(self) -> None:
        """Give every second film that has not begun to a second process, on a core that is now free."""
        waiting = [name for name, (_, future) in self._films.items() if not future.done() and not future.running()]
        if cores() < 2 or len(waiting) < 2 or len(self._pools) > 1:
            return
        self._pools.append(_pool())
        for name in waiting[::2]:
            job, future = self._films[name]
            if future.cancel():
                self._films[name] = job, _submitted(self._pools[1], job)

    def _stop(self) -> None:
        """At once: a film that nobody waits for any more is not worth seconds at the end of a command."""
        is_busy = self.finished < self.queued
        for pool in self._pools:
            if is_busy:
                end_pool(pool)
            else:
                pool.shutdown(wait=False)


def _pool() -> ProcessPoolExecutor:
    # Not fork: OpenGL and ONNX Runtime do not survive it.
    return ProcessPoolExecutor(max_workers=1, mp_context=multiprocessing.get_context("spawn"), initializer=_give_way)


def _submitted(pool: ProcessPoolExecutor, job: VideoJob) -> Future[ClipVideo]:
    try:
        with children_ignore_sigint(by_multiprocessing=True):  # the parent ends this process
            return pool.submit(CleanEnd(_film), job)
    except BrokenProcessPool as error:
        failed: Future[ClipVideo] = Future()
        failed.set_exception(error)
        return failed


def _give_way() -> None:
    """Lower priority and one thread, also for the software renderer: OpenGL and BLAS read that when they are loaded."""
    begin_worker()
    os.environ["LP_NUM_THREADS"] = "1"
    os.environ["OMP_NUM_THREADS"] = "1"
    if hasattr(os, "nice"):
        os.nice(NICE)


def _film(job: VideoJob) -> ClipVideo:
    """In the drawing process: with mjlab's meshes if this machine draws them fast enough, else with our primitives.

    Without a GPU a picture of the meshes (0.4 million faces, twice) takes 270 ms instead of 43 [measured].
    """
    if mesh_model_path() is not None and drawing_s(job) / FRAME_STEPS[0] > job.draw_s:
        sys.modules["mjlab"] = None  # type: ignore[assignment]  # Python's way to say that a package is not there
    return film(job)


def _reason(error: BaseException) -> str:
    if isinstance(error, BrokenProcessPool):
        return "the drawing process crashed"
    first = str(error).strip().splitlines()
    return f"{type(error).__name__}: {first[0][:160]}" if first else type(error).__name__

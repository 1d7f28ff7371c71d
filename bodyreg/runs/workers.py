"""Work shared by processes of this machine, each with one thread."""

from __future__ import annotations

import contextlib
import gc
import multiprocessing
import os
import signal
import sys
import threading
from collections.abc import Callable, Iterator, Sequence
from concurrent.futures import FIRST_COMPLETED, Future, ProcessPoolExecutor, wait
from concurrent.futures.process import BrokenProcessPool
from multiprocessing import forkserver
from multiprocessing.context import BaseContext
from typing import TypeVar

from bodyreg.errors import UserError

# Libraries read these when they are loaded, so they are set before a process starts.
THREADS = ("OMP_NUM_THREADS", "OPENBLAS_NUM_THREADS", "MKL_NUM_THREADS")
# Tasks that wait for each process: enough that no process is idle, and few to finish after Ctrl+C.
IN_LINE = 2

Task = TypeVar("Task")
Result = TypeVar("Result")


def foresee(module: str) -> None:
    """Begin to load a module for later processes, while this one goes on.

    On Linux, processes are forks of a server that has loaded the module. Elsewhere they load it
    themselves.

    Args:
        module: The module that their tasks need.
    """
    context = _context()
    if context.get_start_method() == "forkserver":
        context.set_forkserver_preload([module])
        with _single_threads():
            forkserver.ensure_running()


def cores() -> int:
    """How many processors this process may use."""
    return len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count() or 1


def in_processes(
    function: Callable[[Task], Result], tasks: Sequence[Task], workers: int
) -> Iterator[Result]:
    """Do tasks in other processes, which end with this one.

    Args:
        function: Does a task; it is a function of a module.
        tasks: Values that can be pickled.
        workers: The number of processes.

    Yields:
        Results, in the order in which they come.

    Raises:
        UserError: a task has raised it, or a process was killed.
    """
    waiting = iter(tasks)
    with _single_threads(), _pool(min(workers, len(tasks))) as pool:
        running: set[Future[Result]] = set()
        while True:
            for task in waiting:
                running.add(pool.submit(function, task))
                if len(running) >= IN_LINE * workers:
                    break
            if not running:
                return
            done, running = wait(running, return_when=FIRST_COMPLETED)
            for future in done:
                try:
                    yield future.result()
                except BrokenProcessPool as error:
                    raise UserError(
                        "a worker process was killed, perhaps for lack of memory; give the same "
                        "command again to go on, with fewer --workers"
                    ) from error


@contextlib.contextmanager
def _pool(workers: int) -> Iterator[ProcessPoolExecutor]:
    # The environment may have changed since the server was started.
    surroundings = dict(os.environ)
    pool = ProcessPoolExecutor(max(1, workers), _context(), _begin, (surroundings,))
    try:
        yield pool
    finally:
        pool.shutdown(cancel_futures=True)


def _context() -> BaseContext:
    # A fork of this process would inherit the locks of its threads; the server has no threads.
    # On other systems than Linux, system libraries do not survive a fork.
    return multiprocessing.get_context("forkserver" if sys.platform == "linux" else "spawn")


@contextlib.contextmanager
def _single_threads() -> Iterator[None]:
    before = {name: os.environ.get(name) for name in THREADS}
    os.environ.update(dict.fromkeys(THREADS, "1"))
    try:
        yield
    finally:
        for name, value in before.items():
            if value is None:
                del os.environ[name]
            else:
                os.environ[name] = value


def _begin(surroundings: dict[str, str]) -> None:
    """Prepare a new process: it ends with the one that started it, which alone handles Ctrl+C."""
    os.environ.update(surroundings)
    signal.signal(signal.SIGINT, signal.SIG_IGN)
    # Loaded libraries stay: Python need not look for garbage among their objects.
    gc.freeze()
    gc.set_threshold(50_000)
    threading.Thread(target=_end_with_parent, daemon=True).start()
    import cv2
    import torch

    torch.set_num_threads(1)
    cv2.setNumThreads(1)


def _end_with_parent() -> None:
    parent = multiprocessing.parent_process()
    if parent is not None:
        parent.join()
        os._exit(1)

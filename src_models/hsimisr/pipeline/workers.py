"""Tiles made by other processes: workers of a dask cluster, started on this machine or running elsewhere."""

from __future__ import annotations

import asyncio
import logging
import os
import signal
import threading
from collections import Counter
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path
from types import FrameType
from typing import TYPE_CHECKING

import hsimisr
from hsimisr.cube import CubeSource, FrameStack
from hsimisr.errors import ConfigError, HsimisrError, MemoryLimitError, StackError
from hsimisr.geometry import View
from hsimisr.io.open import open_frames
from hsimisr.pipeline.device import choose_device, free_memory, is_out_of_memory
from hsimisr.pipeline.tile_job import TileJob

if TYPE_CHECKING:
    from distributed import Client

CONNECT_S = 5
POLL_S = 0.5
"""Seconds until a scheduler that does not answer is given up, and between two looks at the cancel flag."""


@contextmanager
def start_workers(count: int, device: str) -> Iterator[Workers]:
    """Worker processes on this machine, which share its cores.

    Raises:
        ConfigError: the extra `cluster` is not installed.
    """
    _check_installed("--workers")
    from distributed import Client, LocalCluster

    cores = len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count() or 1
    each = str(max(cores // count, 1))
    threads = dict.fromkeys(("OMP_NUM_THREADS", "MKL_NUM_THREADS", "OPENBLAS_NUM_THREADS"), each)
    with _quiet():
        with _ctrl_c_later():
            cluster = LocalCluster(
                n_workers=count,
                threads_per_worker=1,
                processes=True,
                dashboard_address=None,
                silence_logs=logging.CRITICAL,
                env=threads,
            )
        with cluster, Client(cluster, set_as_default=False) as client:  # reading and writing stay in this process
            client.run(_ignore_ctrl_c)  # it reaches all processes of a terminal; this one stops the others
            yield Workers(client, device)


@contextmanager
def connect(address: str, device: str) -> Iterator[Workers]:
    """The workers of a dask cluster that is running.

    Raises:
        ConfigError: the extra `cluster` is not installed, or no scheduler with workers answers at the address.
    """
    _check_installed("--scheduler")
    from distributed import Client

    with _quiet():
        try:
            asyncio.run(_knock(address))
        except (OSError, ValueError) as error:
            raise ConfigError(
                f"--scheduler {address}: no dask scheduler answers there; give the address that "
                "`dask scheduler` printed, for example tcp://10.0.0.1:8786"
            ) from error
        with Client(address, set_as_default=False) as client:
            workers = Workers(client, device)
            if not workers.slots:
                raise ConfigError(f"--scheduler {address}: has no workers; start some with `dask worker {address}`")
            yield workers


@dataclass(frozen=True, eq=False)
class Workers:
    """Processes that make tiles; `device` is chosen by each of them."""

    client: Client
    device: str

    @property
    def slots(self) -> int:
        """How many tiles are made at a time."""
        return sum(self.client.nthreads().values())

    @property
    def memory(self) -> int:
        """Bytes that each tile may expect to get, on the worker that has the least."""
        known = self.client.scheduler_info(n_workers=-1)["workers"]
        on_host = Counter[str]()
        for worker in known.values():
            on_host[worker["host"]] += worker["nthreads"]
        free = self.client.run(_free_memory, self.device)
        return min(
            min(free[name] // on_host[worker["host"]], (worker["memory_limit"] or free[name]) // worker["nthreads"])
            for name, worker in known.items()
        )

    def check(self, stack: FrameStack, folder: Path) -> None:
        """Raise ConfigError or StackError where the workers cannot do the work: told before it begins."""
        needed = [folder, *(Path(source.path) for source in _sources(stack))]
        try:
            problems = self.client.run(_problem, needed, hsimisr.__version__)
        except ModuleNotFoundError as error:
            raise ConfigError(f"the workers lack {error.name}; install hsimisr {hsimisr.__version__} there") from error
        for name, problem in problems.items():
            if problem:
                raise ConfigError(f"worker {name} {problem}")

    def make(
        self, job: TileJob, stack: FrameStack, missing: dict[View, Path], check: Callable[[], None]
    ) -> Iterator[View]:
        """Make tiles, and give each as it is done.

        Args:
            check: called at least every half second; may raise to stop.
        """
        from distributed import wait

        shared = self.client.scatter(_RemoteJob(job, _sources(stack), stack.reference, self.device), broadcast=True)
        tiles = {
            self.client.submit(_make, shared, tile, path, pure=False): tile  # a tile that is retried is made again
            for tile, path in missing.items()
        }
        waiting = set(tiles)
        try:
            while waiting:
                check()
                try:
                    with self.client.as_current():
                        done, waiting = wait(waiting, timeout=POLL_S, return_when="FIRST_COMPLETED")
                except TimeoutError:
                    continue
                for future in done:
                    _check_made(future.exception(), tiles[future])
                    yield tiles[future]
        finally:
            self.client.cancel(list(tiles))


@dataclass(frozen=True, eq=False)
class _RemoteJob:
    """A job and where its frames are; the worker opens them once and keeps them as long as the job."""

    job: TileJob
    sources: tuple[CubeSource, ...]
    reference: int
    device: str

    @cached_property
    def stack(self) -> FrameStack:
        return open_frames(self.sources, self.reference)


def _make(remote: _RemoteJob, tile: View, path: Path) -> None:
    remote.job.make(remote.stack, tile, path, choose_device(remote.device), lambda _: None)


def _sources(stack: FrameStack) -> tuple[CubeSource, ...]:
    for frame in stack.frames:
        if frame.source is None:
            raise StackError(
                f"{frame.name} comes from no file, so workers cannot open it; save it first, or go without"
            )
    return tuple(frame.source for frame in stack.frames if frame.source is not None)


def _problem(needed: list[Path], version: str) -> str:
    """Why this worker cannot do the work, or nothing."""
    if hsimisr.__version__ != version:
        return f"has hsimisr {hsimisr.__version__} and this is {version}; install the same there"
    for path in needed:
        if not path.exists():
            return f"does not see {path}; frames and output have to be on a file system that all workers share"
    return ""


def _free_memory(device: str) -> int:
    return free_memory(choose_device(device))


def _ignore_ctrl_c() -> None:
    signal.signal(signal.SIGINT, signal.SIG_IGN)


def _check_made(error: BaseException | None, tile: View) -> None:
    """Raise what a tile failed with."""
    from distributed import KilledWorker

    if isinstance(error, KilledWorker):
        raise MemoryLimitError(
            f"workers died while they made tile {tile}, most likely for lack of memory; "
            "use fewer --workers or a lower subspace.rank"
        )
    if error is None:
        return
    if isinstance(error, HsimisrError) or is_out_of_memory(error):
        raise error
    raise RuntimeError(f"tile {tile} failed on a worker") from error


async def _knock(address: str) -> None:
    """Raise OSError or ValueError where no scheduler answers; a client that finds none takes long to give up."""
    from distributed import Security
    from distributed.comm.core import connect

    comm = await connect(address, timeout=CONNECT_S, **Security().get_connection_args("client"))
    await comm.close()


def _check_installed(option: str) -> None:
    try:
        import distributed  # noqa: F401
    except ModuleNotFoundError as error:
        raise ConfigError(
            f"{option} needs dask.distributed; install it with: pip install 'napari-hsimisr[cluster]'"
        ) from error


@contextmanager
def _ctrl_c_later() -> Iterator[None]:
    """Ctrl-C has its effect at the end: a cluster that is interrupted while it starts cannot be closed."""
    if threading.current_thread() is not threading.main_thread():  # which alone has handlers
        yield
        return
    came: list[tuple[int, FrameType | None]] = []
    before = signal.signal(signal.SIGINT, lambda number, frame: came.append((number, frame)))
    try:
        yield
    finally:
        signal.signal(signal.SIGINT, before)
    if came and callable(before):
        before(*came[0])


@contextmanager
def _quiet() -> Iterator[None]:
    """What dask's own log says of lost connections is told here in one line, or is of no concern."""
    log = logging.getLogger("distributed")
    before = log.level
    log.setLevel(logging.CRITICAL)
    try:
        yield
    finally:
        log.setLevel(before)

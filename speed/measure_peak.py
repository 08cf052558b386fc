"""How the benchmarks measure: two ways of doing one thing, taken in turn, each in a process of its own.

A time is only worth something beside another time from the same machine in the same minute, and peak memory can
only be told apart by process: an allocator keeps what one way has freed and hands it to the next. So each way
lives in its own process, one works while the others wait, repetitions alternate, and the median is reported.

A *way* is a picklable callable without arguments that builds what it needs and returns a *pass*: a callable that
does the work once and returns the seconds of each phase and the values to be compared with the other way's.
"""

import argparse
import ctypes
import gc
import platform
import re
import resource
import statistics
import sys
import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from concurrent.futures import ProcessPoolExecutor
from concurrent.futures.process import BrokenProcessPool
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass, fields
from multiprocessing import get_context
from pathlib import Path
from typing import TypeVar

import numpy as np
import psutil
import torch

from lethe.errors import InputError
from lethe.io import write_json
from lethe.provenance import provenance

MIB = 2**20

Values = Mapping[str, torch.Tensor | np.ndarray | float]
Pass = Callable[[], tuple[dict[str, float], Values]]
Way = Callable[[], Pass]
Problem = TypeVar("Problem")


# --- one pass -----------------------------------------------------------------------------------------------


class Stopwatch:
    """Seconds of the phases of a pass; on a GPU the queue is emptied before the clock is read."""

    def __init__(self, device: torch.device):
        self.device = device
        self.seconds: dict[str, float] = {}

    @contextmanager
    def __call__(self, phase: str) -> Iterator[None]:
        _synchronise(self.device)
        start = time.perf_counter()
        yield
        _synchronise(self.device)
        self.seconds[phase] = self.seconds.get(phase, 0.0) + time.perf_counter() - start


class PeakMeter:
    """Peak memory of a pass above what was held before it, MiB.

    GPU: torch's own statistics of allocated memory. Linux CPU: resident memory; free heap pages are first given
    back to the system, or they would hide part of the next pass, then the kernel's high-water mark is reset (`5`
    into /proc/self/clear_refs) and read after the pass (VmHWM). Elsewhere the mark cannot be reset: what is
    measured is its rise since this object was made, with all passes in between.
    """

    def __init__(self, device: torch.device):
        self.device = device
        self.resettable = _reset_high_water()
        self.start = _max_rss_mib()

    def measure(self, work: Callable[[], object]) -> float:
        gc.collect()
        if self.device.type == "cuda":
            _synchronise(self.device)
            before = torch.cuda.memory_allocated(self.device)
            torch.cuda.reset_peak_memory_stats(self.device)
            work()
            _synchronise(self.device)
            return (torch.cuda.max_memory_allocated(self.device) - before) / MIB
        if self.resettable:
            ctypes.CDLL(None).malloc_trim(0)
            _reset_high_water()
            before = _status_mib("VmRSS")
            work()
            return _status_mib("VmHWM") - before
        work()
        return _max_rss_mib() - self.start


def _synchronise(device: torch.device) -> None:
    if device.type == "cuda":
        torch.cuda.synchronize(device)


def _reset_high_water() -> bool:
    try:
        Path("/proc/self/clear_refs").write_text("5")
    except OSError:  # not Linux, or a container that forbids it
        return False
    return True


def _status_mib(key: str) -> float:
    status = Path("/proc/self/status").read_text()
    return int(re.search(rf"^{key}:\s+(\d+) kB", status, re.MULTILINE)[1]) / 1024


def _max_rss_mib() -> float:
    unit = 1 if sys.platform == "darwin" else 1024  # bytes there, KiB elsewhere
    return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss * unit / MIB


def tensor_mib(*tensors: torch.Tensor) -> float:
    """What tensors hold, MiB; shared storage counts once."""
    return sum({t.data_ptr(): t.nbytes for t in tensors}.values()) / MIB


# --- two ways -----------------------------------------------------------------------------------------------


@dataclass
class Outcome:
    """What one way gave.

    Attributes:
        values: of its first pass, fp32 where they were floats.
        peak_mib: peak memory of a pass above what was held before it, MiB.
        passes: seconds by phase of each timed pass.
    """

    values: dict[str, np.ndarray]
    peak_mib: float
    passes: list[dict[str, float]]

    def seconds(self, *phases: str) -> float:
        """Median over the timed passes of the seconds of these phases together; none named: of all phases."""
        return statistics.median(sum(taken[p] for p in phases or taken) for taken in self.passes)


def compare(
    ways: Mapping[str, Way],
    device: torch.device,
    threads: int,
    repetitions: int,
    warm_up: int = 1,
    isolated: bool = True,
) -> dict[str, Outcome]:
    """Take the ways in turn: warm-up passes, a pass whose memory is measured, then `repetitions` timed passes.

    Memory and time come from different passes, because emptying the heap costs time. The order is reversed from
    one repetition to the next.

    Args:
        ways: by name; module-level functions or `functools.partial` of them.
        device, threads: where passes run, and torch's threads on the CPU.
        warm_up: passes before the memory pass, which itself serves as a warm-up of the timed ones.
        isolated: a process for each way; False runs them in this process, where peaks are not comparable.

    Raises:
        InputError: if a way's process dies, most likely because memory did not suffice.
    """
    with ExitStack() as stack:
        call = {name: _caller(name, stack) if isolated else _here for name in ways}
        for name, way in ways.items():
            call[name](_prepare, name, way, device, threads)
        first = {name: call[name](_values, name) if warm_up else {} for name in ways}
        for _ in range(warm_up - 1):
            for name in ways:
                call[name](_seconds, name)
        peaks = {}
        for name in ways:
            peaks[name], values = call[name](_peak, name, not warm_up)
            first[name] = first[name] or values
        passes = {name: [] for name in ways}
        for repetition in range(repetitions):
            for name in list(ways)[:: -1 if repetition % 2 else 1]:
                passes[name].append(call[name](_seconds, name))
        for name in ways:
            call[name](_forget, name)
    return {name: Outcome(first[name], peaks[name], passes[name]) for name in ways}


def relative_difference(a: np.ndarray, b: np.ndarray) -> float:
    """max |a − b| / max |b|.

    Raises:
        ValueError: for different shapes, which would otherwise broadcast, and for values that are not finite.
    """
    if a.shape != b.shape:
        raise ValueError(f"shapes {a.shape} and {b.shape} are not alike")
    if not (np.isfinite(a).all() and np.isfinite(b).all()):
        raise ValueError("values are not finite: there is nothing to compare")
    difference, scale = float(np.abs(a - b).max(initial=0)), float(np.abs(b).max(initial=0))
    return difference / scale if scale else difference


def _here(function, *arguments):
    return function(*arguments)


def _caller(name: str, stack: ExitStack):
    # spawn: a forked child inherits torch's thread pools and autograd state in a broken form
    executor = stack.enter_context(ProcessPoolExecutor(1, mp_context=get_context("spawn")))

    def call(function, *arguments):
        try:
            return executor.submit(function, *arguments).result()
        except BrokenProcessPool as error:
            raise InputError(
                f"the process of '{name}' died, most likely because memory did not suffice; choose smaller sizes."
            ) from error

    return call


_PREPARED: dict[str, tuple[Pass, PeakMeter]] = {}
"""The ways of this process, ready to run: one in a process of its own."""


def _prepare(name: str, way: Way, device: torch.device, threads: int) -> None:
    torch.set_num_threads(threads)
    _PREPARED[name] = way(), PeakMeter(device)


def _values(name: str) -> dict[str, np.ndarray]:
    return {key: _array(value) for key, value in _PREPARED[name][0]()[1].items()}


def _seconds(name: str) -> dict[str, float]:
    return _PREPARED[name][0]()[0]


def _peak(name: str, with_values: bool) -> tuple[float, dict[str, np.ndarray]]:
    work, meter = _PREPARED[name]
    kept: list[Values] = []

    def once() -> None:
        _, values = work()
        if with_values:
            kept.append(values)

    peak = meter.measure(once)
    return peak, {key: _array(value) for values in kept for key, value in values.items()}


def _forget(name: str) -> None:
    del _PREPARED[name]


def _array(value: torch.Tensor | np.ndarray | float) -> np.ndarray:
    return value.detach().float().cpu().numpy() if isinstance(value, torch.Tensor) else np.asarray(value)


# --- command line and report --------------------------------------------------------------------------------


def argument_parser(module_doc: str, repetitions: int) -> argparse.ArgumentParser:
    """Options that all benchmarks share."""
    parser = argparse.ArgumentParser(description=module_doc, formatter_class=argparse.RawDescriptionHelpFormatter)
    add = parser.add_argument
    add("--repetitions", type=int, default=repetitions, help="timed passes of each way (%(default)s)")
    add("--threads", type=int, default=torch.get_num_threads(), help="torch threads (%(default)s)")
    add("--device", choices=["auto", "cpu", "cuda"], default="auto", help="auto: a GPU if there is one")
    add("--json", type=Path, metavar="FILE", help="also write the report as JSON")
    return parser


def llama_arguments(parser: argparse.ArgumentParser) -> None:
    """Options of benchmarks that run a random Llama."""
    add = parser.add_argument
    add("--vocab", type=int, default=32000, help="words of the random Llama; Llama 3 has 128256 (%(default)s)")
    add("--hidden", type=int, default=256, help="its hidden size (%(default)s)")
    add("--layers", type=int, default=4, help="its decoder layers (%(default)s)")
    add("--precision", choices=["float32", "bfloat16"], default="float32", help="of the forward pass (%(default)s)")


def problem_of(cls: type[Problem], arguments: argparse.Namespace) -> Problem:
    """A benchmark's dataclass of sizes, from the options of the same names."""
    sizes = {field.name: getattr(arguments, field.name) for field in fields(cls) if field.name != "device"}
    return cls(**sizes, device=device_of(arguments.device))


def device_of(name: str) -> torch.device:
    return torch.device("cuda" if name == "cuda" or (name == "auto" and torch.cuda.is_available()) else "cpu")


def available_bytes(device: torch.device) -> int:
    """Free memory of the GPU, or memory of the machine that can be had without swapping."""
    return torch.cuda.mem_get_info(device)[0] if device.type == "cuda" else psutil.virtual_memory().available


def markdown(rows: Sequence[Mapping[str, object]], columns: Mapping[str, tuple[str, str]]) -> str:
    """A GitHub table.

    Args:
        rows: one mapping per row; a value of None is shown as –.
        columns: key of the row -> (heading, format of the value).
    """
    lines = [[heading for heading, _ in columns.values()]]
    lines.append(["---" if form == "" else "---:" for _, form in columns.values()])
    for row in rows:
        lines.append(["–" if row[key] is None else format(row[key], form) for key, (_, form) in columns.items()])
    return "\n".join("| " + " | ".join(cells) + " |" for cells in lines)


def finish(
    name: str,
    arguments: argparse.Namespace,
    device: torch.device,
    tables: Mapping[str, Sequence[Mapping[str, object]]],
    text: Sequence[str],
    disagreement: str | None,
) -> int:
    """Print the report, write the JSON, and return the exit status: 1 if the ways do not agree, else 0.

    Args:
        name: of the benchmark.
        tables: rows by name, for the JSON.
        text: the Markdown, a paragraph each.
        disagreement: what does not agree; None if all does.
    """
    processor = torch.cuda.get_device_name(device) if device.type == "cuda" else platform.processor() or "CPU"
    where = f"{processor}, {arguments.threads} threads, torch {torch.__version__}"
    verdict = f"THE TWO WAYS DISAGREE: {disagreement}" if disagreement else "Both ways give the same values."
    print("\n\n".join([f"## {name}", f"{where}; median of {arguments.repetitions} passes.", *text, verdict]))
    if arguments.json is not None:
        settings = {key: value for key, value in vars(arguments).items() if key != "json"}
        report = {"benchmark": name, "device": processor, "agree": disagreement is None, **tables}
        write_json(arguments.json, {**report, "provenance": provenance(settings)})
    return int(disagreement is not None)

"""What processes that have ended leave behind where several count together: their gauges go, what they counted stays. It is
folded into one file of each kind, so that neither the folder nor a scrape grows with every worker that is replaced."""

from __future__ import annotations

import os
import time
from collections import Counter as Count
from collections.abc import Iterable, Iterator
from contextlib import contextmanager, suppress
from typing import Any

from prometheus_client.mmap_dict import MmapedDict
from prometheus_client.multiprocess import mark_process_dead

from nooble.logger import get_logger

try:
    import fcntl
except ImportError:  # without locks between processes nothing is folded
    _HAS_LOCKS = False
else:
    _HAS_LOCKS = True

FOLDER = "PROMETHEUS_MULTIPROC_DIR"
"""Environment variable: the folder in which several processes count together. It is to be set before they start."""

_KINDS = ("counter", "histogram", "summary")
"""Of files whose values are summed over all processes, and so may be summed for good."""
_NOBODY = "0"
"""Stands in the name of the file of all who have ended, where that of a process has its number."""
_LOCK = "folding.lock"
_PATIENCE, _PAUSE = 0.5, 0.005


def forget_process(pid: int) -> None:
    """Forget the gauges of a process that has ended; where several count together, whoever started it says so.

    What it has counted stays, without a file of its own.

    Args:
        pid: its number.
    """
    if folder := os.environ.get(FOLDER):
        _forget_gauges(folder, pid)
        fold(folder)


def forget_the_dead(folder: str) -> None:
    """Forget all that have ended; a process that was killed could not say goodbye."""
    for name in os.listdir(folder):
        pid = _pid_of(name)
        if name.startswith("gauge_live") and pid.isdigit() and not _is_alive(int(pid)):
            _forget_gauges(folder, int(pid))
    fold(folder)


def _forget_gauges(folder: str, pid: int) -> None:
    with suppress(FileNotFoundError):  # somebody else forgets it at the same time
        mark_process_dead(pid, folder)  # type: ignore[no-untyped-call]


def fold(folder: str) -> None:
    """Add up what processes have counted that have ended, unless somebody reads it just now: the next time will do."""
    try:
        with _locked(folder, patience=0.0, alone=True) as is_ours:
            if is_ours:
                names = os.listdir(folder)
                for kind in _KINDS:
                    _fold(folder, kind, [name for name in names if name.startswith(f"{kind}_") and _has_ended(name)])
    except Exception as error:  # what is not folded counts all the same
        get_logger().warning("metrics_not_folded", folder=folder, error=f"{type(error).__name__}: {error}")


@contextmanager
def unfolded(folder: str) -> Iterator[None]:
    """As long as the block lasts, nothing is folded: else what is just moving would be read twice, or not at all."""
    with _locked(folder, patience=_PATIENCE, alone=False):
        yield  # after a while without the lock: whoever has it may stand still


def _fold(folder: str, kind: str, names: Iterable[str]) -> None:
    ended = [os.path.join(folder, name) for name in names]
    if not ended:
        return
    whole = os.path.join(folder, f"{kind}_{_NOBODY}.db")
    new = f"{whole}.new"
    with suppress(FileNotFoundError):  # whoever wrote it last was killed
        os.remove(new)
    totals: Count[str] = Count()
    for path in ([whole] if os.path.exists(whole) else []) + ended:
        totals.update(_read(path))
    file: Any = MmapedDict(new)  # type: ignore[no-untyped-call]
    for key, value in totals.items():
        file.write_value(key, value, 0.0)
    file.close()
    os.replace(new, whole)
    for path in ended:
        os.remove(path)


def _read(path: str) -> dict[str, Any]:
    """What is counted in a file. A process may be killed at any moment; what it leaves unreadable, nobody could scrape."""
    try:
        return {key: value for key, value, *_ in MmapedDict.read_all_values_from_file(path)}  # type: ignore[no-untyped-call]
    except OSError:
        raise
    except Exception as error:
        get_logger().warning("metrics_unreadable", file=path, error=f"{type(error).__name__}: {error}")
        return {}


def _has_ended(name: str) -> bool:
    pid = _pid_of(name)
    return pid.isdigit() and pid != _NOBODY and not _is_alive(int(pid))


def _pid_of(name: str) -> str:
    return name.removesuffix(".db").rpartition("_")[2] if name.endswith(".db") else ""


def _is_alive(pid: int) -> bool:
    try:
        os.kill(pid, 0)
    except ProcessLookupError:
        return False
    except OSError:  # it is somebody else's
        pass
    return True


@contextmanager
def _locked(folder: str, *, patience: float, alone: bool) -> Iterator[bool]:
    """The lock of *folder*, as long as the block lasts: of one who folds, or of all who read. Gives whether it was had."""
    if not _HAS_LOCKS:
        yield False
        return
    try:
        handle = os.open(os.path.join(folder, _LOCK), os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, 0o600)
    except OSError:  # the folder has gone with the supervisor, or may only be read
        yield False
        return
    try:
        yield _lock(handle, fcntl.LOCK_EX if alone else fcntl.LOCK_SH, time.monotonic() + patience)
    finally:
        os.close(handle)


def _lock(handle: int, how: int, until: float) -> bool:
    while True:
        try:
            fcntl.flock(handle, how | fcntl.LOCK_NB)
        except BlockingIOError:
            if time.monotonic() >= until:
                return False
            time.sleep(_PAUSE)
        except OSError:  # a file system without locks
            return False
        else:
            return True

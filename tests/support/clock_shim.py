"""A server whose clock a test sets: a small library between the server and the system adds an offset to the time of day, and
to nothing else. Compiled when first asked for."""

from __future__ import annotations

import ctypes
import mmap
import os
import shutil
import subprocess
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest

from tests.support.servers import Server

_LIBRARY = r"""
#define _GNU_SOURCE
#include <fcntl.h>
#include <stdlib.h>
#include <sys/mman.h>
#include <sys/syscall.h>
#include <sys/time.h>
#include <time.h>
#include <unistd.h>

static volatile long *seconds;

static long offset(void) {
  if (!seconds) {
    static long none;
    const char *path = getenv("CLOCK_SHIM_FILE");
    int file = path ? open(path, O_RDONLY) : -1;
    void *shared = file < 0 ? MAP_FAILED : mmap(0, sizeof(long), PROT_READ, MAP_SHARED, file, 0);
    seconds = shared == MAP_FAILED ? &none : shared;
  }
  return *seconds;
}

int clock_gettime(clockid_t which, struct timespec *now) {
  int failed = syscall(SYS_clock_gettime, which, now);
  if (!failed && (which == CLOCK_REALTIME || which == CLOCK_REALTIME_COARSE)) now->tv_sec += offset();
  return failed;
}

int gettimeofday(struct timeval *now, void *zone) {
  struct timespec exact;
  clock_gettime(CLOCK_REALTIME, &exact);
  if (now) { now->tv_sec = exact.tv_sec; now->tv_usec = exact.tv_nsec / 1000; }
  return 0;
}

time_t time(time_t *also) {
  struct timespec exact;
  clock_gettime(CLOCK_REALTIME, &exact);
  if (also) *also = exact.tv_sec;
  return exact.tv_sec;
}
"""


class ClockShim:
    """Servers that start while it is in force have a clock of their own.

    Args:
        folder: where the library and the offset lie.
    """

    def __init__(self, folder: Path) -> None:
        compiler = shutil.which("cc") or shutil.which("gcc") or shutil.which("clang")
        if compiler is None:
            pytest.skip("this machine has no C compiler to build a clock with")
        if os.uname().sysname != "Linux":
            pytest.skip("only Linux lets a library stand before the system's clock in this way")
        source, self._library, self._file = folder / "clock.c", folder / "clock.so", folder / "offset"
        source.write_text(_LIBRARY)
        subprocess.run([compiler, "-O1", "-shared", "-fPIC", "-o", self._library, source], check=True)
        self._file.write_bytes(bytes(ctypes.sizeof(ctypes.c_long)))
        with self._file.open("r+b") as file:
            self._shared = mmap.mmap(file.fileno(), 0)
        self._seconds = ctypes.c_long.from_buffer(self._shared)

    def jump(self, seconds: int) -> None:
        """Set the clock of its servers forward, or backward if negative."""
        self._seconds.value += seconds

    @contextmanager
    def in_force(self) -> Iterator[None]:
        """Servers that are launched inside of the block obey it."""
        with pytest.MonkeyPatch.context() as patch:
            patch.setenv("LD_PRELOAD", str(self._library))
            patch.setenv("CLOCK_SHIM_FILE", str(self._file))
            yield

    def __repr__(self) -> str:
        return f"<ClockShim {self._seconds.value:+d} s>"


@contextmanager
def shifting_server(kind: str) -> Iterator[tuple[Server, ClockShim]]:
    """A server of *kind*, and its clock. Skips the test where no clock can be built."""
    with tempfile.TemporaryDirectory(prefix="nooble-clock-") as folder:
        clock = ClockShim(Path(folder))
        server = Server(kind)
        with clock.in_force():
            server.start()
        try:
            yield server, clock
        finally:
            server.close()

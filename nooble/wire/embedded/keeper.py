"""Keeps one server: runs it, ends it when its owner has ended, and ends with it.

A program of its own, started by the owner: `python -I -S keeper.py OWNER PROGRAM ARGUMENT...`; it needs nothing but the
standard library. The kernel hands the children of a dead process to another one, whatever killed it: by its new parent
the keeper knows. A death signal (Linux) would come when the thread ends that started it, not the process.
"""

from __future__ import annotations

import os
import signal
import sys

TICK = 0.1
"""Seconds between two looks at the owner."""
PATIENCE = 10.0
"""Seconds that the server gets to write its data and to end."""

ENDING = {signal.SIGTERM, signal.SIGINT, signal.SIGHUP}
WAKING = ENDING | {signal.SIGCHLD, signal.SIGALRM}


def keep(owner: int, command: list[str]) -> None:
    """Run *command* until it ends, or the process *owner*, or this one is told to end."""
    for number in WAKING:
        signal.signal(number, signal.SIG_DFL)  # what the owner ignores is inherited
    signal.pthread_sigmask(signal.SIG_BLOCK, WAKING)
    signal.setitimer(signal.ITIMER_REAL, TICK, TICK)
    server = os.posix_spawn(command[0], command, os.environ, setsigmask=())
    while os.getppid() == owner and signal.sigwait(WAKING) not in ENDING:
        if _ended(server):
            return
    os.kill(server, signal.SIGTERM)
    for _ in range(round(PATIENCE / TICK)):
        if _ended(server):
            return
        signal.sigwait(WAKING)
    os.kill(server, signal.SIGKILL)
    os.waitpid(server, 0)


def _ended(process: int) -> bool:
    return os.waitpid(process, os.WNOHANG)[0] == process


if __name__ == "__main__":
    keep(int(sys.argv[1]), sys.argv[2:])

"""The rows: what is measured. Each is a function from a `Bench` to tables; `ROWS` names them all, in the order of a
report."""

from __future__ import annotations

from benchmarks.rows.clients import calls, sending
from benchmarks.rows.scale import backlog, payloads, pending, processes, routing
from benchmarks.rows.still import idle, imports, memory
from benchmarks.rows.workers import forget, worker

ROWS = {
    "worker": worker,
    "forget": forget,
    "send": sending,
    "call": calls,
    "processes": processes,
    "routing": routing,
    "backlog": backlog,
    "pending": pending,
    "payload": payloads,
    "idle": idle,
    "memory": memory,
    "import": imports,
}

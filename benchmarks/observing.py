"""What watching costs: handling with nothing on, with metrics, with traces: `python -m benchmarks.observing [--rounds N]`.

Every variant is a process of its own that handles the same backlog; they take turns, and medians of CPU are compared."""

from __future__ import annotations

import argparse
import asyncio
import sys
from contextlib import ExitStack
from statistics import median
from typing import Any

from redis.asyncio import Redis

from benchmarks.harness import serve
from benchmarks.nooble_worker import Nooble, service_type, settings_of
from benchmarks.programs import Program
from benchmarks.servers import KINDS, Server

VARIANTS: dict[str, dict[str, Any]] = {
    "off": {},
    "metrics": {"metrics": True},
    "tracing, always-off sampler": {"tracing": True, "sampler": "off"},
    "both, always-off sampler": {"metrics": True, "tracing": True, "sampler": "off"},
    "tracing, every span kept in memory": {"tracing": True, "sampler": "on"},
}
BOUNDS = {"metrics": 1.15, "tracing, always-off sampler": 1.2}
"""Most that a variant may cost, by the first one."""


class Observed(Nooble):
    """nooble's worker, watched, with the level of logs that is the default."""

    packages = (*Nooble.packages, "prometheus_client", "opentelemetry-sdk")

    async def setup(self) -> None:
        """Declare once: that is not what is measured."""
        watched = {name: self.options[name] for name in ("metrics", "tracing") if name in self.options}
        if "sampler" in self.options:
            _provide(self.options["sampler"] == "on")
        self._settings = settings_of("pedidos", self.url, **watched).model_copy(update={"log_level": "INFO"})
        self._redis = Redis.from_url(self.url)
        self._service = service_type(self.options)(self._settings)

    async def start(self) -> None:
        """Start a worker, and somebody who asks for the metrics every second, more often than a server of metrics does."""
        await super().start()
        self._asking = asyncio.create_task(self._ask())

    async def stop(self) -> int:
        """Stop both."""
        self._asking.cancel()
        return await super().stop()

    async def _ask(self) -> None:
        while self.options.get("metrics"):
            from nooble.observability.prometheus import exposition

            exposition()
            await asyncio.sleep(1)


def _provide(on: bool) -> None:
    from opentelemetry import trace
    from opentelemetry.sdk.trace import TracerProvider
    from opentelemetry.sdk.trace.export import BatchSpanProcessor, SpanExporter, SpanExportResult
    from opentelemetry.sdk.trace.sampling import ALWAYS_OFF, ALWAYS_ON

    class Nowhere(SpanExporter):
        def export(self, spans: Any) -> SpanExportResult:
            return SpanExportResult.SUCCESS

    provider = TracerProvider(sampler=ALWAYS_ON if on else ALWAYS_OFF)
    provider.add_span_processor(BatchSpanProcessor(Nowhere()))
    trace.set_tracer_provider(provider)


def measure(rounds: int, actions: int, answered: bool, kind: str) -> dict[str, list[float]]:
    """CPU in µs for one action, of every round, by variant."""
    found: dict[str, list[float]] = {name: [] for name in VARIANTS}
    with Server(kind) as server, ExitStack() as programs:
        made = {
            name: programs.enter_context(Program("benchmarks.observing subject", server, options))
            for name, options in VARIANTS.items()
        }
        for program in made.values():
            program.ready().drain(2_000, answered=answered)
        for number in range(rounds):
            turns = list(made.items())
            turns = turns[number % len(turns) :] + turns[: number % len(turns)]
            for name, program in turns[:: -1 if number % 2 else 1]:
                server.empty()
                figures = program.drain(actions, answered=answered)
                found[name].append(figures["cpu"] / actions * 1e6)
    return found


def main(words: list[str] | None = None) -> int:
    """Measure and print. Returns 1 if a bound was missed."""
    parser = argparse.ArgumentParser(prog="python -m benchmarks.observing", description=__doc__)
    parser.add_argument("--rounds", type=int, default=9, help="turns of each variant (default: 9)")
    parser.add_argument("--actions", type=int, default=20_000, help="actions a turn (default: 20000)")
    parser.add_argument("--kind", choices=KINDS, default=KINDS[0], help="which server to start")
    options = parser.parse_args(words)
    missed = False
    for answered in (True, False):
        found = measure(options.rounds, options.actions, answered, options.kind)
        base = median(found["off"])
        print("answered" if answered else "fire and forget")
        for name, values in found.items():
            ratio, bound = median(values) / base, BOUNDS.get(name)
            verdict = "" if bound is None else f", {'met' if ratio <= bound else 'MISSED'}: at most {bound:g} ×"
            spread = f"{min(values):.2f} to {max(values):.2f}"
            print(f"  {name:36} {median(values):6.2f} µs ({spread})  {ratio:.3f} ×{verdict}")
            missed = missed or (bound is not None and ratio > bound)
    return int(missed)


if __name__ == "__main__":
    if sys.argv[1:] == ["subject"]:
        serve(Observed())
    else:
        sys.exit(main())

"""The child of `nooble dev`: gets an order through a pipe, runs services until the pipe ends, and says what to type next."""

from __future__ import annotations

import asyncio
import json
import os
import sys
from collections.abc import Sequence
from dataclasses import replace

import typer

from nooble.cli.dev import Order
from nooble.cli.examples import example_call
from nooble.cli.failures import OK, complain, exit_code_of, told
from nooble.cli.hosting import run_in_loop, serve
from nooble.cli.interrupts import Interrupts
from nooble.cli.planning import Plan, plans_for
from nooble.cli.run import start_logging
from nooble.cli.servers import Wish
from nooble.cli.targets import parts_of
from nooble.clients.base_redis_client import queue_manager_of


def work(order: Order, pipe: int) -> None:
    """Do *order* until *pipe* is closed at its other end, or until a signal."""
    sys.dont_write_bytecode = True  # a file saved twice in a second, at the same length, would pass for unchanged
    plans = [talkative(p) for p in plans_for(parts_of(order.targets), order.services, order.options, Wish(order.url))]
    start_logging(plans)
    for line in next_lines(plans, order.said):
        typer.echo(line)
    run_in_loop(_until_asked(plans, pipe))


def next_lines(plans: Sequence[Plan], said: str) -> list[str]:
    """What runs, and what to type next."""
    lines = []
    for plan in plans:
        types = [route.action_type for route in plan.part.routes]
        lines.append(f"{plan.service_name}: {', '.join(types) if types else 'actions that are not declared'}")
    for plan in plans:
        call = example_call(plan.part.routes)
        if call is not None:
            action_type = call.split()[2]
            astray = queue_manager_of(plan.settings).target_service(action_type) != plan.service_name
            words = [call, f"--service {plan.service_name}" if astray else "", said]
            return [*lines, f"Try in another terminal:  {' '.join(filter(None, words))}"]
    return lines


def talkative(plan: Plan) -> Plan:
    """*plan*, whose logs tell a developer of every action unless somebody wants it otherwise."""
    chatty = {"log_level": "DEBUG", "log_format": "console"}
    unsaid = {name: value for name, value in chatty.items() if name not in plan.settings.model_fields_set}
    return replace(plan, settings=plan.settings.model_copy(update=unsaid))


async def _until_asked(plans: Sequence[Plan], pipe: int) -> None:
    loop = asyncio.get_running_loop()
    with Interrupts() as interrupts:

        def asked() -> None:
            loop.remove_reader(pipe)
            interrupts.stop("asked by nooble dev")

        loop.add_reader(pipe, asked)
        await serve(plans, interrupts)


def main(pipe: int) -> int:
    """Wait for the order and do it. Returns the exit code."""
    with os.fdopen(os.dup(pipe)) as orders:
        line = orders.readline()
    try:
        if line:  # without an order, there is no supervisor any more
            work(Order(**json.loads(line)), pipe)
    except Exception as error:
        complain(told(error))
        return exit_code_of(error)
    return OK


if __name__ == "__main__":
    sys.exit(main(int(sys.argv[1])))

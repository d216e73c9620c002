"""`nooble run`: services at work, for production and for whoever has a server."""

from __future__ import annotations

import logging
from collections.abc import Sequence
from typing import Any

from nooble.cli.hosting import run_in_loop, serve
from nooble.cli.interrupts import Interrupts
from nooble.cli.planning import Plan, plans_for
from nooble.cli.servers import Wish
from nooble.cli.targets import parts_of
from nooble.config.common_app_settings import masked_url
from nooble.logger import get_logger
from nooble.observability.logging import init_logging


def run(targets: Sequence[str], services: Sequence[str], wish: Wish | None, options: dict[str, Any]) -> None:
    """Run what *targets* name until a signal.

    Args:
        targets: modules, classes, factories.
        services: which of the services in them; none means all.
        wish: the server that was asked for.
        options: settings that were given on the command line.
    """
    plans = plans_for(parts_of(targets), services, options, wish)
    start_logging(plans)
    log_start(plans)
    run_in_loop(_until_interrupted(plans))


def start_logging(plans: Sequence[Plan]) -> None:
    """Configure logs as the settings want them: one process has one format, and the level of its most talkative service."""
    level = min((plan.settings.log_level for plan in plans), key=logging.getLevelName)
    hidden = dict.fromkeys(name for plan in plans for name in plan.settings.log_redact)
    init_logging(level, log_format=plans[0].settings.log_format, redact=hidden)


def log_start(plans: Sequence[Plan]) -> None:
    """Say which services start, on which server, and why it is that one."""
    for plan in plans:
        settings = plan.settings
        log = get_logger(settings.log_level, service=settings.service_name)
        log.info("service_starting", server=masked_url(settings.redis_url), because=plan.server.reason)


async def _until_interrupted(plans: Sequence[Plan]) -> None:
    with Interrupts() as interrupts:
        await serve(plans, interrupts)

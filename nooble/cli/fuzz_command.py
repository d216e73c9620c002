"""What can be typed after `nooble fuzz`. Nothing slow is imported here."""

from __future__ import annotations

from typing import Annotated

from nooble.cli import options as o

Only = Annotated[list[str] | None, o.option("--action", metavar="TYPE", help="Only this action; can be repeated.")]
Examples = Annotated[int, o.option("--examples", min=1, metavar="N", help="How many sound payloads every action gets.")]
Seed = Annotated[
    int | None, o.option("--seed", min=0, metavar="N", help="The same seed tries the same; any if not given.")
]
Url = Annotated[
    str,
    o.option("--url", metavar="URL", help="embedded: a server of its own that is thrown away; fake; or an address."),
]
Memory = Annotated[
    int, o.option("--memory", min=1, metavar="MIB", help="By how much the process may grow over one action.")
]
Patience = Annotated[
    float, o.option("--patience", min=0.1, metavar="SECONDS", help="How long an action may take beyond its timeout.")
]


def fuzz(
    target: o.Targets,
    service: o.Services = None,
    action: Only = None,
    examples: Examples = 100,
    seed: Seed = None,
    url: Url = "embedded",
    memory: Memory = 64,
    patience: Patience = 5.0,
    json: o.Json = False,
) -> int:
    """Send sound, broken and hostile actions to services, and see whether they keep what they declare.

    Every fault is made as small as it can be, and shown with the line that sends it again. The environment is one of its
    own, and is deleted afterwards; what handlers do elsewhere, they do.
    """
    from nooble.cli.fuzz import Order
    from nooble.cli.fuzz import fuzz as body

    order = Order(
        targets=target,
        services=service or [],
        actions=action or [],
        examples=examples,
        seed=seed,
        url=url,
        memory=memory,
        patience=patience,
    )
    return body(order, json)

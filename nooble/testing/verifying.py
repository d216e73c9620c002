"""The callee's side of a contract: each interaction is run for real, and its answer is held against what callers rely on."""

from __future__ import annotations

import inspect
from collections.abc import Callable
from pathlib import Path
from typing import Any

from nooble.testing.building import settings_for
from nooble.testing.contracts import ContractBroken, Interaction, misfits, read_contract
from nooble.testing.harness import CALL_TIMEOUT, ServiceHarness
from nooble.testing.mistakes import HarnessMistake


async def verify_contract(
    path: str | Path,
    service: Any,
    *,
    prepare: Callable[[Any, Interaction], Any] | None = None,
    server: Any = "fake",
    **settings: Any,
) -> int:
    """Hold a service against what its callers rely on: each interaction is run through a harness of its own.

    Args:
        path: the file of the contract.
        service: the callee: a class, which is made anew for each interaction, or a service.
        prepare: a function of harness and interaction, plain or async: puts the service into the state that the example
            needs, and stubs what it calls.
        server, settings: as for `ServiceHarness`.

    Returns:
        How many interactions were verified: those whose callee is called like the service.

    Raises:
        ContractBroken: something does not fit; the message lists all of it.
        HarnessMistake: the contract cannot be read, or has nothing about the service.
    """
    __tracebackhide__ = True
    contract = read_contract(path)
    name = settings_for(service, settings).service_name
    concerned = [one for one in contract.interactions if one.callee == name]
    if not concerned:
        callees = ", ".join(sorted({one.callee for one in contract.interactions})) or "nobody"
        raise HarnessMistake(f"{path} says nothing about {name!r}; it is about {callees}")
    broken = []
    for one in concerned:
        faults = await _faults_of(one, contract.exact, service, prepare, {"server": server, **settings})
        if faults:
            broken.append("\n".join([str(one), *(f"  {fault}" for fault in faults)]))
    if broken:
        told = f"{len(broken)} of {len(concerned)} interactions of {path} do not fit {name}:"
        raise ContractBroken("\n".join([told, *broken]))
    return len(concerned)


async def _faults_of(
    one: Interaction, exact: tuple[str, ...], service: Any, prepare: Any, options: dict[str, Any]
) -> list[str]:
    async with ServiceHarness(service, raise_errors=False, caller=one.caller or "test", **options) as t:
        if prepare is not None:
            done = prepare(t, one)
            if inspect.isawaitable(done):
                await done
        answer = await t.client.call(one.action_type, one.payload, timeout=CALL_TIMEOUT)
    return list(misfits(one, answer, exact))

"""What services are tested with: a harness in which they really run, contracts between them, payloads made for them, and
helpers. Nothing here runs in production.

A name is imported when it is first asked for: pytest loads the plugin of this package in every project that has it."""

from importlib import import_module
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from nooble.testing.clock import Clock
    from nooble.testing.contracts import Contract, ContractBroken, Interaction, read_contract
    from nooble.testing.harness import ServiceHarness
    from nooble.testing.looking import WaitingRetry
    from nooble.testing.mistakes import HarnessMistake, StillBusy, Unstubbed, UnusedStub
    from nooble.testing.stubs import Stub
    from nooble.testing.verifying import verify_contract
    from nooble.testing.waiting import wait_until

_ROOMS = {
    "clock": ("Clock",),
    "contracts": ("Contract", "ContractBroken", "Interaction", "read_contract"),
    "harness": ("ServiceHarness",),
    "looking": ("WaitingRetry",),
    "mistakes": ("HarnessMistake", "StillBusy", "Unstubbed", "UnusedStub"),
    "stubs": ("Stub",),
    "verifying": ("verify_contract",),
    "waiting": ("wait_until",),
}
_HOME = {name: module for module, names in _ROOMS.items() for name in names}

__all__ = [
    "Clock",
    "Contract",
    "ContractBroken",
    "HarnessMistake",
    "Interaction",
    "ServiceHarness",
    "StillBusy",
    "Stub",
    "Unstubbed",
    "UnusedStub",
    "WaitingRetry",
    "read_contract",
    "verify_contract",
    "wait_until",
]


def __getattr__(name: str) -> Any:
    if name in _HOME:
        return globals().setdefault(name, getattr(import_module(f"nooble.testing.{_HOME[name]}"), name))
    raise AttributeError(f"module 'nooble.testing' has no attribute {name!r}")


def __dir__() -> list[str]:
    return sorted({*globals(), *__all__})

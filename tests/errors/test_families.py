"""Every exception of nooble carries a code, a message and details, and belongs to the families that callers catch."""

from __future__ import annotations

import copy
import importlib
import pickle
import pkgutil
import re

import pytest

import nooble.errors
from nooble.errors import NoobleError

NAMES = [name for name in nooble.errors.__all__ if isinstance(getattr(nooble.errors, name), type)]
ERRORS = [getattr(nooble.errors, name) for name in NAMES]

NEVER_RETRIED = {
    "ActionExpired",
    "AppValidationError",
    "ConfigurationFault",
    "CrashLoop",
    "DataLost",
    "DeclarationError",
    "EffectRefused",
    "EmbeddedServerFault",
    "ForbiddenCallback",
    "InvalidActionError",
    "InvalidPayload",
    "InvalidResponse",
    "MalformedAction",
    "PayloadTooLarge",
    "Reject",
    "SelfCall",
    "ServerBinaryMissing",
    "ServerRefused",
    "UnknownAction",
    "UnwritableFollowUp",
}

FAMILIES = {
    "ActionTimeout": TimeoutError,
    "CallTimeout": TimeoutError,
    "ContextClosed": RuntimeError,
    "DeclarationError": TypeError,
    "ForbiddenCallback": ValueError,
    "InvalidPayload": ValueError,
    "InvalidResponse": TypeError,
    "MalformedAction": ValueError,
    "PayloadTooLarge": ValueError,
    "SelfCall": RuntimeError,
    "ServerUnavailable": ConnectionError,
    "UnknownAction": NotImplementedError,
}

every_error = pytest.mark.parametrize("error", ERRORS, ids=NAMES)


def test_every_exception_of_the_room_is_exported() -> None:
    defined = set()
    for module in pkgutil.iter_modules(nooble.errors.__path__, "nooble.errors."):
        for name, thing in vars(importlib.import_module(module.name)).items():
            if isinstance(thing, type) and issubclass(thing, NoobleError) and thing.__module__ == module.name:
                defined.add(name)
    assert defined == set(NAMES)


@every_error
def test_an_error_carries_message_details_and_a_code(error: type[NoobleError]) -> None:
    details = {"field": 1}
    one = error("what happened")
    assert (str(one), one.message, one.details) == ("what happened", "what happened", {})
    assert re.fullmatch(r"[A-Z]+(_[A-Z]+)*", one.error_code)
    if error is not nooble.errors.RetryLater:
        told = error("what happened", details=details)
        assert told.details == details
        assert told.details is not details


@every_error
def test_an_error_survives_copying_and_pickling(error: type[NoobleError]) -> None:
    one = error("what happened")
    one.details["field"] = 1
    for twin in (copy.copy(one), pickle.loads(pickle.dumps(one))):
        assert type(twin) is error
        assert (str(twin), twin.details, twin.error_code) == (str(one), one.details, one.error_code)


@every_error
def test_an_error_says_whether_running_again_makes_sense(error: type[NoobleError]) -> None:
    assert error("what happened").retryable == (error.__name__ not in NEVER_RETRIED)


@pytest.mark.parametrize(("name", "family"), FAMILIES.items(), ids=FAMILIES)
def test_an_error_is_caught_as_what_it_is_in_python(name: str, family: type[Exception]) -> None:
    with pytest.raises(family):
        raise getattr(nooble.errors, name)("what happened")


def test_errors_of_different_kinds_have_different_codes() -> None:
    """Only the platform's generic names share one."""
    of_nooble = [
        error for error in ERRORS if error.__module__ != "nooble.errors.exceptions" and error is not NoobleError
    ]
    codes = [error("x").error_code for error in of_nooble]
    assert len(codes) == len(set(codes))


def test_what_can_be_wrong_with_the_server_is_one_family() -> None:
    from nooble.errors import GroupMissing, ReplyLost, ScriptMissing, ServerFault, ServerRefused, ServerUnavailable

    assert all(issubclass(one, ServerFault) for one in (GroupMissing, ScriptMissing, ServerRefused, ServerUnavailable))
    assert issubclass(ReplyLost, ServerUnavailable)

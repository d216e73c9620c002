"""What a harness is made of: settings in which nothing is the developer's, services made as in production, and a server."""

from __future__ import annotations

import functools
import inspect
import shutil
import tempfile
import typing
from collections.abc import Iterable, Mapping
from typing import TYPE_CHECKING, Any

from pydantic import ValidationError

from nooble.clients.redis_manager import RedisManager
from nooble.config import CommonAppSettings
from nooble.routing.origin import did_you_mean
from nooble.testing.mistakes import HarnessMistake

if TYPE_CHECKING:
    from redis.asyncio import Redis

DEFAULTS: Mapping[str, Any] = {
    "log_level": "ERROR",
    "worker_block_ms": 20,
    "worker_grace_seconds": 0.2,
    "worker_beat_seconds": 0,
}
"""What is other than in production: quiet, quick to notice and to end, and in no registry."""

NOWHERE = "redis://harness.invalid:6379/0"
"""What settings say of the server where no address is known; nobody connects to it."""


# ── settings ──
def settings_for(service: Any, overrides: Mapping[str, Any]) -> CommonAppSettings:
    """The settings of a service in the harness.

    Args:
        service: a class of services, a service, which keeps its own, or `None` for neither.
        overrides: what wins over all else, as far as these settings know it.

    Raises:
        HarnessMistake: a setting is missing or wrong.
    """
    own, kind = getattr(service, "app_settings", None), settings_class_of(service)
    if isinstance(own, CommonAppSettings):
        values = {name: getattr(own, name) for name in kind.model_fields}
    else:
        values = {name: one.get_default(call_default_factory=True) for name, one in kind.model_fields.items()}
        values = {name: value for name, value in values.items() if not kind.model_fields[name].is_required()}
        values["service_name"] = overrides.get("service_name") or name_of_service(service)
    known = {name: value for name, value in overrides.items() if name in kind.model_fields}
    try:
        return kind(_env_file=None, **{**values, **DEFAULTS, **known})
    except ValidationError as error:
        raise HarnessMistake(f"the settings of {service!r} cannot be made: {error}") from error


def refuse_unknown_settings(services: Iterable[Any], overrides: Iterable[str]) -> None:
    """Make sure that each setting is one of a service.

    Raises:
        HarnessMistake: it is none of any.
    """
    known = sorted({name for service in services for name in settings_class_of(service).model_fields})
    for name in overrides:
        if name not in known:
            hint = did_you_mean(name, known, "see docs/reference/settings.md")
            raise HarnessMistake(f"{name!r} is no setting; {hint}")


def settings_class_of(service: Any) -> type[CommonAppSettings]:
    """The class of the settings that it has, or the annotation of `app_settings` where it is made."""
    own = getattr(service, "app_settings", None)
    if isinstance(own, CommonAppSettings):
        return type(own)
    make = service.__init__ if isinstance(service, type) else service  # type: ignore[misc]  # of the very class
    try:
        declared = typing.get_type_hints(make).get("app_settings")
    except Exception:  # an annotation that nobody can resolve here says nothing
        return CommonAppSettings
    return declared if isinstance(declared, type) and issubclass(declared, CommonAppSettings) else CommonAppSettings


def name_of_service(service: Any) -> str:
    """What a class of services is called: the first segment that its actions share.

    Raises:
        HarnessMistake: they share none.
    """
    if service is not None and not callable(service) and not hasattr(service, "process_action"):
        raise HarnessMistake(f"ServiceHarness({service!r}): give it services, or classes of services")
    routes = getattr(service, "routes", ())
    segments = sorted({route.action_type.partition(".")[0] for route in routes if not route.is_catch_all})
    if len(segments) == 1:
        return str(segments[0])
    why = f"begin with different words ({', '.join(segments)})" if segments else "are not declared by @action"
    raise HarnessMistake(
        f"{_told(service)} has no name: its actions {why}. Give the service itself, made with settings that name it: "
        f"ServiceHarness({_told(service)}(CommonAppSettings(service_name='…')))"
    )


# ── services ──
def service_made(service: Any, gifts: Mapping[str, Any]) -> Any:
    """A service: as it is, or made of its class with what its constructor asks for by name.

    Raises:
        HarnessMistake: it asks for something else, or can process no actions.
    """
    made = service
    if isinstance(service, type) or not hasattr(service, "process_action"):
        parameters = inspect.signature(service).parameters.values()
        missing = [one.name for one in parameters if _is_required(one) and one.name not in gifts]
        if missing:
            raise HarnessMistake(
                f"{_told(service)} asks for {', '.join(missing)}, which the harness does not have; it gives "
                f"{', '.join(gifts)}. Make the service yourself, and give that to ServiceHarness"
            )
        takes_all = any(one.kind is one.VAR_KEYWORD for one in parameters)
        asked = {one.name for one in parameters}
        made = service(**{name: gift for name, gift in gifts.items() if takes_all or name in asked})
    if not callable(getattr(made, "process_action", None)):
        raise HarnessMistake(f"ServiceHarness({_told(service)}): it has no process_action, so it is no service")
    return made


def _is_required(parameter: inspect.Parameter) -> bool:
    variadic = (inspect.Parameter.VAR_POSITIONAL, inspect.Parameter.VAR_KEYWORD)
    return parameter.default is inspect.Parameter.empty and parameter.kind not in variadic


def _told(service: Any) -> str:
    return getattr(service, "__name__", None) or repr(service)


# ── the server ──
async def server_opened(server: Any, overrides: Mapping[str, Any]) -> tuple[Redis, str, bool]:
    """A client of *server*, the address that settings say, and whether the client is the harness's own to close.

    Args:
        server: `"fake"`, `"embedded"`, an address, or a client.
        overrides: settings, of which those for connections hold for the client.

    Raises:
        HarnessMistake: it is none of these.
        ServerUnavailable: nobody answers there.
        EmbeddedServerFault: it cannot be started.
    """
    if not isinstance(server, str):
        if hasattr(server, "connection_pool"):
            return server, NOWHERE, False
        raise HarnessMistake(f'server={server!r}: give "fake", "embedded", an address, or a client of redis.asyncio')
    if server == "fake":
        from nooble.testing.fake import fake_client  # only where it is asked for: it needs fakeredis

        return fake_client(decode_responses=overrides.get("redis_decode_responses", True)), NOWHERE, True
    url = embedded_url() if server == "embedded" else server
    if "://" not in url:
        raise HarnessMistake(f'server={server!r}: give "fake", "embedded", an address such as redis://…, or a client')
    if url.startswith("embedded://"):
        raise HarnessMistake('server="embedded" starts a server for tests; name no directory of yours')
    settings = settings_for(None, {**overrides, "service_name": "harness", "redis_url": url})
    return await RedisManager(settings).get_redis_connection(), url, True


@functools.cache
def embedded_url() -> str:
    """Address of the one embedded server of this process, which is started now and ends with it."""
    import atexit

    from nooble.wire.embedded import EmbeddedServer

    home = tempfile.mkdtemp(prefix="nooble-test-")
    atexit.register(shutil.rmtree, home, ignore_errors=True)  # after the server, which registers its end later
    return EmbeddedServer(home).start().url

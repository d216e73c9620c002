"""The standard's own code, word for word: its three blocks run as a program of their own against a real server, and services
that know nothing of nooble talk to it. The one change is the name of the package, `common` → `nooble`."""

from __future__ import annotations

import asyncio
import os
import re
import signal
import sys
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path

import pytest
import redis.asyncio

import nooble
from tests.support.platform import Platform
from tests.support.waiting import wait_until

STANDARD = Path(__file__).parent / "standard_code" / "estandar-workers-nooble4.md"
HOME = str(Path(nooble.__file__).parents[1])
BLOCK = re.compile(r"```python\n(# en (\S+\.py).*?)```", re.DOTALL)


def blocks() -> dict[str, str]:
    """The code of the standard by the path that its first line names, with nooble for `common`."""
    return {
        path: re.sub(r"\bcommon\.", "nooble.", code)
        for code, path in BLOCK.findall(STANDARD.read_text(encoding="utf-8"))
    }


@pytest.fixture
def program(tmp_path: Path) -> Path:
    """A folder with the package `mi_servicio`, as the standard lays it out."""
    for path, code in blocks().items():
        file = tmp_path / path
        file.parent.mkdir(parents=True, exist_ok=True)
        file.write_text(code, encoding="utf-8")
    return tmp_path


@pytest.fixture
def platform(redis: redis.asyncio.Redis) -> Platform:
    """A service of the platform that talks to the standard's example."""
    return Platform(redis, "mi_servicio_example")


@asynccontextmanager
async def started(program: Path, redis_url: str) -> AsyncIterator[asyncio.subprocess.Process]:
    """The program at work, as a person starts it: `python -m mi_servicio.main`."""
    process = await asyncio.create_subprocess_exec(
        *(sys.executable, "-u", "-m", "mi_servicio.main"),
        cwd=program,
        env=os.environ | {"PYTHONPATH": HOME, "REDIS_URL": redis_url, "ENVIRONMENT": "test", "LOG_LEVEL": "INFO"},
        stdout=asyncio.subprocess.PIPE,
        stderr=asyncio.subprocess.PIPE,
    )
    try:
        yield process
    finally:
        if process.returncode is None:
            process.kill()
        await process.communicate()


def test_the_standard_has_three_blocks_of_code() -> None:
    """Service, worker and main: nothing of it is left out."""
    assert list(blocks()) == [
        "mi_servicio/services/mi_logica_service.py",
        "mi_servicio/workers/mi_worker.py",
        "mi_servicio/main.py",
    ]


@pytest.mark.every_server
async def test_the_standards_program_answers_services_of_the_platform(
    program: Path, redis_url: str, platform: Platform
) -> None:
    """An action added by hand is answered on the queue that it names."""
    async with started(program, redis_url):
        answer = await platform.ask("mi_servicio.accion.hacer_algo", timeout=30)
    assert answer["success"] is True
    assert answer["data"] == {
        "status": "completado desde MiLogicaService",
        "detalle": "mi_servicio.accion.hacer_algo",
    }


async def test_the_standards_program_does_what_needs_no_answer_and_refuses_what_it_does_not_know(
    program: Path, redis_url: str, platform: Platform
) -> None:
    """`None` for a notification is success; `NotImplementedError` is an error with a code."""
    async with started(program, redis_url):
        noted = await platform.ask("mi_servicio.accion.notificar", timeout=30)
        unknown = await platform.ask("mi_servicio.accion.bailar")
        await platform.send("mi_servicio.accion.notificar")
        await wait_until(platform.is_done, "the notification is done")
    assert (noted["success"], noted["data"]) == (True, {})
    assert unknown["success"] is False
    assert unknown["error"]["error_code"] == "UNKNOWN_ACTION"
    assert "Acción no soportada por MiLogicaService: mi_servicio.accion.bailar" in unknown["error"]["message"]


async def test_the_standards_program_sends_a_callback(program: Path, redis_url: str, platform: Platform) -> None:
    """A callback is a new action in the list that was named."""
    queue = "nooble4:test:platform:callbacks:platform_algo_hecho:1"
    async with started(program, redis_url):
        await platform.send(
            "mi_servicio.accion.hacer_algo", callback_queue_name=queue, callback_action_type="platform.algo.hecho"
        )
        callback = await platform.answer(queue, timeout=30)
    assert callback["action_type"] == "platform.algo.hecho"
    assert callback["data"]["status"] == "completado desde MiLogicaService"


async def test_ctrl_c_ends_the_standards_program_through_its_cleanup(
    program: Path, redis_url: str, platform: Platform, redis: redis.asyncio.Redis
) -> None:
    """Where the standard contradicts itself: `asyncio.run` turns Ctrl-C into a cancellation of `main`, so its
    `except KeyboardInterrupt` is never reached; its `finally` is, and the worker has come to rest by then."""
    async with started(program, redis_url) as process:
        await platform.ask("mi_servicio.accion.hacer_algo", timeout=30)
        process.send_signal(signal.SIGINT)
        out, err = (part.decode() for part in await asyncio.wait_for(process.communicate(), 30))
    said = [line for line in out.splitlines() if "MiWorker" in line or "Limpieza" in line]
    said = [line for line in said if "procesando" not in line]
    assert said == [
        "Iniciando MiWorker para el servicio: mi_servicio_example...",
        "Cerrando MiWorker y conexiones Redis...",
        "Limpieza completa.",
    ]
    assert err.rstrip().endswith("KeyboardInterrupt")
    assert process.returncode == -signal.SIGINT
    assert await redis.xinfo_consumers(platform.stream, platform.group) == []

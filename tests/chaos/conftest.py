"""What the rows of the fault matrix are given."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest
import redis.asyncio

from tests.chaos.scene import Scene
from tests.support.platform import Platform
from tests.support.servers import Server


@pytest.fixture
def scene(server: Server, redis: redis.asyncio.Redis, tmp_path: Path) -> Iterator[Scene]:
    """Actions and workers on the shared server."""
    made = Scene(server, Platform(redis), tmp_path)
    yield made
    made.ledger.close()

"""What the tests of properties share: a worker that lives through all examples of a test."""

from __future__ import annotations

from collections.abc import Callable, Iterator

import pytest

from nooble.config import CommonAppSettings
from tests.properties.workplace import Workplace
from tests.support.servers import Server

Settings = Callable[..., CommonAppSettings]


@pytest.fixture
def workplace(server: Server, settings: Settings) -> Iterator[Workplace]:
    made = Workplace(server, settings("demo", worker_concurrency=4, log_level="CRITICAL"))
    yield made
    made.runner.run(made.close())
    made.runner.close()

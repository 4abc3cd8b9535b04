"""How a server keeps its list of revoked tokens fresh."""

import asyncio
from types import SimpleNamespace
from typing import Any

from structlog.testing import capture_logs

from crosswind_server.app import watch_revocations
from crosswind_server.timing import Timing
from tests.store.flow import Flow


class StumblingVerifier:
    """Fails the first time that it is given the list."""

    def __init__(self) -> None:
        self.times = 0
        self.taken = asyncio.Event()

    def replace_revoked(self, revoked: object) -> None:
        """Take the list."""
        self.times += 1
        if self.times == 1:
            raise RuntimeError("a defect")
        self.taken.set()


async def test_a_defect_is_logged_and_the_list_is_read_again(sqlite_flow: Flow):
    verifier = StumblingVerifier()
    services: Any = SimpleNamespace(store=sqlite_flow.store, timing=Timing(heartbeat_interval=0.05), verifier=verifier)
    with capture_logs() as logged:
        watching = asyncio.create_task(watch_revocations(services))
        await asyncio.wait_for(verifier.taken.wait(), 20)
        watching.cancel()
        await asyncio.wait([watching])
    assert [(entry["log_level"], entry["event"].split(";")[0]) for entry in logged] == [
        ("error", "The revoked tokens could not be read")
    ]

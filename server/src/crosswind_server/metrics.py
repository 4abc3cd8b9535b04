"""The server's figures for Prometheus, over HTTP: off unless an operator asks for it.

Here belong the figures and the listening. What is counted with each call is counted by `services.call_counts`; the rest
is read from the database when somebody asks.
"""

from __future__ import annotations

import asyncio
from collections.abc import Iterator
from datetime import UTC, datetime
from typing import Final

from prometheus_client import CollectorRegistry, PlatformCollector, ProcessCollector, start_http_server
from prometheus_client.core import CounterMetricFamily, GaugeMetricFamily, Metric
from prometheus_client.registry import Collector

from crosswind_server.domain.version_window import windows
from crosswind_server.listening import StartRefused, is_loopback, split_address
from crosswind_server.services.dependencies import Services, StoreUnavailable
from crosswind_server.store import version_use

_READ_S: Final = 10.0


class Metrics:
    """Answers GET /metrics in threads of its own.

    Args:
        services: of the server.
        months: for how long an API version is served after it was superseded.
    """

    def __init__(self, services: Services, *, months: int) -> None:
        self._registry = CollectorRegistry()
        self._registry.register(_Figures(services, asyncio.get_running_loop(), months))
        ProcessCollector(registry=self._registry)
        PlatformCollector(registry=self._registry)

    def start(self, address: str, *, open_to_all: bool) -> str:
        """Listen; returns the address with the port that was taken.

        Raises:
            StartRefused: the address cannot be used, or other machines reach it and nobody said that they may.
        """
        host, port = split_address(address)
        if not open_to_all and not is_loopback(host):
            raise StartRefused(
                f"The metrics address {address} can be reached from other machines, and whoever reaches it can read it;"
                " listen on 127.0.0.1, or say --metrics-open."
            )
        try:
            self._server, self._thread = start_http_server(port, host, registry=self._registry)
        except OSError as error:
            raise StartRefused(
                f"The server cannot listen on {address} for metrics: {error.strerror or error}. Choose another"
                " --metrics-address (port 0 takes a free one)."
            ) from None
        return f"{address.rpartition(':')[0]}:{self._server.server_port}"

    def stop(self) -> None:
        """Take no further request."""
        self._server.shutdown()
        self._server.server_close()
        self._thread.join()


class _Figures(Collector):
    def __init__(self, services: Services, loop: asyncio.AbstractEventLoop, months: int) -> None:
        self._services = services
        self._loop = loop
        self._months = months

    def describe(self) -> list[Metric]:
        """None, so that registering does not read the database."""
        return []

    def collect(self) -> Iterator[Metric]:
        """Every figure, as it is now."""
        yield from self._about_server()
        yield self._calls()
        yield from self._writes()
        yield from self._in_database()

    def _about_server(self) -> Iterator[Metric]:
        services = self._services
        info = GaugeMetricFamily(
            "crosswind_server_info", "1, with what this server is.", labels=["version", "oldest", "newest"]
        )
        info.add_metric([services.version, str(services.served.oldest), str(services.served.newest)], 1)
        yield info
        ends = GaugeMetricFamily(
            "crosswind_api_version_window_end_timestamp_seconds",
            "When a deprecated API version need not be served any more; the newest has no such time.",
            labels=["api_version"],
        )
        today = datetime.now(UTC).date()
        for window in windows(services.served.versions, months=self._months, today=today):
            if window.end is not None:
                end = datetime(window.end.year, window.end.month, window.end.day, tzinfo=UTC)
                ends.add_metric([str(window.version)], end.timestamp())
        yield ends

    def _calls(self) -> Metric:
        calls = CounterMetricFamily(
            "crosswind_calls",
            "Calls that this process answered; api_version is empty where none is needed, or none was named that is"
            " served.",
            labels=["api_version", "outcome"],
        )
        for (api_version, outcome), number in sorted(self._services.calls.read().items()):
            calls.add_metric([api_version, outcome], number)
        return calls

    def _writes(self) -> Iterator[Metric]:
        store = self._services.store
        for name, what, number in (
            ("transactions", "Write transactions that this process committed.", store.transactions),
            ("statements", "Statements in those.", store.statements),
            ("rows", "Rows that those wrote, each as often as it was written.", store.rows),
        ):
            yield CounterMetricFamily(f"crosswind_database_{name}", what, value=number)

    def _in_database(self) -> Iterator[Metric]:
        up = GaugeMetricFamily(
            "crosswind_database_up", "1 while the database answers; else 0, and what is read from it is missing."
        )
        try:
            workers, bundles = asyncio.run_coroutine_threadsafe(
                self._services.store.read(
                    lambda uow: (version_use.count_live_workers(uow), version_use.count_offered_bundles(uow))
                ),
                self._loop,
            ).result(_READ_S)
        except (StoreUnavailable, TimeoutError):
            up.add_metric([], 0)
            yield up
            return
        up.add_metric([], 1)
        yield up
        live = GaugeMetricFamily(
            "crosswind_workers",
            "Live workers of all teams and servers on this database, by the API version that they registered in.",
            labels=["api_version", "language", "sdk_version"],
        )
        for row in workers:
            live.add_metric([row.api_version, row.language, row.sdk_version], row.number)
        yield live
        offered = GaugeMetricFamily(
            "crosswind_bundles",
            "Bundle versions that live workers offer, by the API version of their manifests.",
            labels=["api_version"],
        )
        for row in bundles:
            offered.add_metric([row.api_version], row.number)
        yield offered

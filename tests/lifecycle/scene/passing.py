"""Commands of time: clock, advance, time, restart."""

from __future__ import annotations

from collections.abc import Iterable, Iterator

from tests.lifecycle.scene.command import command
from tests.lifecycle.scene.scene import Scene
from tests.lifecycle.scene.text import SECOND, Arguments, moment_us, show_moment, span_us


@command("clock")
def clock(scene: Scene, a: Arguments) -> Iterable[str]:
    """The time at which the transcript begins: `clock 2026-03-28T12:00Z`."""
    scene.set_start(a.word("time"))
    return ()


@command("time")
def time(scene: Scene, _: Arguments) -> Iterable[str]:
    """The time."""
    return [show_moment(scene.now_us)]


@command("restart")
def restart(scene: Scene, _: Arguments) -> Iterable[str]:
    """The server ends, and another begins over the same database."""
    scene.server.begin()
    return ()


@command("advance")
def advance(scene: Scene, a: Arguments) -> Iterable[str]:
    """Time passes: `advance 5m`, `advance to 2026-03-29T00:00Z`. Prints what heartbeats tell workers that is new."""
    if a.flag("to"):
        end = moment_us(a.word("time"), scene.now_us)
    else:
        end = scene.now_us + span_us(a.word("span"))
    while scene.now_us < end:
        _step(scene, end)
        for worker in scene.workers.values():
            if not (worker.silent or worker.gone):
                yield from worker.beat()
        scene.server.settle()


def _step(scene: Scene, end: int) -> None:
    """Move to the next moment at which something can happen."""
    server = scene.server
    now, due, timing = server.now_us, server.due(), server.services.timing
    moments = [end, *_later(now, due.timer, due.waiting)]
    watched = due.start is not None or due.expiry is not None or any(w.silent for w in scene.workers.values())
    if not watched:
        server.pass_quietly(min(moments))
        return
    # Leases and silent workers are judged: the server looks often, and the others send heartbeats meanwhile.
    moments.append(now + round(timing.heartbeat_interval * SECOND))
    silence = None if due.quietest is None else due.quietest + timing.lease_us
    moments += [moment + 1 for moment in _later(now - 1, due.start, due.expiry, silence)]
    server.clock.now_us = min(moments)


def _later(now: int, *moments: int | None) -> Iterator[int]:
    return (moment for moment in moments if moment is not None and moment > now)

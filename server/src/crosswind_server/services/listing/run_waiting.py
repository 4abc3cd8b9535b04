"""Why a run is queued, and with it all of its task instances: derived whenever somebody asks. [SCHED-3]"""

from __future__ import annotations

from typing import Any

from crosswind_server.domain.states import RunState, WaitingReason
from crosswind_server.services.listing.waiting import Waiting


def explain_run(run: Any, *, paused: bool) -> Waiting | None:
    """Why a run does not go on; None: it is not queued.

    Args:
        run: its row.
        paused: whether its DAG is.
    """
    if run.state != RunState.QUEUED:
        return None
    if paused:
        return Waiting(WaitingReason.PAUSED, f"The DAG '{run.dag_id}' is paused; unpause it.")
    if run.unmade:
        return Waiting(WaitingReason.RUN, "The run begins when the instances of all its tasks are made.")
    text = (
        f"As many runs of the DAG '{run.dag_id}' are active as may be; the oldest that is queued begins when one ends."
    )
    return Waiting(WaitingReason.RUN, text)

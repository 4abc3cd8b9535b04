"""The pipeline of `main.go` in Python, as authors write it: every frozen API version keeps it beside its SDK.

The mean of a carrier is computed in Go, by a task of the bundle.
"""

import csv
import logging
import time
from collections import defaultdict

from crosswind import DAG, Connection, Variable, VariableNotFound, get_current_context, task

log = logging.getLogger("release")


@task
def split(flights: str) -> list[dict]:
    """One list of delays for each carrier."""
    delays = defaultdict(list)
    for carrier, minutes in csv.reader(flights.splitlines()):
        delays[carrier].append(float(minutes))
    log.info("Split the flights of %d carriers", len(delays))
    return [{"name": name, "delays": delays[name]} for name in sorted(delays)]


mean = task.ref(bundle="release_bundle", entry_point="mean", parameters=["carrier"])


@task(connections=["warehouse"])
def delay(mean: dict, pause: float) -> dict:
    """The mean in the unit that a variable names, and the host that a connection names.

    It takes a while, so that heartbeats come in between.
    """
    try:
        Variable.get("release_none")
    except VariableNotFound:
        time.sleep(pause)
        return {**mean, "unit": Variable.get("release_unit"), "host": Connection.get("warehouse").host}
    raise AssertionError("a variable that is not there was found")


@task(retries=1, retry_delay=0.05)
def summary(delays: list[dict]) -> list[str]:
    """Fails its first try, then ranks the carriers, the latest first, and remembers how many there are."""
    context = get_current_context()
    if context.try_number == 1:
        raise RuntimeError("the first try is to fail")
    context.ti.xcom_push("count", len(delays))
    latest_first = sorted(delays, key=lambda each: -each["mean"])
    ranking = [f"{each['carrier']} {each['mean']:.1f} {each['unit']} from {each['host']}" for each in latest_first]
    log.info("Ranked the carriers, the latest is %s", ranking[0])
    return ranking


with DAG("release_python", params={"flights": "", "pause": 0.0}) as dag:
    means = mean.expand(carrier=split(dag.params["flights"]))
    summary(delay.partial(pause=dag.params["pause"]).expand(mean=means))

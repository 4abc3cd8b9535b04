"""How people name a run on the command line, and the run that they mean."""

from crosswind.cli.failures import CommandError, usage_error
from crosswind.client.control_client import ControlClient
from crosswind.control.v1.dag_runs_pb2 import DagRun, GetDagRunRequest, ListDagRunsRequest

RUN_HELP = "DAG_ID/RUN_ID, a RUN_ID that only one DAG has, DAG_ID/latest, or latest."
LATEST = "latest"


def find_run(client: ControlClient, reference: str) -> DagRun:
    """The run that a person means.

    Args:
        client: where to look.
        reference: `dag_id/run_id`, a `run_id` alone if it is unique, `dag_id/latest`, or `latest`.

    Raises:
        CommandError: no run is named so, or several are.
        ControlError: the server refused to look.
    """
    dag_id, slash, run_id = reference.rpartition("/")
    if not run_id or (slash and not dag_id):
        raise usage_error(f"`{reference}` names no run: give {RUN_HELP}")
    if run_id == LATEST:
        return _find_latest(client, dag_id)
    if dag_id:
        return client.call(client.dag_runs.GetDagRun, GetDagRunRequest(dag_id=dag_id, run_id=run_id)).dag_run
    found = list(client.list_rows(client.dag_runs.ListDagRuns, ListDagRunsRequest(run_id=run_id), "dag_runs", limit=10))
    if not found:
        raise CommandError(f"There is no run `{run_id}`: `crosswind runs list` shows the runs.")
    if len(found) > 1:
        names = ", ".join(f"{run.dag_id}/{run.run_id}" for run in found)
        raise usage_error(f"Several DAGs have a run `{run_id}`: say which of {names}.")
    run: DagRun = found[0]
    return run


def run_name(run: DagRun) -> str:
    """The name that finds a run again."""
    return f"{run.dag_id}/{run.run_id}"


def _find_latest(client: ControlClient, dag_id: str) -> DagRun:
    runs = client.list_rows(client.dag_runs.ListDagRuns, ListDagRunsRequest(dag_id=dag_id), "dag_runs", limit=1)
    for run in runs:
        latest: DagRun = run
        return latest
    of_dag = f" of the DAG `{dag_id}`" if dag_id else ""
    raise CommandError(f"There is no run{of_dag} yet: start one with `crosswind dags trigger {dag_id or 'DAG'}`.")

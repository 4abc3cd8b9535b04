"""Transcripts of runs: the real server over a real database, under a clock that stands still until it is moved.

A transcript is a text file in `tests/lifecycle/runs`, one capability a file. A block is commands, `----`, what they
print, and a blank line. `CROSSWIND_REWRITE=1 pytest tests/lifecycle/test_runs.py` writes what happens now into the
files; read the diff before you commit it. Each file runs on SQLite and on PostgreSQL and must print the same.

Every command is an RPC, or several, with everything that a call goes through: tokens, API version, refusals. After
each command the timekeeper does what is due and what was left behind. A refusal prints `error CODE/REASON sentence`.
Ids that the server makes are printed as `<id1>`, `<id2>`, in the order in which they are first seen. Commands stand one
a line, or several with `;` between them; a value with blanks is quoted, or in brackets.

    clock 2026-03-28T12:00Z             the time at which the transcript begins; before anything else
    dag d max_active_runs=2 {           defines a DAG: see `dag_text`
      a
      b after=a rule=one_failed retries=2 delay=5m
      c after=a,b map=[1,2,3]
    }
    manifest <textproto>                defines a DAG from the text form of `manifest.v1.Dag`
    publish [w1]                        a worker publishes all DAGs that were defined, as a new version of its bundle
    worker w1 slots=4 queues=a,b labels=gpu:yes roles=tasks,triggers
    trigger d r1 conf={"x":1} logical=2026-03-28T00:00Z note="why"
    poll w1                             prints leases and directives
    start a; finish a failed type=ValueError; run a result=[1,2]     see `outcomes` for the ways to end
    on a failed times=2                 what `work` shall do with a task; without, everything succeeds
    work                                the workers poll, start and finish until there is nothing to do
    advance 5m; advance to 2026-03-29T00:00Z     workers send heartbeats meanwhile, and the timekeeper keeps time
    silent w1; heard w1                 a worker sends no heartbeats, or does again
    restart                             the server ends and begins again
    states d r1; runs d; attempts a; why a; xcom a; time
    workloads d r1 kind=trigger why     triggers, callbacks and timetables, the newest first
    pause d; unpause d; cancel r1; cancel r1 a; clear r1; clear r1 a downstream; mark r1 a success; mark r1 failed
    drain w1; pause-worker w1; move w1; deregister w1
    backfill d from=.. to=.. reprocess=failed reverse dry_run; event NAME payload={..}; answer a choose=yes
    emit ASSET partition=.. extra={..}; pool p slots=3; variable key "value"
    mixes d of=a,b before=x,y           a table of what becomes of tasks under every mix of outcomes, see `mixing`
    show run r1 fields=state,note       a message of control.v1, see `showing`
    call DagRunService.GetDagRun dag_id: "d" run_id: "r1"      any RPC with an access token; prints the answer
    ask a TaskService.GetXCom key { ... }                      a task's RPC under its lease

Where there is only one worker, or one run, its name may be left out. A command is a function with `@command`, in the
module of its noun: whoever needs another one adds it there and here.
"""

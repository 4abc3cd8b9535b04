"""The pure rules of Crosswind: what may happen to attempts, tasks, runs and workers.

Here belong decisions that need nothing but their arguments: the table of attempt states and events (`lifecycle`),
retries (`retry`), what becomes of a task that waits (`decision`, by `hearing` and `readiness`), the shape of a DAG
(`graph`), registration of workers (`registration`), API versions (`version`), ids and page tokens (`ids`) and the
errors that name a refusal (`errors`). Here does not belong anything that reads a clock, a database, a file or the
network: `now` is always an argument, and only the standard library is imported. Times are integers in microseconds
since the epoch, UTC, as in the database.
"""

"""The worker: leases, task processes and their logs. What authors import does not belong here."""

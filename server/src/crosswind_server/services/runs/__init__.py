"""Where runs come from: triggers, schedules, backfills and events of assets. What becomes of one then is `flow`."""

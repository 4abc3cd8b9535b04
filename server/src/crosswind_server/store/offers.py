"""What live workers offer, for queries: offer keys, the bundle versions that hold them, the workers that have those.

Here belongs that join, and no query. What an offer key is stands in `schema`.
"""

from __future__ import annotations

from typing import Final

from sqlalchemy import Join, and_

from crosswind_server.store import guards
from crosswind_server.store.schema import bundle_offer, worker, worker_bundle

LIVE_OFFERS: Final[Join] = bundle_offer.join(
    worker_bundle,
    and_(
        worker_bundle.c.team == bundle_offer.c.team,
        worker_bundle.c.bundle == bundle_offer.c.bundle,
        worker_bundle.c.version == bundle_offer.c.version,
    ),
).join(
    worker,
    and_(worker.c.instance_id == worker_bundle.c.instance_id, guards.is_one_of(worker.c.state, guards.LIVE_WORKERS)),
)
"""`bundle_offer`, `worker_bundle` and `worker`, for each worker that lives."""

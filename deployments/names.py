"""Names that Prefect's server knows us by."""

from __future__ import annotations

POOL = "bulk-sender"
DEPLOYMENT = "send-batch/send-batch"
CREATE = "create-batch/create-batch"

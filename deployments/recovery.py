"""After a stop of everything: let batches go on that were decided or were being sent.

While things run, the deployment `settle` does the same every minute; `python -m deployments.recovery`
does it once, for the Prefect server that PREFECT_API_URL names.
"""

from __future__ import annotations

from httpx import HTTPError

from domain.errors import ServiceMissing
from tasks.surroundings import Surroundings, here


def go_on(around: Surroundings) -> list[int]:
    """Let every batch go on that has work left, when this machine has just started and runs no flow.

    Where Prefect's server is our own, a run that it believes to be running died with the last stop.

    Returns:
        The batches that go on by this.

    Raises:
        ServiceMissing: Prefect's server does not answer.
    """
    from prefect.exceptions import PrefectException  # noqa: PLC0415  Prefect reads its environment when it is imported

    from tasks import recovery  # noqa: PLC0415  same

    try:
        return recovery.go_on(around, alone=around.settings.prefect_api_url is None)
    except (HTTPError, PrefectException) as fault:
        raise ServiceMissing(
            f"Prefect's server at {around.settings.prefect_url} could not be asked about runs. Look at its log, then start again."
        ) from fault


def main() -> None:
    """Let batches go on whose run has ended, wherever runs may be alive."""
    from tasks import recovery  # noqa: PLC0415  as above

    recovery.go_on(here())


if __name__ == "__main__":
    main()

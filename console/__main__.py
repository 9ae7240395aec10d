"""`python -m console` serves the web app on the port of the settings."""

from __future__ import annotations

import uvicorn

from console.app import make_app
from deployments.surroundings import surroundings


def main() -> None:
    """Serve until told to stop. Paths hold tokens, so requests are not logged."""
    around = surroundings()
    uvicorn.run(
        make_app(around),
        host=around.settings.host,
        port=around.settings.web_port,
        access_log=False,
        server_header=False,
    )


if __name__ == "__main__":
    main()

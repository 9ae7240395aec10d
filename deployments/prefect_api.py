"""The few calls that people's acts make to Prefect's server, over its REST API: importing Prefect would take seconds."""

from __future__ import annotations

import os
import time
import uuid
from typing import Any
from urllib.parse import urlsplit

import httpx

from deployments.names import DEPLOYMENT
from domain.errors import ServiceMissing

_TIMEOUT = httpx.Timeout(75.0, connect=10.0)
"""Prefect waits up to a minute for the lock of its SQLite; whoever gives up sooner does not know what it did."""
_POLL_SECONDS = 0.2
_BUSY = {423, 429, 502, 503, 504}
_BUSY_SECONDS = 90.0


class PrefectApi:
    """A Prefect server. Every call raises ServiceMissing where it does not answer."""

    def __init__(self, url: str) -> None:
        """Prepare; connects at the first call."""
        user, _, password = os.environ.get("PREFECT_API_AUTH_STRING", "").partition(":")
        self._url = url
        self._http = httpx.Client(
            base_url=url.rstrip("/") + "/",
            timeout=_TIMEOUT,
            auth=(user, password) if user else None,
            trust_env=False,
        )

    def require(self) -> None:
        """Make sure that the server answers and that the flow is deployed there."""
        self._deployment()

    def make_pool(self, name: str) -> None:
        """Make a process work pool unless it is there; its worker fills in the rest."""
        if not self._call("GET", f"work_pools/{name}", None, missing={}):
            self._call("POST", "work_pools/", {"name": name, "type": "process"})

    def start(self, *, batch_id: int, name: str, tags: list[str]) -> str:
        """Start the run of a batch; gives the run's id."""
        run = self._call(
            "POST",
            f"deployments/{self._deployment()}/create_flow_run",
            {
                "name": name,
                "tags": tags,
                "parameters": {"batch_id": batch_id},
                "idempotency_key": uuid.uuid4().hex,  # a repeated call starts no second run
            },
        )
        return str(run["id"])

    def form(self, deployment: str) -> tuple[str, dict[str, Any]] | None:
        """A deployment's id and the schema of its form; None if it is not there."""
        found = self._call("GET", f"deployments/name/{deployment}", None, missing={})
        return (str(found["id"]), dict(found["parameter_openapi_schema"] or {})) if found else None

    def change_form(self, deployment_id: str, schema: dict[str, Any]) -> None:
        """Give a deployment another schema of its form; without it, the rest of the deployment stays."""
        self._call("PATCH", f"deployments/{deployment_id}", {"parameter_openapi_schema": schema})

    def resume(self, run_id: str, answers: dict[str, str], *, wait_seconds: float) -> bool:
        """Resume a suspended run with the answers to its form.

        A run that is about to suspend refuses for a moment, so this tries until it is accepted.

        Returns:
            False if the run was never found suspended: it ended, or it went on by itself.
        """
        deadline = time.monotonic() + wait_seconds
        while time.monotonic() < deadline:
            state = self.state(run_id)
            if state in {"COMPLETED", "FAILED", "CANCELLED", "CRASHED", "MISSING"}:
                return False
            if state == "PAUSED":
                answer = self._call("POST", f"flow_runs/{run_id}/resume", {"run_input": answers})
                if answer.get("status") == "ACCEPT":
                    return True
            time.sleep(_POLL_SECONDS)
        return False

    def state(self, run_id: str) -> str:
        """The type of a run's state; `MISSING` if the server does not know the run."""
        found = self._call("GET", f"flow_runs/{run_id}", None, missing={"state": {"type": "MISSING"}})
        return str((found.get("state") or {}).get("type") or "PENDING")

    def wait_for_end(self, run_id: str, *, wait_seconds: float) -> None:
        """Let a run end by itself, for as long as that may take at most."""
        deadline = time.monotonic() + wait_seconds
        while time.monotonic() < deadline and self.state(run_id) in {"SCHEDULED", "PENDING", "RUNNING"}:
            time.sleep(_POLL_SECONDS)

    def cancel(self, run_id: str) -> None:
        """End a run: a suspended one at once, a running one by its worker; one that has ended stays as it is."""
        state = {"type": "CANCELLING", "name": "Cancelling", "message": "Rows of its batch were corrected."}
        self._call("POST", f"flow_runs/{run_id}/set_state", {"state": state}, missing={})

    def call_crashed(self, run_id: str) -> None:
        """Say of a run that its process is gone."""
        state = {"type": "CRASHED", "name": "Crashed", "message": "Its process ended when everything was stopped."}
        self._call("POST", f"flow_runs/{run_id}/set_state", {"state": state, "force": True}, missing={})

    def _deployment(self) -> str:
        found = self._call("GET", f"deployments/name/{DEPLOYMENT}", None, missing={})
        if not found:
            raise ServiceMissing(
                f"Prefect's server at {self._where} does not have {DEPLOYMENT} yet. Start everything with bulk-sender up, and wait until it says that it runs."
            )
        return str(found["id"])

    @property
    def _where(self) -> str:
        parts = urlsplit(self._url)
        return f"{parts.scheme}://{parts.hostname}:{parts.port}" if parts.port else f"{parts.scheme}://{parts.hostname}"

    def _call(
        self, method: str, path: str, body: dict[str, Any] | None, *, missing: dict[str, Any] | None = None
    ) -> dict[str, Any]:
        try:
            answer = self._patiently(method, path, body)
        except httpx.HTTPError as fault:
            raise ServiceMissing(
                f"Prefect's server at {self._where} does not answer. Start it with: bulk-sender up"
            ) from fault
        if answer.status_code == httpx.codes.NOT_FOUND and missing is not None:
            return missing
        if answer.is_error:
            raise ServiceMissing(
                f"Prefect's server at {self._where} answered {answer.status_code} to {method} {path}. Look at its log, then try again."
            )
        found = answer.json() if answer.content else {}
        return found if isinstance(found, dict) else {}

    def _patiently(self, method: str, path: str, body: dict[str, Any] | None) -> httpx.Response:
        """One call, repeated while the server says that it is too busy, as it does when SQLite is."""
        deadline = time.monotonic() + _BUSY_SECONDS
        while True:
            answer = self._http.request(method, path, json=body)
            if answer.status_code not in _BUSY or time.monotonic() >= deadline:
                return answer
            time.sleep(_POLL_SECONDS)

"""Take the pictures of the README anew: `.venv/bin/python docs/take_pictures.py`.

Starts a throwaway installation on the ports of the environment and sends the demo's recipient file on the
sandbox twice: once approved on the form of the Prefect UI, once by two people on the screen. Photographs what they see.
"""
# ruff: noqa: INP001  a script beside the documents, no package

from __future__ import annotations

import re
import shutil
import sys
import tempfile
import time
from collections.abc import Callable
from datetime import UTC, datetime
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit

import httpx
from playwright.sync_api import Browser, Locator, Page, expect, sync_playwright

from cli.demo_recipients import write_demo_file
from console.who import cookie_name
from deployments import accounts, acts
from deployments.supervisor import Supervisor
from deployments.surroundings import Surroundings, surround
from deployments.views import batch_view
from domain.processes import read_definition
from domain.rights import Role
from models import batches, processes
from settings import Settings, load

PICTURES = Path(__file__).parent / "pictures"
PROCESS = Path(__file__).parents[1] / "processes" / "motor-renewal.yaml"
CHROMIUM = "/usr/bin/chromium" if Path("/usr/bin/chromium").exists() else shutil.which("chromium")
ARGUMENTS = ["--no-sandbox", "--disable-gpu", "--disable-background-networking"]
PEOPLE, SEED = 600, 7
OPERATOR, APPROVER = "operator@acme.example", "approver@acme.example"
SMS_PER_SECOND = 15
"""Slow enough to be photographed in the middle."""
MIDDLE = range(35, 75)
WAIT_SECONDS, SMALLEST_WAIT_SECONDS = 90.0, 0.2
PATIENCE_MS = 30_000
MOST_BYTES = 300_000
LINK = re.compile(r"https?://\S+/l/[\w=-]+")
NUMBER = re.compile(r"\d+")


def main() -> None:
    """Take all pictures."""
    with tempfile.TemporaryDirectory(prefix="bulk-sender-pictures-") as folder:
        settings = load(
            home=Path(folder), sendgrid_api_key=None, twilio_account_sid=None, sms_per_second=SMS_PER_SECOND
        )
        around = surround(settings)
        with Supervisor(settings, tell=lambda _said: None).running(), sync_playwright() as playwright:
            browser = playwright.chromium.launch(executable_path=CHROMIUM, args=ARGUMENTS)
            page = browser.new_page(viewport={"width": 1280, "height": 800}, device_scale_factor=1)
            _photograph(around, page, folder=Path(folder))
            _photograph_screen(around, browser, folder=Path(folder))
            browser.close()


def _photograph(around: Surroundings, page: Page, *, folder: Path) -> None:
    """A batch from its upload to its end."""
    batch_id = _create(around, folder / "renewals-january.xlsx")
    run_id = _until(around, batch_id, lambda view: view["phase"] == "waiting")["flow_run_id"]
    run = f"{around.settings.prefect_url.removesuffix('/api')}/runs/flow-run/{run_id}"

    page.goto(run)
    page.get_by_role("button", name="Resume").click()
    form = page.get_by_role("dialog")
    _fill_in(form)
    _save(page, "approval-form")
    form.get_by_role("button", name="Submit").click()
    expect(form).to_be_hidden(timeout=PATIENCE_MS)

    _until(around, batch_id, lambda view: view["phase"] in {"sending", "finished"})
    page.goto(f"{run}?tab=Artifacts")
    page.get_by_text("Artifacts", exact=True).last.click()
    _until(around, batch_id, lambda view: _percent(view) in MIDDLE or view["phase"] == "finished")
    _save(page, "progress")

    _until(around, batch_id, lambda view: view["phase"] == "finished")
    number, link = _somebody(around.settings)
    page.goto(around.settings.sandbox_url)
    page.get_by_label("Address contains").fill(number)
    page.get_by_role("button", name="Show").click()
    _save(page, "outbox")
    page.goto(link)
    _save(page, "landing")


def _photograph_screen(around: Surroundings, browser: Browser, *, folder: Path) -> None:
    """The five main pages, as an operator and an approver see them."""
    operator, approver = (_signed_in(around, browser, *who) for who in ((OPERATOR, "operator"), (APPROVER, "approver")))
    file = folder / "renewals-february.xlsx"
    write_demo_file(file, rows=PEOPLE, seed=SEED + 1)
    operator.goto("/batches/new")
    operator.get_by_label("Upload csv/excel File").set_input_files(file)
    operator.get_by_role("button", name="Next").click()
    operator.get_by_label("Batch Name").fill("Motor renewals February")
    _save(operator, "new-batch")
    operator.get_by_role("button", name="Create", exact=True).click()
    operator.get_by_role("link", name="Motor renewals February", exact=True).click()
    expect(operator.get_by_text("Waiting for a decision")).to_be_visible(timeout=PATIENCE_MS)
    approver.goto(urlsplit(operator.url).path)
    _save(approver, "batch")
    approver.get_by_role("button", name=re.compile("^Approve")).click()
    batch_id = int(urlsplit(approver.url).path.rsplit("/", 1)[1])
    _until(around, batch_id, lambda view: _percent(view) in MIDDLE or view["phase"] == "finished")
    approver.reload()
    _save(approver, "sending")
    operator.goto("/")
    _save(operator, "batches")
    _until(around, batch_id, lambda view: view["phase"] == "finished")
    operator.goto(f"/batches/{batch_id}/recipients")
    _save(operator, "recipients")


def _signed_in(around: Surroundings, browser: Browser, email: str, role: str) -> Page:
    accounts.add_user(around, email, Role(role), password=None)
    address = f"http://127.0.0.1:{around.settings.web_port}"
    window = browser.new_context(viewport={"width": 1280, "height": 800}, base_url=address)
    name, value = cookie_name(around.settings), accounts.sign_in_as(around, email)
    window.add_cookies([{"name": name, "value": value, "url": address}])
    window.set_default_timeout(PATIENCE_MS)
    return window.new_page()


def _create(around: Surroundings, file: Path) -> int:
    definition = read_definition(PROCESS.read_text(encoding="utf-8"), name=PROCESS.name)
    with around.database.write() as session:
        processes.deploy(session, definition, draft=False, now=datetime.now(UTC))
    write_demo_file(file, rows=PEOPLE, seed=SEED)
    return acts.create(around, file, process_key=definition.key, sender=OPERATOR, name="Motor renewals January")


def _fill_in(form: Locator) -> None:
    """As the approver does; the UI's labels are not tied to their controls."""

    def field(title: str) -> Locator:
        label = form.page.locator(".schema-form-property__label").filter(has_text=re.compile(rf"^{title}\b"))
        return form.locator(".schema-form-property").filter(has=label).get_by_role("group")

    expect(form.get_by_text("What people will read")).to_be_attached(timeout=PATIENCE_MS)
    field("Decision").get_by_role("button").press("ArrowDown")
    form.page.get_by_role("option", name="Approve", exact=True).click()
    field("Your email").get_by_role("textbox").fill(APPROVER)
    field("Comment").get_by_role("textbox").fill("Counts agree with the order of 3 January.")


def _until(around: Surroundings, batch_id: int, is_so: Callable[[dict[str, Any]], bool]) -> dict[str, Any]:
    """Look at a batch until something is so."""
    deadline = time.monotonic() + WAIT_SECONDS
    while time.monotonic() < deadline:
        with around.database.read() as session:
            batch = batches.by_id(session, batch_id)
            view = batch_view(session, batch, processes.version_by_id(session, batch.process_version_id))
        if is_so(view):
            return view
        time.sleep(SMALLEST_WAIT_SECONDS)
    sys.exit(f"Batch {batch_id} did not come that far: {view['phase']}, {view['counts']}")


def _percent(view: dict[str, Any]) -> int:
    return int(100 * view["counts"]["sent"] / max(view["counts"]["valid"], 1))


def _somebody(settings: Settings) -> tuple[str, str]:
    """Somebody who got an email and an SMS: the number in both addresses, and the personal link."""
    answer = httpx.get(f"{settings.sandbox_url}/sandbox/messages", params={"limit": 1000}, trust_env=False)
    in_an_sms = set()
    for message in answer.raise_for_status().json()["messages"]:  # the newest first, and SMS are sent last
        link, number = LINK.findall(message["text"])[0], NUMBER.findall(message["to"])[0]
        if message["provider"] == "twilio":
            in_an_sms.add(link)
        elif link in in_an_sms:
            return number, link
    sys.exit("Nobody got an email and an SMS.")


def _save(page: Page, name: str) -> None:
    """Write one picture, when the page has come to rest."""
    page.wait_for_load_state("networkidle")
    page.wait_for_timeout(1500)  # what fades in has no event to wait for
    path = PICTURES / f"{name}.png"
    page.screenshot(path=path, animations="disabled")
    if path.stat().st_size > MOST_BYTES:
        sys.exit(f"{path.name} has {path.stat().st_size:,} bytes; at most {MOST_BYTES:,} belong into a README.")


if __name__ == "__main__":
    main()

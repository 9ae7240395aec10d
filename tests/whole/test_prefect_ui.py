"""Approving and rejecting on the form of Prefect's own UI, in a real browser."""

from __future__ import annotations

import re
from pathlib import Path

import pytest
from playwright.sync_api import Browser, Locator, Page, expect

from tests.browsers import browser
from tests.whole.installation import APPROVER, OPERATOR, PROCESS, Installation, until
from tests.whole.people import people, write_csv

__all__ = ["browser"]

pytestmark = [pytest.mark.whole, pytest.mark.browser, pytest.mark.timeout(600)]

PATIENCE_MS = 90_000


@pytest.fixture(scope="module")
def page(browser: Browser) -> Page:
    """A page of a real browser."""
    page = browser.new_page()
    page.set_default_timeout(PATIENCE_MS)
    return page


def field(form: Locator, title: str) -> Locator:
    """The control of a field; the UI's labels are not tied to their controls."""
    label = form.page.locator(".schema-form-property__label").filter(has_text=re.compile(rf"^{title}\b"))
    return form.locator(".schema-form-property").filter(has=label).get_by_role("group")


def decide(page: Page, *, url: str, decision: str, comment: str) -> None:
    """Fill in and submit the form as a person with a keyboard does."""
    page.goto(url)
    page.get_by_role("button", name="Resume").click()
    form = page.get_by_role("dialog")
    expect(form.get_by_text("What people will read")).to_be_attached(timeout=PATIENCE_MS)
    field(form, "Decision").get_by_role("button").press("ArrowDown")
    page.get_by_role("option", name=decision, exact=True).click()
    expect(field(form, "Decision")).to_contain_text(decision)
    field(form, "Your email").get_by_role("textbox").fill(APPROVER)
    field(form, "Comment").get_by_role("textbox").fill(comment)
    form.get_by_role("button", name="Submit").click()
    expect(form).to_be_hidden(timeout=PATIENCE_MS)


def test_a_batch_approved_on_the_form_is_sent(installation: Installation, page: Page, tmp_path: Path) -> None:
    persons = people("email", "phone", "both", "nameless", tag="form", block=40)
    batch_id, run_id = installation.waiting(write_csv(tmp_path / "form.csv", persons))
    decide(page, url=f"{installation.prefect}/runs/flow-run/{run_id}", decision="Approve", comment="go")
    view = installation.wait(batch_id)
    assert (view["status"], view["counts"]["sent"], view["counts"]["invalid"]) == ("Approved", 3, 1)
    assert {len(messages) for messages in installation.arrived(persons).values()} == {1}
    assert len(installation.arrived(persons)) == 4


def test_a_batch_rejected_on_the_form_is_not_sent(installation: Installation, page: Page, tmp_path: Path) -> None:
    persons = people("email", "phone", "both", tag="refused", block=41)
    batch_id, run_id = installation.waiting(write_csv(tmp_path / "refused.csv", persons))
    decide(page, url=f"{installation.prefect}/runs/flow-run/{run_id}", decision="Reject", comment="wrong list")
    view = installation.wait(batch_id)
    assert (view["phase"], view["status"], view["counts"]["sent"]) == ("stopped", "Admin Rejection", 0)
    installation.await_end(run_id)
    assert installation.arrived(persons) == {}


def test_a_batch_is_made_on_the_form_of_its_deployment(installation: Installation, page: Page, tmp_path: Path) -> None:
    persons = people("email", "phone", "nameless", tag="typed", block=42)
    file = write_csv(tmp_path / "typed.csv", persons)
    installation.run("process", "deploy", PROCESS)  # `prefect deploy` takes the list of processes off the form
    found = installation.http.get(f"{installation.prefect}/api/deployments/name/create-batch/create-batch")
    page.goto(f"{installation.prefect}/deployments/deployment/{found.raise_for_status().json()['id']}/run")
    form = page.locator("body")
    field(form, "Select A Process").get_by_role("button").first.press("ArrowDown")
    page.get_by_role("option", name="motor-renewal", exact=True).click()
    field(form, "File").get_by_role("textbox").fill(str(file))
    field(form, "Sender Email").get_by_role("textbox").fill(OPERATOR)
    page.get_by_role("button", name="Submit").click()

    [made] = until(
        lambda: installation.ask("batch", "list", "--search", "typed"), what="the batch of the form", seconds=150
    )

    view = installation.wait(made["id"], "waiting")
    assert (view["sender"], view["process"], view["file"]) == (OPERATOR, "motor-renewal", "typed.csv")
    assert (view["counts"]["valid"], view["counts"]["invalid"]) == (2, 1)

"""Every page and report with markup and percent signs in every text that a person, a caller or a PBX may choose."""

import html
import re
import shutil
import sqlite3
from contextlib import closing
from dataclasses import replace
from pathlib import Path

from sqlmodel import SQLModel

from pbxcrm.access import Role
from pbxcrm.reports.report import all_reports
from tests.integration.walking import (
    MAY_BE_UNREADY,
    ROUTES,
    RawResponse,
    Walker,
    address,
    ask,
    lets_in,
    method_of,
    told,
)
from web.doors import Door
from web.routing import rule_of

HOSTILE = ' <b class="x">%s 50%'
CHOSEN = {
    "body", "button", "client_heard", "client_name", "dialled", "did", "hint", "instruction", "intro", "lost_reason", "name", "note", "page", "queue",
    "referrer", "source", "subject", "text", "thanks", "title", "trunk", "user_agent", "why",
}  # fmt: skip
CODES = {"lamps.subject", "distribution_choices.subject", "deliveries.why", "message_stops.why"}  # of one's own making
WHO = {Role.ADMIN: "admin", Role.MANAGER: "maria", Role.SELLER: "ivan"}


def spoil(file: Path) -> int:
    """Add the text to every row of every such column. Returns how many columns had a row."""
    spoilt = 0
    with closing(sqlite3.connect(file)) as database:
        for table in SQLModel.metadata.sorted_tables:
            for column in table.columns:
                if column.name in CHOSEN and f"{table.name}.{column.name}" not in CODES:
                    named = f'"{column.name}"'
                    spoiling = f"UPDATE \"{table.name}\" SET {named} = {named} || ? WHERE {named} <> ''"
                    spoilt += database.execute(spoiling, [HOSTILE]).rowcount > 0
        database.commit()
    return spoilt


def faults(answer: RawResponse) -> str:
    """What is wrong with an answer; empty when nothing is."""
    if answer.status >= 500:
        return f"{answer.status} {answer.text[:300]}"
    at = answer.text.find("<b class=")
    if at >= 0 and "html" in answer.headers.get("content-type", ""):
        return f"…{answer.text[max(0, at - 80) : at + 40]}…"
    return ""


async def test_no_page_takes_a_name_for_markup_or_for_a_format(walker: Walker, tmp_path: Path) -> None:
    file = tmp_path / "hostile.db"
    shutil.copyfile(walker.seeded.file, file)
    assert spoil(file) >= 30
    walker.seeded = replace(walker.seeded, file=file)
    wrong, met = [], 0
    async with walker.app() as app:
        for route in ROUTES:
            if method_of(route) != "GET" or told(route) in MAY_BE_UNREADY:
                continue
            for role, login in WHO.items():
                if lets_in(route, role) and not (rule_of(route).door is Door.TOKEN and role is not Role.ADMIN):
                    answer = await ask(
                        app, "GET", address(route, walker.seeded.mine), walker.seeded.headers(route, login)
                    )
                    wrong += [f"{told(route)} as {login}: {fault}" for fault in [faults(answer)] if fault]
                    met += "&lt;b class=" in answer.text
        cookie = walker.seeded.cookies["admin"]
        for report in all_reports():
            for by in report.dimensions:
                answer = await ask(app, "GET", f"/reports/{report.name}?by={by}&period=month", cookie)
                links = re.findall(r'href="(/reports/[^"]+/rows[^"]*)"', answer.text)[:2]
                asked = [answer, *[await ask(app, "GET", html.unescape(link), cookie) for link in links]]
                wrong += [f"{report.name} by {by}: {fault}" for fault in map(faults, asked) if fault]
                met += sum("&lt;b class=" in each.text for each in asked)
    assert not wrong, "\n".join(wrong)
    assert met > 100

"""Server time of the main pages with a full database on SQLite, as seller and as manager, and what the shell weighs as it is sent."""

import asyncio
import re
from urllib.parse import urljoin

import httpx2

from tests.bench.full_house import CALLS, House, full_house, times
from tests.bench.table import Figure
from tests.databases import running_redis
from tests.office import PASSWORD

# Rows that Ivan may see, and Maria as his manager: every third is his.
ANYBODYS = (
    "/board", "/board?q=777", "/deals/9", f"/calls/{CALLS}", "/calls", "/calls?q=777", "/tasks", "/callbacks",
    "/contacts", "/contacts/9", "/search?q=client+777",
)  # fmt: skip
PAGES = {"ivan": ANYBODYS, "maria": (*ANYBODYS, "/escalations", "/people", "/status")}
ROUNDS = 20
GOAL, WEIGHT_GOAL = 100, 150  # milliseconds, kilobytes

_PARTS = re.compile(r'(?:href|src|data-worker)="(/static/[^"#]+)')
_IMPORTS = re.compile(r"""(?:from|import)\s*\(?\s*["'](\.[^"']+)""")


async def measure(house: House) -> list[Figure]:
    figures: list[Figure] = []
    client = house.client
    for login, pages in PAGES.items():
        client.cookies.clear()
        answer = await client.post("/login", data={"login": login, "password": PASSWORD})
        assert answer.status_code == 303, answer.text
        figures += [(await times(house, path, ROUNDS)).figure(f"{path} as {login}", GOAL) for path in pages]
    weight, parts = await weigh(client, "/profile")
    kilobytes = weight / 1000
    figures.append(
        Figure(
            f"the shell as it is sent, {parts} parts",
            f"{kilobytes:.0f} kB",
            f"under {WEIGHT_GOAL} kB",
            kilobytes < WEIGHT_GOAL,
        )
    )
    weight, parts = await weigh(client, "/board")
    return [*figures, Figure(f"the board with the shell, {parts} parts", f"{weight / 1000:.0f} kB")]


async def weigh(client: httpx2.AsyncClient, page: str) -> tuple[int, int]:
    """Bytes on the wire of a page with everything it loads, modules that modules import among them, and how many parts they are."""
    waiting, seen, weight = [page], {page}, 0
    while waiting:
        path = waiting.pop()
        async with client.stream("GET", path, headers={"accept-encoding": "gzip"}) as answer:
            assert answer.status_code == 200, path
            text = (await answer.aread()).decode()
            weight += answer.num_bytes_downloaded
        found = _PARTS.findall(text) if path == page else _IMPORTS.findall(text) if path.endswith(".js") else []
        fresh = {urljoin(path, part) for part in found} - seen
        seen |= fresh
        waiting += sorted(fresh)
    return weight, len(seen)


def run() -> list[Figure]:
    async def measured(redis_url: str) -> list[Figure]:
        async with full_house(redis_url) as house:
            return await measure(house)

    with running_redis() as url:
        return asyncio.run(measured(url))

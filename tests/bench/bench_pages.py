"""Server time of the main pages with a full database, as seller, new seller and manager, and the transferred size of a page. On
SQLite, and on PostgreSQL if it is installed.
"""

import asyncio
import re
from urllib.parse import urljoin

import httpx2

from tests.bench.full_house import CALLS, FullHouse, full_house, times
from tests.bench.table import Figure
from tests.databases import Postgres, fresh_name, postgres_programs, running_postgres, running_redis
from tests.office import PASSWORD

LISTS = (
    "/board", "/board?q=777", "/board?q=client+77", "/calls", "/calls?q=777", "/calls?q=client+777", "/calls?q=nobody",
    "/calls?mine=1", "/tasks", "/tasks?q=offer", "/callbacks", "/contacts", "/contacts?q=0000777",
    "/contacts?q=client+777", "/contacts?q=nobody", "/search?q=client+777", "/search?q=0000777", "/search?q=777+клиент", "/search?q=rkbtyn", "/search?q=offer+friday", "/search?q=nobody",
)  # fmt: skip
# Rows that Ivan (he has every third one) and his manager Maria may see.
ROWS = ("/deals/9", f"/calls/{CALLS}", "/contacts/9")
PAGES = {
    "ivan": (*LISTS, *ROWS),
    "newcomer": LISTS,
    "maria": (*LISTS, *ROWS, "/escalations", "/people", "/status"),
}
ROUNDS = 20
GOAL, WEIGHT_GOAL = 100, 150  # milliseconds, kilobytes

_PARTS = re.compile(r'(?:href|src|data-worker)="(/static/[^"#]+)')
_IMPORTS = re.compile(r"""(?:from|import)\s*\(?\s*["'](\.[^"']+)""")


async def measure(house: FullHouse, on: str) -> list[Figure]:
    figures: list[Figure] = []
    client = house.client
    for login, pages in PAGES.items():
        client.cookies.clear()
        answer = await client.post("/login", data={"login": login, "password": PASSWORD})
        assert answer.status_code == 303, answer.text
        figures += [(await times(house, path, ROUNDS)).figure(f"{on}: {path} as {login}", GOAL) for path in pages]
    return figures


async def weights(client: httpx2.AsyncClient) -> list[Figure]:
    weight, parts = await weigh(client, "/profile")
    kilobytes = weight / 1000
    shell = f"the shell as it is sent, {parts} parts"
    figure = Figure(shell, f"{kilobytes:.0f} kB", f"under {WEIGHT_GOAL} kB", kilobytes < WEIGHT_GOAL)
    weight, parts = await weigh(client, "/board")
    return [figure, Figure(f"the board with the shell, {parts} parts", f"{weight / 1000:.0f} kB")]


async def weigh(client: httpx2.AsyncClient, page: str) -> tuple[int, int]:
    """Transferred bytes of a page with everything it loads, including imported modules; and the number of files."""
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
    async def on_sqlite(redis_url: str) -> list[Figure]:
        async with full_house(redis_url) as house:
            return [*await measure(house, "SQLite"), *await weights(house.client)]

    async def on_postgres(redis_url: str, server: Postgres) -> list[Figure]:
        process = int((server.folder / "data" / "postmaster.pid").read_text().partition("\n")[0])
        async with full_house(redis_url, await server.create(fresh_name()), process) as house:
            return await measure(house, "PostgreSQL")

    programs = postgres_programs()
    with running_redis() as url:
        figures = asyncio.run(on_sqlite(url))
        if programs is not None:
            with running_postgres(programs) as server:
                figures += asyncio.run(on_postgres(url, server))
    return figures

"""Ten years of a big office: clients, deals, tasks, notes and calls, as many as asked for. The database generates the rows.

Indexes are dropped before and made again afterwards: it is faster by far, and they are as compact as after years of VACUUM.
"""

import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import astuple, dataclass
from datetime import datetime, timedelta

from sqlalchemy import text
from sqlmodel import col, select

from pbxcrm.checkpoints.models import Checkpoint
from pbxcrm.contacts.name_likeness import name_key
from pbxcrm.deals.models import Stage, StageKind
from pbxcrm.people.models import Extension, Team, User
from pbxcrm.people.passwords import hash_password
from pbxcrm.shared.alphabet import order_key
from pbxcrm.shared.db import Database
from pbxcrm.shared.search_keys import search_key
from pbxcrm.shared.spellings import spellings_of, words_to_spell
from tests.bench.big_funnel import Filler, one_of
from tests.office import PASSWORD

SELLERS, TEAMS = 60, 6
OPEN = 5_000  # open deals of the office, at any time
FIRST = [
    "Олена",
    "Тарас",
    "Ірина",
    "Максим",
    "Наталія",
    "Богдан",
    "Марія",
    "Сергій",
    "Юлія",
    "Андрій",
    "Дмитро",
    "Вікторія",
    "Роман",
    "Софія",
    "Оксана",
    "Ігор",
    "Людмила",
    "Павло",
    "Світлана",
    "Олександр",
    "Катерина",
    "Микола",
    "Ганна",
    "Василь",
    "Тетяна",
    "Степан",
    "Надія",
    "Юрій",
    "Лариса",
    "Віталій",
    "Anna",
    "Peter",
    "Maria",
    "John",
    "Emma",
    "Игорь",
    "Елена",
    "Сергей",
]
_ROOTS = [
    "Ковал",
    "Шевч",
    "Мельн",
    "Бондар",
    "Гонч",
    "Лис",
    "Поліщ",
    "Савч",
    "Ткач",
    "Кравч",
    "Мороз",
    "Руд",
    "Петр",
    "Іван",
    "Павл",
    "Захар",
    "Марч",
    "Клим",
    "Сидор",
    "Гнат",
    "Яр",
    "Романч",
    "Дзюб",
    "Білик",
    "Зайч",
    "Костюч",
    "Семен",
    "Левч",
    "Панч",
    "Усач",
    "Тимош",
    "Остап",
    "Гриц",
    "Харч",
    "Федор",
    "Кузьм",
    "Сем",
    "Вовч",
    "Дорош",
    "Чумач",
    "Шостак",
    "Назар",
    "Прокоп",
    "Радч",
    "Юрч",
    "Волош",
    "Бабич",
    "Кириш",
    "Ольх",
]
_ENDINGS = ["енко", "ук", "ський", "ишин", "ець", "ан", "івський", "юк", "няк", "ов"]
_WHAT = [
    "Кухня",
    "Шафа",
    "Двері",
    "Підлога",
    "Сходи",
    "Стіл",
    "Вікна",
    "Ліжко",
    "Паркет",
    "Фасад",
    "Балкон",
    "Ремонт",
    "Kitchen",
    "Parquet",
    "Доставка",
    "Монтаж",
    "Проєкт",
    "Договір",
]
_OF = [
    "дубова",
    "біла",
    "з",
    "масиву",
    "під",
    "ключ",
    "кутова",
    "для",
    "офісу",
    "oak",
    "matte",
    "до",
    "п’ятниці",
    "за",
    "ескізом",
]
_SAID = [
    "просить",
    "знижку",
    "доставка",
    "п’ятниця",
    "передзвонити",
    "дуб",
    "ясен",
    "горіх",
    "замір",
    "договір",
    "оплата",
    "готівка",
    "адреса",
    "ліфт",
    "поверх",
    "монтаж",
    "гарантія",
    "колір",
    "зразок",
    "offer",
    "call",
    "later",
]


@dataclass(frozen=True, slots=True)
class YearsSize:
    """How many rows."""

    contacts: int
    deals: int
    calls: int
    tasks: int
    notes: int

    @property
    def companies(self) -> int:
        """Every fifth client has a company with three others."""
        return max(1, self.contacts // 20)

    def scaled(self, by: float) -> "YearsSize":
        """The same office, smaller or larger."""
        return YearsSize(*(max(100, round(count * by)) for count in astuple(self)))


BIG = YearsSize(contacts=1_000_000, deals=3_000_000, calls=10_000_000, tasks=1_000_000, notes=500_000)
SMALL = YearsSize(
    contacts=100_000, deals=300_000, calls=1_000_000, tasks=100_000, notes=50_000
)  # a tenth, and SQLite's size
TENTH_OF_SMALL = YearsSize(contacts=10_000, deals=30_000, calls=100_000, tasks=10_000, notes=5_000)


class TenYears:
    """Fills one database. The people of ``tests.office`` must be there."""

    def __init__(self, db: Database, size: YearsSize, until: datetime) -> None:
        self._db, self._size, self._until = db, size, until
        self._fill = Filler(db)
        self._first_owner = 0
        self._spelled: list[str] = []
        self._checkpoint: int | None = None
        self._open: list[int] = []
        self._closed: list[int] = []

    async def fill(self) -> None:
        """Insert everything, make the indexes again and gather the statistics."""
        await self._people()
        await self._names()
        async with _without_indexes(self._fill):
            await asyncio.gather(self._calls(), self._clients(), self._deals(), self._work(), self._lamps())
            await self._searched()
        async with self._db.engine.begin() as connection:
            await connection.execute(text("DROP TABLE bench_names"))
        await self._fill.tidy()

    async def _people(self) -> None:
        """Sixty sellers, ten in each team, with ids without a gap. The first ten are in the team of ``maria``."""
        hashed = await hash_password(PASSWORD)
        async with self._db.write() as session:
            teams = [(await session.exec(select(Team).where(Team.name == "Sales"))).one()]
            for n in range(1, TEAMS):
                teams.append(Team(name=f"Team {n}"))
                session.add(teams[-1])
            await session.flush()
            users = [
                User(
                    login=f"seller{n}", name=f"Seller {n}", role="seller", password_hash=hashed,
                    team_id=teams[n * TEAMS // SELLERS].id, created_at=self._until,
                )
                for n in range(SELLERS)
            ]  # fmt: skip
            for user in users:
                session.add(user)
                await session.flush()
            self._first_owner = users[0].id or 0
            assert users[-1].id == self._first_owner + SELLERS - 1
            session.add_all(Extension(number=str(1000 + n), user_id=user.id or 0) for n, user in enumerate(users))
            self._checkpoint = (
                await session.exec(select(Checkpoint.id).where(col(Checkpoint.stage_id).is_not(None)))
            ).all()[0]
            stages = (await session.exec(select(Stage).where(Stage.pipeline_id == 1).order_by(col(Stage.id)))).all()
        closed = {StageKind.WON, StageKind.LOST}
        self._open = [stage.id or 0 for stage in stages if stage.kind not in closed]
        self._closed = [stage.id or 0 for stage in stages if stage.kind in closed]

    async def _names(self) -> None:
        names = [f"{first} {root}{end}" for root in _ROOTS for end in _ENDINGS for first in FIRST]
        titles = [f"{what} {of}" for what in _WHAT for of in _OF]
        firms = [f"ТОВ {root}{end}" for root in _ROOTS for end in ("буд", "сервіс", "груп", "plus")]
        self._spelled = [*names, *firms]
        self._count = {"p": len(names), "t": len(titles), "c": len(firms)}
        rows = [
            {
                "kind": kind,
                "n": n,
                "name": name,
                "folded": search_key(name),
                "key": name_key(name) if kind == "p" else "",
                "ordered": order_key(name),
            }
            for kind, some in (("p", names), ("t", titles), ("c", firms))
            for n, name in enumerate(some)
        ]
        async with self._db.engine.begin() as connection:
            await connection.execute(
                text(
                    "CREATE TABLE bench_names (kind text, n int, name text, folded text, key text, ordered text, PRIMARY KEY (kind, n))"
                )
            )
            await connection.execute(
                text("INSERT INTO bench_names VALUES (:kind, :n, :name, :folded, :key, :ordered)"), rows
            )

    async def _searched(self) -> None:
        """What the product keeps for searches as rows are written."""
        words = {word for name in self._spelled for word in words_to_spell(name)}
        rows = [{"spelling": spelling, "word": word} for word in words for spelling in spellings_of(word)]
        async with self._db.engine.begin() as connection:
            await connection.execute(
                text(
                    "INSERT INTO callers (number, name_folded) SELECT DISTINCT coalesce(client_number, ''), client_name_folded"
                    " FROM calls WHERE coalesce(client_number, '') <> ''"
                )
            )
            await connection.execute(text("INSERT INTO name_spellings VALUES (:spelling, :word)"), rows)

    def _name(self, kind: str, column: str, by: str) -> str:
        return f"(SELECT b.{column} FROM bench_names b WHERE b.kind = '{kind}' AND b.n = ({by}) % {self._count[kind]})"

    def _began(self, count: int, nth: str = "i") -> str:
        apart = timedelta(days=3650).total_seconds() / count
        return f"({self._until.timestamp():.0f} - ({count} - {nth}) * {apart})"

    def _owner(self, contact: str) -> str:
        """By the golden ratio: evenly, and independent of what else is derived from the same number."""
        return f"({self._first_owner} + ({contact}) * 40503 % 65536 * {SELLERS} / 65536)"

    def _number(self, contact: str) -> str:
        """Neighbours in time are none in number."""
        return f"'+38067' || substr('' || (10000000 + (({contact}) * 7919) % 10000000), 2)"

    async def _clients(self) -> None:
        size, moment = self._size, self._fill.moment
        await self._fill.insert("companies", size.companies, {
            "id": "i", "name": f"{self._name('c', 'name', 'i * 31')} || ' ' || i", "name_folded": f"{self._name('c', 'folded', 'i * 31')} || ' ' || i",
            "name_order": f"{self._name('c', 'ordered', 'i * 31')} || ' ' || i",
            "responsible_id": self._owner("i"), "created_at": moment(self._began(size.companies)),
        })  # fmt: skip
        await self._fill.insert("contacts", size.contacts, {
            "id": "i", **{into: self._name("p", what, "i * 7919") for into, what in (("name", "name"), ("name_folded", "folded"), ("name_key", "key"), ("name_order", "ordered"))},
            "responsible_id": self._owner("i"), "company_id": f"CASE WHEN i % 5 = 0 THEN 1 + (i / 5) % {size.companies} ELSE NULL END",
            "created_at": moment(self._began(size.contacts)),
        })  # fmt: skip
        await self._fill.insert("phones", size.contacts, {"id": "i", "contact_id": "i", "number": self._number("i")})

    async def _deals(self) -> None:
        """``OPEN`` of them, however long the years were. Clients take turns."""
        size, moment = self._size, self._fill.moment
        contact = f"(1 + (i - 1) % {size.contacts})"
        every = max(1, size.deals // OPEN)
        is_open = f"i % {every} = 0"
        last = moment(f"({self._began(size.deals)} + CASE WHEN {is_open} THEN 0 ELSE (i % 7) * 20000 END)")
        stage = f"CASE WHEN {is_open} THEN {one_of(self._open, f'i / {every}')} ELSE {one_of(self._closed, 'i')} END"
        await self._fill.insert("deals", size.deals, {
            "id": "i", "title": f"{self._name('t', 'name', 'i * 31')} || ' ' || i", "title_folded": f"{self._name('t', 'folded', 'i * 31')} || ' ' || i",
            "pipeline_id": "1", "stage_id": stage, "responsible_id": self._owner(contact), "contact_id": contact,
            "client_number": self._number(contact), "amount": "(i % 1000) * 10000", "currency": "'UAH'",
            "created_at": moment(self._began(size.deals)), "stage_since": last,
            "closed_at": f"CASE WHEN {is_open} THEN NULL ELSE {last} END",
        })  # fmt: skip

    async def _work(self) -> None:
        size, moment = self._size, self._fill.moment
        at = moment(self._began(size.tasks))
        await self._fill.insert("tasks", size.tasks, {
            "id": "i", "kind": "'todo'", "title": f"{self._name('t', 'name', 'i * 17')} || ' ' || i",
            "title_folded": f"{self._name('t', 'folded', 'i * 17')} || ' ' || i", "due_at": at,
            "assignee_id": self._owner(f"1 + (i - 1) % {size.contacts}"), "deal_id": "i", "contact_id": f"1 + (i - 1) % {size.contacts}",
            "status": "CASE WHEN i % 300 = 0 THEN 'open' ELSE 'done' END", "created_at": at,
            "done_at": f"CASE WHEN i % 300 = 0 THEN NULL ELSE {at} END",
        })  # fmt: skip
        words = [" ".join(_SAID[(n * step) % len(_SAID)] for step in (1, 3, 7)) for n in range(len(_SAID))]
        cases = " ".join(f"WHEN {n} THEN '{said.replace(chr(39), '')}'" for n, said in enumerate(words))
        await self._fill.insert("notes", size.notes, {
            "id": "i", "deal_id": "i", "contact_id": f"1 + (i - 1) % {size.contacts}", "author_id": self._owner(f"1 + (i - 1) % {size.contacts}"),
            "text": f"CASE i % {len(words)} {cases} END || ' client' || i", "at": moment(self._began(size.notes)),
        })  # fmt: skip
        for step in (1, 3, 7):
            keys = [search_key(_SAID[(n * step) % len(_SAID)]) for n in range(len(_SAID))]
            chosen = " ".join(f"WHEN {n} THEN '{key}'" for n, key in enumerate(keys))
            await self._words(f"CASE i % {len(keys)} {chosen} END")
        await self._words("'klient' || i" if search_key("client1") != "client1" else "'client' || i")

    async def _lamps(self) -> None:
        """Every open deal has one that waits; on every sixth it burns, every second of these has reached the manager."""
        every, at = max(1, self._size.deals // OPEN), self._fill.at(self._until)
        owner, burns = self._owner(f"(1 + ({every} * i - 1) % {self._size.contacts})"), "i % 6 = 0"
        await self._fill.insert("lamps", min(OPEN, self._size.deals), {
            "id": "i", "checkpoint_id": str(self._checkpoint), "step": "0", "subject": "'deal'", "deal_id": f"{every} * i", "owner_id": owner,
            "addressee_id": owner, "stage_id": one_of(self._open, "i"), "entry": "'m' || i || ':'", "minutes": "480", "entered_at": at, "due_at": at,
            "state": f"CASE WHEN {burns} THEN 'burning' ELSE 'armed' END", "is_escalation": "i % 12 = 0",
            **dict.fromkeys(("lit_at", "asked_at"), f"CASE WHEN {burns} THEN {at} ELSE NULL END"),
        })  # fmt: skip

    async def _words(self, word: str) -> None:
        # The same word may stand twice in a note.
        numbers = self._fill.numbers(self._size.notes)
        statement = f"INSERT INTO search_words (word, kind, row_id) SELECT {word}, 'notes', i FROM {numbers} WHERE true ON CONFLICT DO NOTHING"
        async with self._fill.turn, self._db.engine.begin() as connection:
            await connection.execute(text(statement))

    async def _calls(self) -> None:
        """Two telephones ring, the first one's user talks. Every tenth call is of a number that is nobody's."""
        size, moment = self._size, self._fill.moment
        at = moment(self._began(size.calls))
        contact, known = f"(1 + (i * 7919) % {size.contacts})", "i % 10 <> 0"
        number = f"CASE WHEN {known} THEN {self._number(contact)} ELSE '+38050' || substr('' || (10000000 + (i * 7919) % 10000000), 2) END"
        talked = "i % 5 <> 0"
        calls = self._fill.insert("calls", size.calls, {
            "id": "i", "pbx": "'default'", "linkedid": "(1500000000 + i) || '.1'", "direction": "CASE WHEN i % 3 = 0 THEN 'outbound' ELSE 'inbound' END",
            "outcome": f"CASE WHEN {talked} THEN 'answered' ELSE 'missed' END", "client_number": number,
            "client_name": f"CASE WHEN i % 20 = 0 THEN {self._name('p', 'name', 'i * 31')} ELSE NULL END",
            "client_name_folded": f"CASE WHEN i % 20 = 0 THEN {self._name('p', 'folded', 'i * 31')} ELSE '' END",
            "started_at": at, "answered_at": f"CASE WHEN {talked} THEN {at} ELSE NULL END", "ended_at": at, "wait_seconds": "5.0", "talk_seconds": "60.0",
            "contact_id": f"CASE WHEN {known} THEN {contact} ELSE NULL END", "deal_id": f"CASE WHEN {known} AND i % 3 = 0 THEN {contact} ELSE NULL END",
            "responsible_id": f"CASE WHEN {known} THEN {self._owner(contact)} ELSE {self._owner('i * 7')} END",
        })  # fmt: skip
        await asyncio.gather(calls, *(self._rang(k, at, talked) for k in (0, 1)))

    async def _rang(self, k: int, at: str, talked: str) -> None:
        size, rang = self._size, f"i * 7 + {k * 13} + i / 65536"
        await self._fill.insert("call_legs", size.calls, {
            "id": f"{k * size.calls} + i", "call_id": "i", "channel_id": f"'c{k}'", "extension": f"'' || (1000 + {self._owner(rang)} - {self._first_owner})",
            "user_id": self._owner(rang), "dialled_at": at,
            "answered_at": f"CASE WHEN {talked} AND {k} = 0 THEN {at} ELSE NULL END",
            "result": f"CASE WHEN {talked} AND {k} = 0 THEN 'talked' ELSE 'no_answer' END",
        })  # fmt: skip


_FILLED = (
    "calls",
    "call_legs",
    "deals",
    "contacts",
    "callers",
    "tasks",
    "phones",
    "search_words",
    "notes",
    "companies",
    "lamps",
    "name_spellings",
)


@asynccontextmanager
async def _without_indexes(fill: Filler) -> AsyncIterator[None]:
    """Without the indexes of the filled tables, except those of keys. Those of large tables are made first."""
    tables = ", ".join(f"'{table}'" for table in _FILLED)
    if fill.db.is_sqlite:
        asked = f"SELECT tbl_name, name, sql FROM sqlite_master WHERE type = 'index' AND sql IS NOT NULL AND tbl_name IN ({tables})"
    else:
        asked = (
            f"SELECT tablename, indexname, indexdef FROM pg_indexes WHERE tablename IN ({tables}) AND schemaname = current_schema() "
            "AND indexname NOT IN (SELECT conname FROM pg_constraint)"
        )
    async with fill.db.engine.begin() as connection:
        found = sorted((await connection.execute(text(asked))).all(), key=lambda row: _FILLED.index(row[0]))
        for _, name, _ in found:
            await connection.execute(text(f"DROP INDEX {name}"))
    yield
    await fill.at_once([statement for _, _, statement in found])

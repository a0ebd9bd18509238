"""The API keeps the word of its own OpenAPI document: schemathesis asks it over real HTTP, well and badly."""

import asyncio
import threading
from collections.abc import Iterator
from pathlib import Path
from typing import Any, cast

import httpx2
import pytest
import schemathesis
import uvicorn
from hypothesis import HealthCheck, given, settings
from redis.asyncio import Redis
from schemathesis.checks import CHECKS, load_all_checks
from schemathesis.generation import GenerationMode

from pbxcrm.people.api_tokens import create_token
from pbxcrm.shared.db import Database
from pbxcrm.shared.settings import Settings
from tests.calls import FactStory
from tests.integration.api.conftest import hear
from tests.office import open_office
from web.api.fields import ApiAnswer, ApiRequest
from web.api.openapi import _Schemas, describe
from web.api.table import RESOURCES
from web.app import create_app

load_all_checks()
#: What is schema-valid may still name a stage or a person that does not exist, so being refused with 422 is no fault.
CHECKED: Any = [check for check in CHECKS.get_all() if check.__name__ != "positive_data_acceptance"]


class Served:
    """The application on a port of its own, in a thread of its own."""

    def __init__(self, folder: Path, database: Path, redis_url: str) -> None:
        self.folder, self.database, self.redis_url = folder, database, redis_url
        self.token = ""
        self.ready = threading.Event()
        self.server: uvicorn.Server | None = None

    def run(self) -> None:
        asyncio.run(self._serve())

    async def _serve(self) -> None:
        own = Settings(data_dir=self.folder, database_url=f"sqlite:///{self.database}")
        db, redis = Database(own.database_url), Redis.from_url(self.redis_url)
        office = await open_office(db)
        async with db.write() as session:
            self.token = await create_token(session, office["admin"])
        await hear(
            db, own, *(FactStory(linkedid=f"1.{n}", client=f"+38067000000{n}").ring("101").end() for n in range(3))
        )
        config = uvicorn.Config(create_app(own, db, redis), port=0, log_config=None, access_log=False, lifespan="off")
        self.server = uvicorn.Server(config)
        self.server.install_signal_handlers = lambda: None  # type: ignore[attr-defined]
        serving = asyncio.create_task(self.server.serve())
        while not self.server.started and not serving.done():  # uvicorn offers nothing to await
            await asyncio.sleep(0.01)
        self.ready.set()
        await serving
        await redis.aclose()
        await db.close()

    @property
    def url(self) -> str:
        assert self.server is not None
        port = self.server.servers[0].sockets[0].getsockname()[1]
        return f"http://127.0.0.1:{port}"


@pytest.fixture(scope="module")
def served(tmp_path_factory: pytest.TempPathFactory, sqlite_template: Path, _redis: str) -> Iterator[Served]:
    folder = tmp_path_factory.mktemp("openapi")
    database = folder / "pbxcrm.db"
    database.write_bytes(sqlite_template.read_bytes())
    served = Served(folder, database, _redis)
    thread = threading.Thread(target=served.run)
    thread.start()
    assert served.ready.wait(30)
    yield served
    assert served.server is not None
    served.server.should_exit = True
    thread.join(30)


@pytest.fixture(scope="module")
def operations(served: Served) -> dict[str, Any]:  # schemathesis' own types differ by version of the document
    schema = schemathesis.openapi.from_url(f"{served.url}/api/v1/openapi.json")
    found: list[Any] = [cast("Any", result).ok() for result in schema.get_all_operations()]
    return {f"{operation.method.upper()} {operation.path}": operation for operation in found}


OPERATIONS = sorted(
    f"{method.upper()} {path}" for path, methods in describe(RESOURCES)["paths"].items() for method in methods
)


@pytest.mark.parametrize("mode", list(GenerationMode), ids=lambda mode: mode.value)
@pytest.mark.parametrize("name", OPERATIONS)
def test_it_keeps_its_word(name: str, mode: GenerationMode, served: Served, operations: dict[str, Any]) -> None:
    operation = operations[name]
    if mode is GenerationMode.NEGATIVE and not (operation.body or list(operation.iter_parameters())):
        return  # nothing can be wrong with what is not asked

    @given(case=operation.as_strategy(generation_mode=mode))
    @settings(
        max_examples=5,
        deadline=None,
        derandomize=True,
        database=None,
        suppress_health_check=list(HealthCheck),
    )
    def ask(case: Any) -> None:
        case.call_and_validate(headers={"Authorization": f"Bearer {served.token}"}, checks=CHECKED, timeout=60)

    ask()


def test_the_document_is_public_and_whole(served: Served) -> None:
    with httpx2.Client(base_url=served.url, timeout=60) as client:
        document = client.get("/api/v1/openapi.json").json()
        page = client.get("/api/docs")
    assert document["openapi"] == "3.1.0"
    for name in ("calls", "deals", "contacts", "companies", "tasks", "callbacks", "pipelines", "users", "checkpoints"):
        assert "get" in document["paths"][f"/{name}"]
        assert any(path.startswith(f"/{name}/{{") and "get" in methods for path, methods in document["paths"].items())
    assert page.status_code == 200
    for path in document["paths"]:
        assert f"<code>{path}</code>" in page.text
    assert "//" not in page.text.replace("http://www.w3.org", ""), "the page takes nothing from elsewhere"


def test_a_body_has_a_schema_of_its_own() -> None:
    """``Comment`` was the body of one act and the answer of another: one schema stood for both."""
    document = describe(RESOURCES)
    act = document["paths"]["/escalations/{escalation_id}/comment"]["post"]
    name = act["requestBody"]["content"]["application/json"]["schema"]["$ref"].rpartition("/")[2]
    assert document["components"]["schemas"][name]["required"] == ["text"]


def test_two_models_cannot_have_one_public_name() -> None:
    class Twin(ApiRequest):
        asked: int

    class TwinOut(ApiAnswer):
        said: int

    with pytest.raises(ValueError, match="public name, Twin"):
        _Schemas([Twin], [TwinOut])


def test_every_list_says_what_comes_next() -> None:
    document = describe(RESOURCES)
    schemas = document["components"]["schemas"]
    lists = 0
    for path, methods in document["paths"].items():
        answer = methods.get("get", {}).get("responses", {}).get("200", {}).get("content", {})
        schema = answer.get("application/json", {}).get("schema", {})
        found = schemas[schema["$ref"].rpartition("/")[2]] if "$ref" in schema else schema
        if "items" in found.get("properties", {}):
            lists += 1
            assert "next" in found["required"], path
    assert lists > 20

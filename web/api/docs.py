"""The description of the API for programs (OpenAPI) and for people (a page without anything from elsewhere)."""

import re
from collections.abc import Sequence
from functools import cache

from markupsafe import Markup, escape
from starlette.requests import Request
from starlette.responses import JSONResponse, Response

from web.api.openapi import ABOUT, Json, describe
from web.api.resource import Resource
from web.doors import Handler
from web.rendering import render


def openapi(resources: Sequence[Resource]) -> Handler:
    """``GET /api/v1/openapi.json``: the description of the API, made from the routes and models."""
    described = cache(lambda: describe(resources))

    async def serve(_request: Request) -> Response:
        return JSONResponse(described())

    return serve


def docs(resources: Sequence[Resource]) -> Handler:
    """A page that says the same in words. English: its readers write programs."""
    described = cache(lambda: describe(resources))

    async def serve(request: Request) -> Response:
        document = described()
        return render(
            request,
            "api/docs.html",
            about=ABOUT,
            coded=coded,
            tags=document["tags"],
            operations=_by_tag(document),
            schemas={name: _properties(schema) for name, schema in document["components"]["schemas"].items()},
        )

    return serve


def coded(text: str) -> Markup:
    """A description, which is Markdown: what stands between backticks is code, nothing else is marked up."""
    return Markup(re.sub(r"`([^`]+)`", r"<code>\1</code>", str(escape(text))))  # noqa: S704 - escaped just now


def _by_tag(document: Json) -> dict[str, list[Json]]:
    found: dict[str, list[Json]] = {}
    for path, methods in document["paths"].items():
        for method, operation in methods.items():
            said = next(iter(operation["responses"].values()))
            schema = said.get("content", {}).get("application/json", {}).get("schema", {})
            asked = operation.get("requestBody", {}).get("content", {}).get("application/json", {}).get("schema", {})
            found.setdefault(operation["tags"][0], []).append(
                {
                    **operation,
                    "method": method.upper(),
                    "path": path,
                    "status": next(iter(operation["responses"])),
                    "answer": _name(schema),
                    "body": _name(asked),
                    "parameters": [
                        {**parameter, "kind": _kind(parameter["schema"])} for parameter in operation["parameters"]
                    ],
                }
            )
    return found


def _properties(schema: Json) -> Json:
    required = set(schema.get("required", ()))
    return {
        "about": schema.get("description", ""),
        "choices": schema.get("enum", ()),
        "fields": [
            {"name": name, "kind": _kind(field), "about": field.get("description", ""), "required": name in required}
            for name, field in schema.get("properties", {}).items()
        ],
    }


def _name(schema: Json) -> str:
    return str(schema.get("$ref", "")).rpartition("/")[2]


def _kind(schema: Json) -> str:
    """A schema in a few words."""
    if "$ref" in schema:
        return _name(schema)
    if "anyOf" in schema:
        return " or ".join(_kind(kind) for kind in schema["anyOf"])
    if "enum" in schema:
        return " · ".join(str(choice) for choice in schema["enum"])
    if schema.get("type") == "array":
        return f"list of {_kind(schema['items'])}"
    words = str(schema.get("format") or schema.get("type", "any"))
    if "minimum" in schema and schema.get("maximum", 2**31) < 2**31 - 1:
        words += f" {schema['minimum']}–{schema['maximum']}"
    return words

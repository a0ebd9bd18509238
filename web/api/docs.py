"""The description of the API: as OpenAPI for programs, and as a page for people that loads nothing from other sites."""

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
    """``GET /api/docs``: the same description as a page. It is in English only, because its readers write programs."""
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
    """A description as HTML: text between backticks, single (Markdown) or double (docstrings), becomes ``<code>``.

    Nothing else is marked up. A backtick without a partner is left out.
    """
    marked = re.sub(r"(`+)([^`]+)\1", r"<code>\2</code>", str(escape(text)))
    return Markup(marked.replace("`", ""))  # noqa: S704 - escaped just now


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
    """The type of a schema in a few words: ``list of Call``, ``integer 1–200``."""
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

"""The OpenAPI 3.1 description, made from the declarations that also serve the API."""

import re
from collections.abc import Iterable, Sequence
from importlib.metadata import version
from typing import Any

from pydantic import BaseModel
from pydantic.json_schema import JsonSchemaMode, models_json_schema

from pbxcrm.shared.columns import LARGEST_ID
from web.api.fields import ApiRequest
from web.api.problems import MEDIA_TYPE, Problem
from web.api.resource import ApiEndpoint, Resource, requires_body
from web.api.serving import PREFIX

Json = dict[str, Any]
ABOUT = """\
Every request carries `Authorization: Bearer TOKEN`. `pbxcrm token create LOGIN` makes a token with the rights of that
person. Lists answer `{"items": […], "next": …}`: send `next` as `cursor` for the following page.
Times are RFC 3339 in UTC, money is a decimal string with its currency beside it, people are logins, telephone numbers are
E.164 where they can be. Errors are `application/problem+json` with a stable `code` and, if one value is
wrong, its `field`."""
WHY = {
    400: "The body ended too early.",
    401: "The token is missing, unknown or revoked.",
    403: "Your role does not allow this.",
    404: "It does not exist, or you may not see it.",
    409: "Somebody else changed it first, or its state does not allow this.",
    413: "The body is too large.",
    415: "The body is not JSON.",
    416: "There is no such range.",
    422: "A value is wrong; `field` names it.",
    503: "The database does not answer; try again.",
}
REFERENCE = "#/components/schemas/"
ASKED: JsonSchemaMode = "validation"
SAID: JsonSchemaMode = "serialization"


def describe(resources: Sequence[Resource]) -> Json:
    """The OpenAPI 3.1 document of these resources, as JSON data."""
    endpoints = [endpoint for resource in resources for endpoint in resource.endpoints]
    bodies = [endpoint.body for endpoint in endpoints if endpoint.body is not None]
    answers = [endpoint.answer for endpoint in endpoints if endpoint.answer is not None]
    schemas = _Schemas(bodies, [*answers, Problem])
    paths: dict[str, Json] = {}
    for endpoint in endpoints:
        paths.setdefault(endpoint.path, {})[endpoint.method.lower()] = _operation(endpoint, schemas)
    paths["/calls/{call_id}/recording"] = {"get": _recording(schemas)}
    for subject, needed in (("deal", "deals_edit"), ("task", "tasks_edit")):
        paths.setdefault(f"/{subject}s/{{{subject}_id}}/files", {})["post"] = _sending(schemas, subject, needed)
    paths.setdefault("/files/{file_id}", {})["get"] = _file(schemas)
    return {
        "openapi": "3.1.0",
        "info": {"title": "pbxcrm", "version": version("pbxcrm"), "description": ABOUT},
        "servers": [{"url": PREFIX}],
        "security": [{"token": []}],
        "tags": [{"name": resource.tag, "description": resource.about} for resource in resources],
        "paths": paths,
        "components": {
            "securitySchemes": {"token": {"type": "http", "scheme": "bearer"}},
            "schemas": schemas.definitions,
        },
    }


class _Schemas:
    def __init__(self, asked: Iterable[type[BaseModel]], said: Iterable[type[BaseModel]]) -> None:
        wanted = dict.fromkeys([*((model, ASKED) for model in asked), *((model, SAID) for model in said)])
        self.references, described = models_json_schema(list(wanted), ref_template=REFERENCE + "{model}")
        self.definitions: Json = {}
        for name, schema in _renamed(described["$defs"]).items():
            if _plain(name) in self.definitions:  # one would stand for both
                raise ValueError(f"two models of the API have one public name, {_plain(name)}: rename one of them")
            self.definitions[_plain(name)] = schema

    def of(self, model: type[BaseModel], mode: JsonSchemaMode) -> Json:
        found: Json = _renamed(self.references[model, mode])
        return found


def _plain(name: str) -> str:
    """The public name of a schema: ``Page_CallOut_`` becomes CallList, ``CallOut`` becomes Call."""
    return re.sub(r"^Page_(\w+?)Out_$", r"\1List", name).removesuffix("Out")


def _renamed(schema: Any) -> Any:
    if isinstance(schema, dict):
        return {
            key: REFERENCE + _plain(value.removeprefix(REFERENCE))
            if key == "$ref"
            else _plain(value.replace("[", "_").replace("]", "_"))
            if key == "title" and isinstance(value, str)
            else _renamed(value)
            for key, value in schema.items()
        }
    return [_renamed(part) for part in schema] if isinstance(schema, list) else schema


def _operation(endpoint: ApiEndpoint, schemas: _Schemas) -> Json:
    refused = [401, 403, 503]
    refused += [404] if endpoint.ids or endpoint.body is not None else []
    refused += [409] if endpoint.conflicts else []
    refused += [400, 413, 415] if endpoint.body is not None else []
    refused += [422]
    said: Json = {"description": "Done." if endpoint.answer is None else "The answer."}
    if endpoint.answer is not None:
        said["content"] = {"application/json": {"schema": schemas.of(endpoint.answer, SAID)}}
        said["content"] |= {kind: {"schema": {"type": "string", "format": "binary"}} for kind in endpoint.files}
    if endpoint.location is not None:
        said["headers"] = {"Location": {"description": "Where it is.", "schema": {"type": "string"}}}
    found: Json = {
        "operationId": endpoint.name,
        "tags": [endpoint.tag],
        "summary": endpoint.summary,
        "description": endpoint.detail,
        "parameters": [*_path_parameters(endpoint.ids), *_query_parameters(endpoint.query)],
        "responses": {str(endpoint.status): said, **problems(refused, schemas.of(Problem, SAID))},
        "x-permission": endpoint.needs.value,
    }
    if endpoint.body is not None:
        content = {"application/json": {"schema": schemas.of(endpoint.body, ASKED)}}
        found["requestBody"] = {"required": requires_body(endpoint.body), "content": content}
    return found


def problems(statuses: Iterable[int], schema: Json) -> Json:
    """The error answers an endpoint may give, by status."""
    return {
        str(status): {"description": WHY[status], "content": {MEDIA_TYPE: {"schema": schema}}}
        for status in sorted(statuses)
    }


def _path_parameters(ids: dict[str, type]) -> list[Json]:
    number = {"type": "integer", "minimum": 1, "maximum": LARGEST_ID}
    word = {"type": "string", "minLength": 1, "maxLength": 64, "pattern": r"^[^/\u0000]+$"}
    return [
        {"name": name, "in": "path", "required": True, "description": "", "schema": number if kind is int else word}
        for name, kind in ids.items()
    ]


def _query_parameters(query: type[ApiRequest] | None) -> list[Json]:
    if query is None:
        return []
    described = query.model_json_schema(mode=ASKED)
    assert "$defs" not in described, "parameters use Literal, not enums, so that they stand where they are read"
    found = []
    for name, schema in described["properties"].items():
        kinds = [
            kind for kind in schema.pop("anyOf", []) if kind != {"type": "null"}
        ]  # a query string cannot hold null
        schema.pop("title")
        text = schema.pop("description", "")
        if schema.get("default", "") is None:
            del schema["default"]
        said = {**schema, **(kinds[0] if kinds else {})}
        found.append({"name": name, "in": "query", "required": False, "description": text, "schema": said})
    return found


def _recording(schemas: _Schemas) -> Json:
    sound = {"audio/*": {"schema": {"type": "string", "format": "binary"}}}
    return {
        "operationId": "read_recording",
        "tags": ["calls"],
        "summary": "The recording of a call",
        "description": "Understands `Range`. Each listening is logged. 409 while it is still being written.",
        "parameters": _path_parameters({"call_id": int}),
        "responses": {
            "200": {"description": "The sound file.", "content": sound},
            "206": {"description": "A part of it.", "content": sound},
            **problems([401, 403, 404, 409, 503], schemas.of(Problem, SAID)),
        },
        "x-permission": "recordings_listen",
    }


def _sending(schemas: _Schemas, subject: str, needed: str) -> Json:
    form = {
        "type": "object",
        "required": ["file"],
        "properties": {"file": {"type": "string", "format": "binary", "description": "The file, with its name."}},
    }
    said = {
        "description": "The answer.",
        "headers": {"Location": {"description": "Where it is.", "schema": {"type": "string"}}},
        "content": {"application/json": {"schema": {"$ref": f"{REFERENCE}File"}}},
    }
    return {
        "operationId": f"add_file_to_{subject}",
        "tags": ["files"],
        "summary": f"Attach a file to a {subject}",
        "description": "`PBXCRM_FILES_MAX_MB` says how large it may be. Its type is found in its content.",
        "parameters": _path_parameters({f"{subject}_id": int}),
        "requestBody": {"required": True, "content": {"multipart/form-data": {"schema": form}}},
        "responses": {"201": said, **problems([400, 401, 403, 404, 413, 415, 422, 503], schemas.of(Problem, SAID))},
        "x-permission": needed,
    }


def _file(schemas: _Schemas) -> Json:
    content = {"*/*": {"schema": {"type": "string", "format": "binary"}}}
    return {
        "operationId": "read_file",
        "tags": ["files"],
        "summary": "The content of a file",
        "description": "Always as something to save. Understands `Range`.",
        "parameters": _path_parameters({"file_id": int}),
        "responses": {
            "200": {"description": "The file.", "content": content},
            "206": {"description": "A part of it.", "content": content},
            **problems([401, 403, 404, 503], schemas.of(Problem, SAID)),
        },
        "x-permission": "tasks_read",
    }

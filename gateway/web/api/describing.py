"""The description of the API (OpenAPI), where the framework cannot know what is true."""

from __future__ import annotations

from typing import Any

from fastapi import FastAPI

from gateway.web.problems import MEDIA

OF_BODIES = {"400": "The body cannot be read", "413": "The body is too large: over 64 KiB"}


def describe(app: FastAPI) -> dict[str, Any]:
    """The description, made once: problems are problems, and what a body may lead to."""
    if app.openapi_schema is None:
        for methods in app.openapi()["paths"].values():
            for operation in methods.values():
                _describe(operation)
    told: dict[str, Any] = app.openapi()
    return told


def _describe(operation: dict[str, Any]) -> None:
    answers: dict[str, Any] = operation["responses"]
    if "requestBody" in operation:
        for status, text in OF_BODIES.items():
            known = answers["500"]["content"]
            answers.setdefault(status, {"content": dict(known)})["description"] = text
    for status, answer in answers.items():
        if status >= "400":
            content = answer["content"]
            content[MEDIA] = content.pop("application/json")

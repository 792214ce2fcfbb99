"""Logs on standard error, as lines for people or as JSON for programs. No personal data goes there."""

import logging
import sys
from typing import Any, Literal

import orjson
import structlog

Format = Literal["console", "json"]
PLAIN = "%(levelname)s %(name)s %(message)s"


def install(format: Format) -> None:
    """Set the process's log format."""
    handler = logging.StreamHandler(sys.stderr)
    handler.setFormatter(_json_lines() if format == "json" else logging.Formatter(PLAIN))
    logging.basicConfig(level=logging.WARNING, handlers=[handler], force=True)
    logging.getLogger("club").setLevel(logging.INFO)


def access(format: Format) -> Any:
    """A logger for requests: straight to standard error, since it is on every request's way."""
    if format == "json":
        processors = [*_stamped("club.access"), structlog.processors.JSONRenderer(orjson.dumps)]
        return structlog.wrap_logger(structlog.BytesLogger(sys.stderr.buffer), processors, structlog.BoundLogger)
    keyed = structlog.processors.KeyValueRenderer(key_order=["level", "logger", "event"], drop_missing=True)
    return structlog.wrap_logger(structlog.WriteLogger(sys.stderr), [*_stamped("club.access"), keyed])


def _stamped(logger: str) -> list[Any]:
    def named(_: object, __: str, event: structlog.typing.EventDict) -> structlog.typing.EventDict:
        event["logger"] = logger
        return event

    return [structlog.processors.add_log_level, named, structlog.processors.TimeStamper(fmt="iso", key="at")]


def _json_lines() -> logging.Formatter:
    return structlog.stdlib.ProcessorFormatter(
        foreign_pre_chain=[
            structlog.stdlib.add_log_level,
            structlog.stdlib.add_logger_name,
            structlog.processors.TimeStamper(fmt="iso", key="at"),
        ],
        processors=[
            structlog.stdlib.ProcessorFormatter.remove_processors_meta,
            structlog.processors.JSONRenderer(lambda event, **_: orjson.dumps(event, default=str).decode()),
        ],
    )

"""Filters as a payload carries them."""

from typing import Annotated, Any

from pydantic import Field

FilterTree = Annotated[
    dict[str, Any],
    Field(
        description="`{and: […]}`, `{or: […]}`, `{not: …}` or a condition `{field, op, value}`; at most 8 deep and 100"
        " conditions. GET /segments/fields lists fields and operators; a date may be `{days_ago: 180}`.",
        examples=[
            {
                "and": [
                    {"field": "status", "op": "is", "value": "active"},
                    {"field": "joined_on", "op": "at_least", "value": {"months_ago": 6}},
                ]
            }
        ],
    ),
]
"""Read by `filters.parse`, which says what is wrong with it."""

"""The trail at the edge."""

from datetime import datetime
from typing import Any
from uuid import UUID

from pydantic import BaseModel, ConfigDict, Field

from app.audit.models import Action


class AuditEventRead(BaseModel):
    """One deed: who did what to which record, when and from where."""

    model_config = ConfigDict(from_attributes=True)

    id: UUID
    at: datetime
    actor: str | None = Field(description="account, program or member number; null when nobody was signed in")
    role: str | None = Field(description='the role it acted in; "operator" for commands, "service" for jobs')
    reach: str | None = Field(description="how far it reached, e.g. dealer:BJ001")
    request_id: str | None
    address: str | None
    operation: str | None = Field(description="the route's operation id, or the command")
    action: Action
    target_kind: str | None
    target_ids: list[str]
    changes: dict[str, list[Any] | None] = Field(
        description="field: [before, after]; null where the values are personal or secret and not kept here"
    )
    outcome: str = Field(description='"done", or the type of the problem that refused it')

"""Consent at the door, at the edge."""

from typing import Literal

from pydantic import Field

from app.core.schemas import Input
from app.members.consent_rules import Channel, Decision, Purpose

DoorPurpose = Literal[Purpose.MARKETING, Purpose.PROFILING]
"""What may be asked of somebody who joins. A partner is agreed to separately; guardians agree to a membership."""


class DoorAnswer(Input):
    """What somebody who joins answered to one purpose."""

    decision: Literal[Decision.GIVEN, Decision.REFUSED]
    version: int | None = Field(default=None, ge=1, lt=1 << 31, description="of the text shown; needed to give consent")
    channel: Channel = Channel.COUNTER


DoorAnswers = dict[DoorPurpose, DoorAnswer]
"""By purpose; what was not asked is left out."""

"""Headquarters' frame: what rules of chapters may do. Pure, no I/O. Source: docs/rules.md."""

from collections.abc import Iterator

from app.core.problems import FieldError
from app.earning.definitions import ByActivity, Definition, FixedDate
from app.earning.rules_models import RuleFrame
from app.points.rules import last_spendable_day


def outside(definition: Definition, frame: RuleFrame, pointer: str = "") -> list[FieldError]:
    """The bounds of a frame that a chapter's rule is not within; empty when it is."""
    return [FieldError(f"{pointer}/{part}", code, context) for part, code, context in _crossed(definition, frame)]


def _crossed(definition: Definition, frame: RuleFrame) -> Iterator[tuple[str, str, dict[str, object]]]:
    if definition.trigger not in frame.triggers:
        yield "trigger", "frame_trigger", {"allowed": ", ".join(frame.triggers)}
    if (definition.caps.per_order or frame.most_points_an_award + 1) > frame.most_points_an_award:
        yield "caps/per_order", "frame_award", {"most": frame.most_points_an_award}
    if (definition.caps.per_member_month or frame.most_points_a_member_month + 1) > frame.most_points_a_member_month:
        yield "caps/per_member_month", "frame_month", {"most": frame.most_points_a_member_month}
    if _outlives(definition, frame.most_expiry_months):
        yield "expiry", "frame_expiry", {"most": frame.most_expiry_months}
    if definition.status_amount is not None:
        yield "status_amount", "frame_status", {}
    if frame.is_self_funded and any(share.party == "hq" for share in definition.funders):
        yield "funders", "frame_funding", {}
    if frame.budget is not None and frame.budget not in definition.budgets:
        yield "budgets", "frame_budget", {"budget": frame.budget}


def _outlives(definition: Definition, months: int) -> bool:
    if isinstance(definition.expiry, FixedDate):
        return definition.expiry.on > last_spendable_day(definition.valid_from, months)
    # what each earning keeps alive outlives any number of months
    return isinstance(definition.expiry, ByActivity) or definition.expiry.months > months

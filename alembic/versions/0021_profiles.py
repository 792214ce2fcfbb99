"""Members' profiles: attributes that headquarters defines, households, how to reach a member, notes, card designs."""

import sqlalchemy as sa
from alembic import op
from sqlalchemy.dialects.postgresql import JSONB

from app.core.migrations import run_script

revision = "0021"
down_revision = "0020"

AUDIENCES = "IN ('headquarters', 'staff', 'member')"

ROWS = """
-- what there is to be known is everybody's to read, and headquarters' to say
ALTER TABLE attribute ENABLE ROW LEVEL SECURITY;
CREATE POLICY reach ON attribute TO club_app USING (true) WITH CHECK ((SELECT club_reach()) = 'all');

ALTER TABLE card_design ENABLE ROW LEVEL SECURITY;
CREATE POLICY reach ON card_design TO club_app USING (true)
  WITH CHECK ((SELECT club_reach()) = 'all' OR dealer_code = ANY ((SELECT club_reached())::text[]));

ALTER TABLE member_profile ENABLE ROW LEVEL SECURITY;
CREATE POLICY reach ON member_profile TO club_app USING (
  (SELECT club_reach()) = 'all' OR EXISTS (SELECT FROM member m WHERE m.id = member_id));

ALTER TABLE member_attribute ENABLE ROW LEVEL SECURITY;
CREATE POLICY reach ON member_attribute TO club_app USING (
  (SELECT club_reach()) = 'all' OR EXISTS (SELECT FROM member m WHERE m.id = member_id));

ALTER TABLE household_person ENABLE ROW LEVEL SECURITY;
CREATE POLICY reach ON household_person TO club_app USING (
  (SELECT club_reach()) = 'all' OR EXISTS (SELECT FROM member m WHERE m.id = member_id));

-- notes are among those who care for the member
ALTER TABLE member_note ENABLE ROW LEVEL SECURITY;
CREATE POLICY reach ON member_note TO club_app USING (
  (SELECT club_reach()) = 'all'
  OR ((SELECT club_member()) IS NULL AND EXISTS (SELECT FROM member m WHERE m.id = member_id)));

GRANT SELECT, INSERT, UPDATE ON attribute, card_design TO club_app;
GRANT SELECT, INSERT, UPDATE, DELETE ON member_profile, member_attribute, household_person, member_note TO club_app;
"""

ERASURE = """
CREATE FUNCTION forget_profile() RETURNS trigger
LANGUAGE plpgsql SECURITY DEFINER SET search_path = pg_catalog, pg_temp AS $$
BEGIN
  DELETE FROM public.member_attribute WHERE member_id = NEW.id;
  DELETE FROM public.household_person WHERE member_id = NEW.id;
  DELETE FROM public.member_note WHERE member_id = NEW.id;
  DELETE FROM public.member_profile WHERE member_id = NEW.id;
  RETURN NULL;
END $$;
CREATE TRIGGER forget_profile AFTER UPDATE ON member FOR EACH ROW
  WHEN (OLD.erased_at IS NULL AND NEW.erased_at IS NOT NULL) EXECUTE FUNCTION forget_profile();
"""

HOBBIES = """
INSERT INTO attribute
  (key, label_zh, label_en, kind, choices, seen_by, edited_by, weight, is_retired, created_at, created_by, version)
VALUES ('hobby', '爱好', 'hobbies', 'choices', '[
  {"value": "self_drive", "zh": "自驾游", "en": "self-drive tours"},
  {"value": "photography", "zh": "摄影", "en": "photography"},
  {"value": "sports", "zh": "运动", "en": "sports"},
  {"value": "outdoors", "zh": "户外采摘", "en": "outdoors and fruit picking"},
  {"value": "family", "zh": "亲子", "en": "family days"},
  {"value": "food", "zh": "美食", "en": "food and wine"},
  {"value": "music", "zh": "音乐", "en": "music"},
  {"value": "charity", "zh": "公益", "en": "charity"}]', 'member', 'member', 15, false, now(), 'migration', 1);
"""


def upgrade() -> None:
    op.execute("SET LOCAL lock_timeout = '3s'")
    _attributes()
    _profiles()
    _people_and_notes()
    _cards()
    for script in (ROWS, ERASURE, HOBBIES):
        run_script(script)


def _attributes() -> None:
    op.create_table(
        "attribute",
        sa.Column("key", sa.Text(), nullable=False),
        sa.Column("label_zh", sa.Text(), nullable=False),
        sa.Column("label_en", sa.Text(), nullable=False),
        sa.Column("kind", sa.Text(), nullable=False),
        sa.Column("choices", JSONB(), nullable=False),
        sa.Column("seen_by", sa.Text(), nullable=False),
        sa.Column("edited_by", sa.Text(), nullable=False),
        sa.Column("weight", sa.Integer(), nullable=False),
        sa.Column("is_retired", sa.Boolean(), nullable=False),
        sa.Column("created_at", sa.DateTime(timezone=True), nullable=False),
        sa.Column("created_by", sa.Text(), nullable=False),
        sa.Column("version", sa.Integer(), nullable=False),
        sa.CheckConstraint(
            "kind IN ('text', 'number', 'date', 'bool', 'choice', 'choices')", name=op.f("ck_attribute_kind")
        ),
        sa.CheckConstraint(f"seen_by {AUDIENCES}", name=op.f("ck_attribute_seen_by")),
        sa.CheckConstraint(f"edited_by {AUDIENCES}", name=op.f("ck_attribute_edited_by")),
        sa.CheckConstraint("weight BETWEEN 0 AND 100", name=op.f("ck_attribute_weight")),
        sa.PrimaryKeyConstraint("key", name=op.f("pk_attribute")),
    )
    op.create_table(
        "member_attribute",
        sa.Column("id", sa.Uuid(), nullable=False),
        sa.Column("member_id", sa.Uuid(), nullable=False),
        sa.Column("attribute_key", sa.Text(), nullable=False),
        sa.Column("value", sa.Text(), nullable=False),
        sa.Column("number", sa.BigInteger(), nullable=True),
        sa.Column("day", sa.Date(), nullable=True),
        sa.ForeignKeyConstraint(["member_id"], ["member.id"], name=op.f("fk_member_attribute_member_id")),
        sa.ForeignKeyConstraint(["attribute_key"], ["attribute.key"], name=op.f("fk_member_attribute_attribute_key")),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_member_attribute")),
        sa.UniqueConstraint(
            "member_id", "attribute_key", "value", name=op.f("uq_member_attribute_member_id_attribute_key_value")
        ),
    )
    op.create_index(
        "ix_member_attribute_value", "member_attribute", ["attribute_key", "value"],
        postgresql_ops={"value": "text_pattern_ops"},
    )  # fmt: skip
    for column in ("number", "day"):
        op.create_index(
            f"ix_member_attribute_{column}", "member_attribute", ["attribute_key", column],
            postgresql_where=sa.text(f"{column} IS NOT NULL"),
        )  # fmt: skip


def _profiles() -> None:
    op.create_table(
        "member_profile",
        sa.Column("member_id", sa.Uuid(), nullable=False),
        sa.Column("value_class", sa.Text(), nullable=True),
        sa.Column("circle", sa.Text(), nullable=True),
        sa.Column("channels", sa.ARRAY(sa.Text()), nullable=True),
        sa.Column("days", sa.Text(), nullable=True),
        sa.Column("from_hour", sa.Integer(), nullable=True),
        sa.Column("until_hour", sa.Integer(), nullable=True),
        sa.Column("updated_at", sa.DateTime(timezone=True), nullable=False),
        sa.Column("updated_by", sa.Text(), nullable=False),
        sa.Column("version", sa.Integer(), nullable=False),
        sa.CheckConstraint(
            "circle IN ('owner', 'loyal', 'opinion_leader', 'key_customer')", name=op.f("ck_member_profile_circle")
        ),
        sa.CheckConstraint(
            "channels <@ ARRAY['phone', 'sms', 'wechat', 'email', 'post']", name=op.f("ck_member_profile_channels")
        ),
        sa.CheckConstraint("days IN ('any', 'workdays', 'weekends')", name=op.f("ck_member_profile_days")),
        sa.CheckConstraint(
            "(channels IS NULL) = (days IS NULL) AND (from_hour IS NULL) = (until_hour IS NULL)"
            " AND 0 <= from_hour AND from_hour < until_hour AND until_hour <= 24",
            name=op.f("ck_member_profile_contact"),
        ),
        sa.ForeignKeyConstraint(["member_id"], ["member.id"], name=op.f("fk_member_profile_member_id")),
        sa.PrimaryKeyConstraint("member_id", name=op.f("pk_member_profile")),
    )
    for column in ("circle", "value_class"):
        op.create_index(
            f"ix_member_profile_{column}", "member_profile", [column], postgresql_where=sa.text(f"{column} IS NOT NULL")
        )


def _people_and_notes() -> None:
    op.create_table(
        "household_person",
        sa.Column("id", sa.Uuid(), nullable=False),
        sa.Column("member_id", sa.Uuid(), nullable=False),
        sa.Column("relation", sa.Text(), nullable=False),
        sa.Column("is_minor", sa.Boolean(), nullable=False),
        sa.Column("name", sa.Text(), nullable=True),
        sa.Column("born_on", sa.Date(), nullable=True),
        sa.Column("drives", sa.Boolean(), nullable=True),
        sa.Column("recorded_at", sa.DateTime(timezone=True), nullable=False),
        sa.Column("recorded_by", sa.Text(), nullable=False),
        sa.CheckConstraint(
            "relation IN ('spouse', 'child', 'parent', 'sibling', 'other')", name=op.f("ck_household_person_relation")
        ),
        sa.CheckConstraint(
            "NOT is_minor OR (name IS NULL AND born_on IS NULL AND drives IS NULL)",
            name=op.f("ck_household_person_minor"),
        ),
        sa.ForeignKeyConstraint(["member_id"], ["member.id"], name=op.f("fk_household_person_member_id")),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_household_person")),
    )
    op.create_index(op.f("ix_household_person_member_id"), "household_person", ["member_id"])
    op.create_table(
        "member_note",
        sa.Column("id", sa.Uuid(), nullable=False),
        sa.Column("member_id", sa.Uuid(), nullable=False),
        sa.Column("text", sa.Text(), nullable=False),
        sa.Column("is_pinned", sa.Boolean(), nullable=False),
        sa.Column("written_at", sa.DateTime(timezone=True), nullable=False),
        sa.Column("written_by", sa.Text(), nullable=False),
        sa.Column("version", sa.Integer(), nullable=False),
        sa.ForeignKeyConstraint(["member_id"], ["member.id"], name=op.f("fk_member_note_member_id")),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_member_note")),
    )
    op.create_index("ix_member_note_member_id", "member_note", ["member_id", "is_pinned", "id"])


def _cards() -> None:
    op.create_table(
        "card_design",
        sa.Column("id", sa.Uuid(), nullable=False),
        sa.Column("dealer_code", sa.Text(), nullable=True),
        sa.Column("background", sa.Text(), nullable=False),
        sa.Column("foreground", sa.Text(), nullable=False),
        sa.Column("logo", sa.Text(), nullable=True),
        sa.Column("text", sa.Text(), nullable=True),
        sa.Column("updated_at", sa.DateTime(timezone=True), nullable=False),
        sa.Column("updated_by", sa.Text(), nullable=False),
        sa.Column("version", sa.Integer(), nullable=False),
        sa.ForeignKeyConstraint(["dealer_code"], ["chapter.dealer_code"], name=op.f("fk_card_design_dealer_code")),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_card_design")),
        sa.UniqueConstraint("dealer_code", name=op.f("uq_card_design_dealer_code"), postgresql_nulls_not_distinct=True),
    )


def downgrade() -> None:
    raise NotImplementedError("the books are not taken apart: restore a backup instead")

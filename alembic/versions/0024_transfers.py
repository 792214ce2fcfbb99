"""Who was where on a day; transfers; chapters close; their officers and targets."""

import sqlalchemy as sa
from alembic import op

from app.core.migrations import run_script

revision = "0024"
down_revision = "0023"

# whoever changes a member's chapter, by whatever way, leaves the trail; the service itself cannot rewrite it
PLACES = """
INSERT INTO member_place (member_id, dealer_code, since) SELECT id, dealer_code, joined_on FROM member;

CREATE FUNCTION club_moved_on() RETURNS date LANGUAGE sql STABLE AS $$
  SELECT coalesce(nullif(current_setting('club.moved_on', true), '')::date, (now() AT TIME ZONE 'Asia/Shanghai')::date)
$$;
COMMENT ON FUNCTION club_moved_on IS 'The day from which members moved in this transaction are in their new place.';

CREATE FUNCTION place_new_members() RETURNS trigger
LANGUAGE plpgsql SECURITY DEFINER SET search_path = pg_catalog, pg_temp AS $$
BEGIN
  INSERT INTO public.member_place (member_id, dealer_code, since) SELECT id, dealer_code, joined_on FROM added;
  RETURN NULL;
END $$;
CREATE TRIGGER place_new_members AFTER INSERT ON member REFERENCING NEW TABLE AS added
  FOR EACH STATEMENT EXECUTE FUNCTION place_new_members();

CREATE FUNCTION place_moved_member() RETURNS trigger
LANGUAGE plpgsql SECURITY DEFINER SET search_path = pg_catalog, pg_temp AS $$
DECLARE
  moved_on CONSTANT date := public.club_moved_on();
BEGIN
  UPDATE public.member_place SET until = moved_on WHERE member_id = NEW.id AND until IS NULL AND since < moved_on;
  IF FOUND THEN
    INSERT INTO public.member_place (member_id, dealer_code, since) VALUES (NEW.id, NEW.dealer_code, moved_on);
  ELSE
    -- moved again on the day of the last move: where the day ends is what counts
    UPDATE public.member_place SET dealer_code = NEW.dealer_code WHERE member_id = NEW.id AND until IS NULL;
  END IF;
  RETURN NULL;
END $$;
CREATE TRIGGER place_moved_member AFTER UPDATE OF dealer_code ON member FOR EACH ROW
  WHEN (OLD.dealer_code IS DISTINCT FROM NEW.dealer_code) EXECUTE FUNCTION place_moved_member();

-- reasons are free text
CREATE FUNCTION forget_transfer_reasons() RETURNS trigger
LANGUAGE plpgsql SECURITY DEFINER SET search_path = pg_catalog, pg_temp AS $$
BEGIN
  UPDATE public.transfer SET reason = 'erased', answer = NULL WHERE member_id = NEW.id;
  RETURN NULL;
END $$;
CREATE TRIGGER forget_transfer_reasons AFTER UPDATE ON member FOR EACH ROW
  WHEN (OLD.erased_at IS NULL AND NEW.erased_at IS NOT NULL) EXECUTE FUNCTION forget_transfer_reasons();
"""

# a chapter knows its former members as rows of its own figures, by their ids alone
ROWS = """
ALTER TABLE member_place ENABLE ROW LEVEL SECURITY;
CREATE POLICY reach ON member_place TO club_app USING (
  (SELECT club_reach()) = 'all' OR dealer_code = ANY ((SELECT club_reached())::text[])
  OR EXISTS (SELECT FROM member m WHERE m.id = member_id));

ALTER TABLE transfer ENABLE ROW LEVEL SECURITY;
CREATE POLICY reach ON transfer TO club_app USING (
  (SELECT club_reach()) = 'all' OR member_id = (SELECT club_member())
  OR from_dealer_code = ANY ((SELECT club_reached())::text[])
  OR to_dealer_code = ANY ((SELECT club_reached())::text[]));

ALTER TABLE chapter_officer ENABLE ROW LEVEL SECURITY;
CREATE POLICY reach ON chapter_officer TO club_app USING (
  (SELECT club_reach()) = 'all' OR dealer_code = ANY ((SELECT club_reached())::text[]));

ALTER TABLE chapter_target ENABLE ROW LEVEL SECURITY;
CREATE POLICY reach ON chapter_target TO club_app USING (
  (SELECT club_reach()) = 'all' OR dealer_code = ANY ((SELECT club_reached())::text[]));

GRANT SELECT ON member_place TO club_app;
GRANT SELECT, INSERT, UPDATE ON transfer, chapter_target TO club_app;
GRANT SELECT, INSERT, UPDATE, DELETE ON chapter_officer TO club_app;
"""


def upgrade() -> None:
    op.execute("SET LOCAL lock_timeout = '3s'")
    op.add_column("chapter", sa.Column("closed_on", sa.Date(), nullable=True))
    op.create_check_constraint(op.f("ck_chapter_life"), "chapter", "closed_on IS NULL OR closed_on >= opened_on")
    _places()
    _transfers()
    _officers()
    _targets()
    run_script(PLACES)
    run_script(ROWS)


def _places() -> None:
    op.create_table(
        "member_place",
        sa.Column("member_id", sa.Uuid(), nullable=False),
        sa.Column("since", sa.Date(), nullable=False),
        sa.Column("until", sa.Date(), nullable=True),
        sa.Column("dealer_code", sa.Text(), nullable=True),
        sa.CheckConstraint("until IS NULL OR until > since", name=op.f("ck_member_place_order")),
        sa.ForeignKeyConstraint(["member_id"], ["member.id"], name=op.f("fk_member_place_member_id")),
        sa.ForeignKeyConstraint(["dealer_code"], ["chapter.dealer_code"], name=op.f("fk_member_place_dealer_code")),
        sa.PrimaryKeyConstraint("member_id", "since", name=op.f("pk_member_place")),
    )
    op.create_index(
        "uq_member_place_open", "member_place", ["member_id"], unique=True, postgresql_where=sa.text("until IS NULL")
    )
    op.create_index("ix_member_place_dealer", "member_place", ["dealer_code", "since"])


def _transfers() -> None:
    op.create_table(
        "transfer",
        sa.Column("id", sa.Uuid(), nullable=False),
        sa.Column("member_id", sa.Uuid(), nullable=False),
        sa.Column("from_dealer_code", sa.Text(), nullable=True),
        sa.Column("to_dealer_code", sa.Text(), nullable=True),
        sa.Column("reason", sa.Text(), nullable=False),
        sa.Column("status", sa.Text(), nullable=False),
        sa.Column("asked_as", sa.Text(), nullable=False),
        sa.Column("asked_by", sa.Text(), nullable=False),
        sa.Column("asked_at", sa.DateTime(timezone=True), nullable=False),
        sa.Column("answer_by", sa.Date(), nullable=False),
        sa.Column("effective_on", sa.Date(), nullable=True),
        sa.Column("answer", sa.Text(), nullable=True),
        sa.Column("decided_by", sa.Text(), nullable=True),
        sa.Column("decided_at", sa.DateTime(timezone=True), nullable=True),
        sa.Column("moved_on", sa.Date(), nullable=True),
        sa.CheckConstraint(
            "status IN ('asked', 'accepted', 'refused', 'withdrawn', 'done')", name=op.f("ck_transfer_status")
        ),
        sa.CheckConstraint("asked_as IN ('member', 'chapter', 'headquarters')", name=op.f("ck_transfer_asked_as")),
        sa.CheckConstraint("from_dealer_code IS DISTINCT FROM to_dealer_code", name=op.f("ck_transfer_places")),
        sa.CheckConstraint(
            "(status = 'asked') = (decided_at IS NULL) AND (decided_at IS NULL) = (decided_by IS NULL)",
            name=op.f("ck_transfer_decided"),
        ),
        sa.CheckConstraint("(status = 'done') = (moved_on IS NOT NULL)", name=op.f("ck_transfer_moved")),
        sa.ForeignKeyConstraint(["member_id"], ["member.id"], name=op.f("fk_transfer_member_id")),
        sa.ForeignKeyConstraint(
            ["from_dealer_code"], ["chapter.dealer_code"], name=op.f("fk_transfer_from_dealer_code")
        ),
        sa.ForeignKeyConstraint(["to_dealer_code"], ["chapter.dealer_code"], name=op.f("fk_transfer_to_dealer_code")),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_transfer")),
    )
    op.create_index(
        "uq_transfer_open", "transfer", ["member_id"], unique=True,
        postgresql_where=sa.text("status IN ('asked', 'accepted')"),
    )  # fmt: skip
    op.create_index(op.f("ix_transfer_member_id"), "transfer", ["member_id"])
    op.create_index("ix_transfer_from", "transfer", ["from_dealer_code", "id"])
    op.create_index("ix_transfer_to", "transfer", ["to_dealer_code", "id"])


def _officers() -> None:
    op.create_table(
        "chapter_officer",
        sa.Column("id", sa.Uuid(), nullable=False),
        sa.Column("dealer_code", sa.Text(), nullable=False),
        sa.Column("office", sa.Text(), nullable=False),
        sa.Column("name", sa.Text(), nullable=False),
        sa.Column("since", sa.Date(), nullable=False),
        sa.Column("until", sa.Date(), nullable=True),
        sa.Column("version", sa.Integer(), nullable=False),
        sa.CheckConstraint(
            "office IN ('president', 'vice_president', 'secretary', 'treasurer', 'activities')",
            name=op.f("ck_chapter_officer_office"),
        ),
        sa.CheckConstraint("until IS NULL OR until >= since", name=op.f("ck_chapter_officer_order")),
        sa.ForeignKeyConstraint(["dealer_code"], ["chapter.dealer_code"], name=op.f("fk_chapter_officer_dealer_code")),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_chapter_officer")),
    )
    op.create_index(op.f("ix_chapter_officer_dealer_code"), "chapter_officer", ["dealer_code"])


def _targets() -> None:
    op.create_table(
        "chapter_target",
        sa.Column("dealer_code", sa.Text(), nullable=False),
        sa.Column("period", sa.Text(), nullable=False),
        sa.Column("members", sa.Integer(), nullable=True),
        sa.Column("new_members", sa.Integer(), nullable=True),
        sa.Column("recruitment_rate", sa.Numeric(5, 4), nullable=True),
        sa.Column("joining_rate", sa.Numeric(5, 4), nullable=True),
        sa.Column("version", sa.Integer(), nullable=False),
        sa.CheckConstraint("period ~ '^2[0-9]{3}(-(0[1-9]|1[0-2]))?$'", name=op.f("ck_chapter_target_period")),
        sa.CheckConstraint("members >= 0 AND new_members >= 0", name=op.f("ck_chapter_target_counts")),
        sa.CheckConstraint(
            "recruitment_rate BETWEEN 0 AND 1 AND joining_rate BETWEEN 0 AND 1", name=op.f("ck_chapter_target_rates")
        ),
        sa.ForeignKeyConstraint(["dealer_code"], ["chapter.dealer_code"], name=op.f("fk_chapter_target_dealer_code")),
        sa.PrimaryKeyConstraint("dealer_code", "period", name=op.f("pk_chapter_target")),
    )


def downgrade() -> None:
    raise NotImplementedError("the books are not taken apart: restore a backup instead")

"""Consents, provisions to partners, erasure; and a schema for what stays of the erased, which the service cannot read."""

import sqlalchemy as sa
from alembic import op

from app.core.migrations import run_script

revision = "0012"
down_revision = "0011"

PURPOSES = "purpose IN ('membership', 'marketing', 'profiling', 'partner')"

# an answer is never rewritten; records go when their time has come
GRANTS = """
GRANT SELECT, INSERT ON privacy_notice TO club_app;
GRANT SELECT, INSERT, DELETE ON consent, provision TO club_app;
GRANT SELECT, INSERT, UPDATE, DELETE ON member_birth, erasure TO club_app;
GRANT DELETE ON application, import_rejection TO club_app;
"""

NOTICES = """
INSERT INTO privacy_notice (purpose, version, text_zh, text_en, renews, published_at, published_by) VALUES
('membership', 1,
 '为提供会员服务，我们处理您的姓名、手机号、车辆和维修记录。未满十四周岁的会员须由监护人同意。',
 'To run your membership we process your name, phone number, vehicles and workshop records. Under 14, a guardian must agree.',
 true, now(), 'migration'),
('marketing', 1,
 '经您同意，我们向您发送活动和优惠信息。您可随时撤回，撤回不影响会员服务。',
 'If you agree, we send you news of events and offers. You may withdraw at any time; your membership is not affected.',
 true, now(), 'migration'),
('profiling', 1,
 '经您同意，我们根据您的消费和到店记录，为您挑选更合适的服务。您可随时撤回。',
 'If you agree, we use your spending and visits to choose what suits you. You may withdraw at any time.',
 true, now(), 'migration'),
('partner', 1,
 '经您单独同意，我们将必要的信息提供给下列合作伙伴，仅用于其向您提供的礼遇。您可随时撤回。',
 'If you separately agree, we give the partner named here what it needs for its perks to you, and nothing more. You may withdraw at any time.',
 true, now(), 'migration');
"""

RESTRICTED = """
ALTER TABLE member ADD erased_at timestamptz;
ALTER TABLE member ALTER phone DROP NOT NULL, ALTER phone_index DROP NOT NULL;
ALTER TABLE member ADD CONSTRAINT ck_member_erased CHECK ((erased_at IS NULL) = (phone IS NOT NULL));

CREATE SCHEMA restricted;
COMMENT ON SCHEMA restricted IS
  'What the law keeps of erased members, under a pseudonym. club_app reads none of it: only through the functions here.';
CREATE TABLE restricted.owner_record (
  record_no bigint GENERATED ALWAYS AS IDENTITY PRIMARY KEY,
  pseudonym uuid NOT NULL,
  vin       text NOT NULL,
  since     date NOT NULL,
  until     date NOT NULL,
  is_first  boolean NOT NULL
);
CREATE INDEX owner_record_vin ON restricted.owner_record (vin);
COMMENT ON TABLE restricted.owner_record IS
  'Which vehicles an erased member owned. First-sale owner records are kept at least ten years.';
CREATE TABLE restricted.workshop_record (
  dealer_code   text NOT NULL,
  order_no      text NOT NULL,
  revision      integer NOT NULL,
  pseudonym     uuid NOT NULL,
  business_date date NOT NULL,
  PRIMARY KEY (dealer_code, order_no, revision)
);
COMMENT ON TABLE restricted.workshop_record IS
  'Whose repair orders they were. Workshop records are kept at least five years.';

CREATE FUNCTION restricted.erase(p_member uuid, p_now timestamptz) RETURNS void
LANGUAGE plpgsql SECURITY DEFINER SET search_path = pg_catalog, pg_temp AS $$
DECLARE
  today CONSTANT date := (p_now AT TIME ZONE 'Asia/Shanghai')::date;
BEGIN
  UPDATE public.member SET name = '*', phone = NULL, phone_index = NULL, erased_at = p_now, version = version + 1
   WHERE id = p_member AND status = 'left' AND erased_at IS NULL;
  IF NOT FOUND THEN
    RAISE EXCEPTION 'member % has not left, or is erased', p_member;
  END IF;
  INSERT INTO restricted.owner_record (pseudonym, vin, since, until, is_first)
  SELECT o.member_id, o.vin, o.since, greatest(coalesce(o.until, today), o.since),
         NOT EXISTS (SELECT FROM public.ownership e WHERE e.vin = o.vin AND (e.since, e.id) < (o.since, o.id))
         AND NOT EXISTS (SELECT FROM restricted.owner_record r WHERE r.vin = o.vin AND r.since < o.since)
    FROM public.ownership o WHERE o.member_id = p_member ORDER BY o.since, o.id;
  DELETE FROM public.ownership WHERE member_id = p_member;
  WITH moved AS (
    UPDATE public.repair_order SET member_id = NULL WHERE member_id = p_member
    RETURNING dealer_code, order_no, revision, business_date
  )
  INSERT INTO restricted.workshop_record SELECT dealer_code, order_no, revision, p_member, business_date FROM moved;
  -- a reason is free text
  UPDATE public.member_status_change SET reason = 'erased' WHERE member_id = p_member;
  DELETE FROM public.login_session WHERE member_id = p_member;
  DELETE FROM public.wechat_user WHERE member_id = p_member;
END $$;

CREATE FUNCTION restricted.past_owners(p_vins text[])
RETURNS TABLE (vin text, pseudonym uuid, since date, until date)
LANGUAGE sql STABLE SECURITY DEFINER SET search_path = pg_catalog, pg_temp AS $$
  SELECT r.vin, r.pseudonym, r.since, r.until FROM restricted.owner_record r WHERE r.vin = ANY (p_vins)
$$;
COMMENT ON FUNCTION restricted.past_owners IS 'So that an old file sent again does not bring an erased member back.';

-- the law's shortest times hold whatever the caller asks for
CREATE FUNCTION restricted.forget(p_owners date, p_workshop date) RETURNS void
LANGUAGE sql SECURITY DEFINER SET search_path = pg_catalog, pg_temp AS $$
  DELETE FROM restricted.owner_record
   WHERE until < CASE WHEN is_first THEN least(p_owners, current_date - interval '10 years')
                      ELSE least(p_workshop, current_date - interval '5 years') END;
  DELETE FROM restricted.workshop_record WHERE business_date < least(p_workshop, current_date - interval '5 years');
$$;

REVOKE ALL ON ALL TABLES IN SCHEMA restricted FROM PUBLIC;
REVOKE ALL ON ALL FUNCTIONS IN SCHEMA restricted FROM PUBLIC;
GRANT USAGE ON SCHEMA restricted TO club_app;
GRANT EXECUTE ON ALL FUNCTIONS IN SCHEMA restricted TO club_app;
"""


def upgrade() -> None:
    op.execute("SET LOCAL lock_timeout = '3s'")
    _consents()
    _erasures()
    op.create_index(op.f("ix_repair_order_member_id"), "repair_order", ["member_id"], unique=False)
    run_script(RESTRICTED)
    run_script(NOTICES)
    run_script(GRANTS)


def _consents() -> None:
    op.create_table(
        "privacy_notice",
        sa.Column("purpose", sa.Text(), nullable=False),
        sa.Column("version", sa.Integer(), nullable=False),
        sa.Column("text_zh", sa.Text(), nullable=False),
        sa.Column("text_en", sa.Text(), nullable=False),
        sa.Column("renews", sa.Boolean(), nullable=False),
        sa.Column("published_at", sa.DateTime(timezone=True), nullable=False),
        sa.Column("published_by", sa.Text(), nullable=False),
        sa.CheckConstraint(PURPOSES, name=op.f("ck_privacy_notice_purpose")),
        sa.PrimaryKeyConstraint("purpose", "version", name=op.f("pk_privacy_notice")),
    )
    op.create_table(
        "consent",
        sa.Column("id", sa.Uuid(), nullable=False),
        sa.Column("member_id", sa.Uuid(), nullable=False),
        sa.Column("purpose", sa.Text(), nullable=False),
        sa.Column("partner_code", sa.Text(), nullable=True),
        sa.Column("partner_name", sa.Text(), nullable=True),
        sa.Column("version", sa.Integer(), nullable=False),
        sa.Column("decision", sa.Text(), nullable=False),
        sa.Column("channel", sa.Text(), nullable=False),
        sa.Column("by_guardian", sa.Boolean(), nullable=False),
        sa.Column("at", sa.DateTime(timezone=True), nullable=False),
        sa.Column("recorded_by", sa.Text(), nullable=False),
        sa.CheckConstraint(PURPOSES, name=op.f("ck_consent_purpose")),
        sa.CheckConstraint("decision IN ('given', 'refused', 'withdrawn')", name=op.f("ck_consent_decision")),
        sa.CheckConstraint(
            "channel IN ('app', 'mini_program', 'web', 'counter', 'phone', 'paper')", name=op.f("ck_consent_channel")
        ),
        sa.CheckConstraint(
            "(purpose = 'partner') = (partner_code IS NOT NULL AND partner_name IS NOT NULL)",
            name=op.f("ck_consent_partner"),
        ),
        sa.ForeignKeyConstraint(["member_id"], ["member.id"], name=op.f("fk_consent_member_id")),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_consent")),
    )
    op.create_index("ix_consent_member_id", "consent", ["member_id", "purpose", "partner_code", "id"], unique=False)
    op.create_table(
        "provision",
        sa.Column("id", sa.Uuid(), nullable=False),
        sa.Column("member_id", sa.Uuid(), nullable=False),
        sa.Column("consent_id", sa.Uuid(), nullable=False),
        sa.Column("partner_code", sa.Text(), nullable=False),
        sa.Column("partner_name", sa.Text(), nullable=False),
        sa.Column("kinds", sa.ARRAY(sa.Text()), nullable=False),
        sa.Column("reason", sa.Text(), nullable=False),
        sa.Column("at", sa.DateTime(timezone=True), nullable=False),
        sa.Column("recorded_by", sa.Text(), nullable=False),
        sa.ForeignKeyConstraint(["member_id"], ["member.id"], name=op.f("fk_provision_member_id")),
        sa.ForeignKeyConstraint(["consent_id"], ["consent.id"], name=op.f("fk_provision_consent_id")),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_provision")),
    )
    for column in ("at", "consent_id", "member_id"):
        op.create_index(op.f(f"ix_provision_{column}"), "provision", [column], unique=False)


def _erasures() -> None:
    op.create_table(
        "member_birth",
        sa.Column("member_id", sa.Uuid(), nullable=False),
        sa.Column("born_on", sa.Date(), nullable=False),
        sa.Column("guardian_name", sa.Text(), nullable=True),
        sa.Column("guardian_relation", sa.Text(), nullable=True),
        sa.Column("recorded_at", sa.DateTime(timezone=True), nullable=False),
        sa.Column("recorded_by", sa.Text(), nullable=False),
        sa.CheckConstraint(
            "(guardian_name IS NULL) = (guardian_relation IS NULL)", name=op.f("ck_member_birth_guardian")
        ),
        sa.ForeignKeyConstraint(["member_id"], ["member.id"], name=op.f("fk_member_birth_member_id")),
        sa.PrimaryKeyConstraint("member_id", name=op.f("pk_member_birth")),
    )
    op.create_table(
        "erasure",
        sa.Column("member_id", sa.Uuid(), nullable=False),
        sa.Column("requested_at", sa.DateTime(timezone=True), nullable=False),
        sa.Column("requested_by", sa.Text(), nullable=False),
        sa.Column("due_on", sa.Date(), nullable=False),
        sa.Column("erased_at", sa.DateTime(timezone=True), nullable=True),
        sa.ForeignKeyConstraint(["member_id"], ["member.id"], name=op.f("fk_erasure_member_id")),
        sa.PrimaryKeyConstraint("member_id", name=op.f("pk_erasure")),
    )
    op.create_index("ix_erasure_due", "erasure", ["erased_at", "due_on"], unique=False)


def downgrade() -> None:
    raise NotImplementedError("what was promised to members is not taken back: restore a backup instead")

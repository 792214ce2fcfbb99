"""Club events: their life, their budgets and approvals, their report, and what members are told."""

from app.core.migrations import run_script

revision = "0035"
down_revision = "0034"

EVENTS = """
CREATE TABLE club_event (
  id                     uuid NOT NULL CONSTRAINT pk_club_event PRIMARY KEY,
  dealer_code            text CONSTRAINT fk_club_event_dealer_code REFERENCES chapter (dealer_code),
  title                  text NOT NULL,
  purpose                text NOT NULL,
  event_class            text NOT NULL,
  kind                   text NOT NULL,
  place                  text NOT NULL,
  starts_at              timestamptz NOT NULL,
  ends_at                timestamptz NOT NULL,
  registration_opens_at  timestamptz NOT NULL,
  registration_closes_at timestamptz NOT NULL,
  capacity               integer NOT NULL,
  expected_guests        integer NOT NULL,
  fee_points             integer NOT NULL,
  fee_fen                bigint NOT NULL,
  is_open                boolean NOT NULL,
  queue                  text NOT NULL,
  questions              jsonb NOT NULL,
  year                   integer NOT NULL,
  status                 text NOT NULL,
  round                  integer NOT NULL,
  created_by             text NOT NULL,
  material_request_id    uuid CONSTRAINT fk_club_event_material_request_id REFERENCES material_request (id),
  version                integer NOT NULL,
  CONSTRAINT ck_club_event_class CHECK (event_class IN ('market', 'care', 'everyday', 'special')),
  CONSTRAINT ck_club_event_kind CHECK (kind IN ('service_class', 'free_checkup', 'self_drive', 'family_day', 'sports',
    'photo_walk', 'fruit_picking', 'test_drive', 'partner_joint', 'charity', 'annual_meeting', 'contest', 'draw',
    'auction', 'other')),
  CONSTRAINT ck_club_event_status CHECK (status IN ('draft', 'proposed', 'returned', 'refused', 'approved',
    'published', 'registration', 'closed', 'held', 'reported', 'settled', 'cancelled')),
  CONSTRAINT ck_club_event_queue CHECK (queue IN ('strict', 'skip')),
  CONSTRAINT ck_club_event_time CHECK (ends_at > starts_at),
  CONSTRAINT ck_club_event_registration CHECK (
    registration_opens_at < registration_closes_at AND registration_closes_at <= ends_at),
  CONSTRAINT ck_club_event_guests CHECK (capacity > 0 AND expected_guests >= 0),
  CONSTRAINT ck_club_event_fee CHECK (fee_points >= 0 AND fee_fen >= 0)
);
CREATE INDEX ix_club_event_dealer ON club_event (dealer_code, starts_at);
CREATE INDEX ix_club_event_starts ON club_event (starts_at, id);
CREATE INDEX ix_club_event_due ON club_event (status) WHERE status IN ('published', 'registration');
CREATE INDEX ix_club_event_material_request_id ON club_event (material_request_id);

CREATE TABLE event_support (
  event_id    uuid NOT NULL CONSTRAINT fk_event_support_event_id REFERENCES club_event (id),
  dealer_code text NOT NULL CONSTRAINT fk_event_support_dealer_code REFERENCES chapter (dealer_code),
  CONSTRAINT pk_event_support PRIMARY KEY (event_id, dealer_code)
);
CREATE INDEX ix_event_support_dealer_code ON event_support (dealer_code);

CREATE TABLE event_step (
  id          uuid NOT NULL CONSTRAINT pk_event_step PRIMARY KEY,
  event_id    uuid NOT NULL CONSTRAINT fk_event_step_event_id REFERENCES club_event (id),
  from_status text,
  to_status   text NOT NULL,
  by          text NOT NULL,
  at          timestamptz NOT NULL,
  reason      text
);
CREATE INDEX ix_event_step_event_id ON event_step (event_id);
"""

BUDGETS = """
CREATE TABLE event_budget_line (
  id          uuid NOT NULL CONSTRAINT pk_event_budget_line PRIMARY KEY,
  event_id    uuid NOT NULL CONSTRAINT fk_event_budget_line_event_id REFERENCES club_event (id),
  kind        text NOT NULL,
  payer       text NOT NULL,
  purpose     text NOT NULL,
  material_id uuid CONSTRAINT fk_event_budget_line_material_id REFERENCES material (id),
  planned     bigint NOT NULL,
  granted     bigint,
  actual      bigint,
  CONSTRAINT ck_event_budget_line_kind CHECK (kind IN ('money', 'points', 'material')),
  CONSTRAINT ck_event_budget_line_payer CHECK (payer = 'hq' OR payer ~ '^(dealer|partner):[A-Z0-9_-]{2,32}$'),
  CONSTRAINT ck_event_budget_line_amounts CHECK (planned >= 0 AND granted >= 0 AND actual >= 0),
  CONSTRAINT ck_event_budget_line_material CHECK (material_id IS NULL OR kind = 'material')
);
CREATE INDEX ix_event_budget_line_event_id ON event_budget_line (event_id);

CREATE TABLE event_approval (
  id            uuid NOT NULL CONSTRAINT pk_event_approval PRIMARY KEY,
  event_id      uuid NOT NULL CONSTRAINT fk_event_approval_event_id REFERENCES club_event (id),
  round         integer NOT NULL,
  part          text NOT NULL,
  dealer_code   text CONSTRAINT fk_event_approval_dealer_code REFERENCES chapter (dealer_code),
  decision      text NOT NULL,
  beyond_fen    bigint NOT NULL,
  beyond_points bigint NOT NULL,
  by            text NOT NULL,
  at            timestamptz NOT NULL,
  reason        text,
  CONSTRAINT ck_event_approval_part CHECK (part IN ('own', 'rest')),
  CONSTRAINT ck_event_approval_decision CHECK (decision IN ('approved', 'returned', 'refused')),
  CONSTRAINT ck_event_approval_dealer CHECK ((part = 'own') = (dealer_code IS NOT NULL)),
  CONSTRAINT ck_event_approval_reason CHECK (decision = 'approved' OR reason IS NOT NULL),
  CONSTRAINT ck_event_approval_beyond CHECK (beyond_fen >= 0 AND beyond_points >= 0),
  CONSTRAINT uq_event_approval_event_id_round_part_dealer_code
    UNIQUE NULLS NOT DISTINCT (event_id, round, part, dealer_code)
);

CREATE TABLE chapter_budget (
  id          uuid NOT NULL CONSTRAINT pk_chapter_budget PRIMARY KEY,
  dealer_code text CONSTRAINT fk_chapter_budget_dealer_code REFERENCES chapter (dealer_code),
  year        integer NOT NULL,
  purse       text NOT NULL,
  money_fen   bigint NOT NULL,
  points      bigint NOT NULL,
  version     integer NOT NULL,
  CONSTRAINT ck_chapter_budget_purse CHECK (purse IN ('own', 'hq')),
  CONSTRAINT ck_chapter_budget_headquarters CHECK (dealer_code IS NOT NULL OR purse = 'hq'),
  CONSTRAINT ck_chapter_budget_year CHECK (year BETWEEN 2000 AND 2199),
  CONSTRAINT ck_chapter_budget_amounts CHECK (money_fen >= 0 AND points >= 0),
  CONSTRAINT uq_chapter_budget_dealer_code_year_purse UNIQUE NULLS NOT DISTINCT (dealer_code, year, purse)
);

CREATE TABLE event_report (
  event_id uuid NOT NULL CONSTRAINT pk_event_report PRIMARY KEY
    CONSTRAINT fk_event_report_event_id REFERENCES club_event (id),
  guests   integer NOT NULL,
  summary  text NOT NULL,
  results  text,
  filed_by text NOT NULL,
  filed_at timestamptz NOT NULL,
  CONSTRAINT ck_event_report_guests CHECK (guests >= 0)
);

CREATE TABLE event_notice (
  id        uuid NOT NULL CONSTRAINT pk_event_notice PRIMARY KEY,
  event_id  uuid NOT NULL CONSTRAINT fk_event_notice_event_id REFERENCES club_event (id),
  member_id uuid NOT NULL CONSTRAINT fk_event_notice_member_id REFERENCES member (id),
  kind      text NOT NULL,
  reason    text,
  at        timestamptz NOT NULL,
  read_at   timestamptz
);
CREATE INDEX ix_event_notice_event_id ON event_notice (event_id);
CREATE INDEX ix_event_notice_member ON event_notice (member_id, id);
"""

# what is published is no secret: members look for it, and neighbours' calendars show it; its money and its steps are
# for the chapters that hold or support it. To lock an event is to be let change it, so the change itself is checked
ROWS = """
ALTER TABLE club_event ENABLE ROW LEVEL SECURITY;
CREATE POLICY reach ON club_event TO club_app
  USING (
    (SELECT club_reach()) = 'all' OR dealer_code = ANY ((SELECT club_reached())::text[])
    OR (dealer_code IS NULL AND (SELECT club_member()) IS NULL)
    OR status IN ('published', 'registration', 'closed', 'held', 'reported', 'settled', 'cancelled'))
  WITH CHECK ((SELECT club_reach()) = 'all' OR dealer_code = ANY ((SELECT club_reached())::text[]));

ALTER TABLE event_support ENABLE ROW LEVEL SECURITY;
CREATE POLICY reach ON event_support TO club_app USING (
  (SELECT club_reach()) = 'all' OR dealer_code = ANY ((SELECT club_reached())::text[]));

CREATE FUNCTION club_holds_event(p_event uuid) RETURNS boolean LANGUAGE sql STABLE AS $$
  SELECT public.club_reach() = 'all'
      OR EXISTS (SELECT FROM public.club_event e WHERE e.id = p_event AND e.dealer_code = ANY (public.club_reached()))
      OR EXISTS (SELECT FROM public.event_support s
                  WHERE s.event_id = p_event AND s.dealer_code = ANY (public.club_reached()))
$$;
COMMENT ON FUNCTION club_holds_event IS 'Whether the caller reaches a chapter that holds or supports an event.';

ALTER TABLE event_step ENABLE ROW LEVEL SECURITY;
CREATE POLICY reach ON event_step TO club_app USING ((SELECT club_reach()) = 'all' OR club_holds_event(event_id));

ALTER TABLE event_budget_line ENABLE ROW LEVEL SECURITY;
CREATE POLICY reach ON event_budget_line TO club_app
  USING ((SELECT club_reach()) = 'all' OR club_holds_event(event_id));

ALTER TABLE event_approval ENABLE ROW LEVEL SECURITY;
CREATE POLICY reach ON event_approval TO club_app USING ((SELECT club_reach()) = 'all' OR club_holds_event(event_id));

ALTER TABLE event_report ENABLE ROW LEVEL SECURITY;
CREATE POLICY reach ON event_report TO club_app USING ((SELECT club_reach()) = 'all' OR club_holds_event(event_id));

ALTER TABLE chapter_budget ENABLE ROW LEVEL SECURITY;
CREATE POLICY reach ON chapter_budget TO club_app USING (
  (SELECT club_reach()) = 'all' OR dealer_code = ANY ((SELECT club_reached())::text[]));

ALTER TABLE event_notice ENABLE ROW LEVEL SECURITY;
CREATE POLICY reach ON event_notice TO club_app
  USING (
    (SELECT club_reach()) = 'all' OR member_id = (SELECT club_member())
    OR EXISTS (SELECT FROM member m WHERE m.id = member_id))
  WITH CHECK (
    (SELECT club_reach()) = 'all' OR member_id = (SELECT club_member()) OR club_holds_event(event_id));

GRANT SELECT, INSERT, UPDATE ON club_event, chapter_budget, event_report TO club_app;
GRANT SELECT, INSERT, DELETE ON event_support TO club_app;
GRANT SELECT, INSERT ON event_step, event_approval TO club_app;
GRANT SELECT, INSERT, UPDATE, DELETE ON event_budget_line, event_notice TO club_app;
"""


def upgrade() -> None:
    run_script("SET LOCAL lock_timeout = '3s'")
    run_script(EVENTS)
    run_script(BUDGETS)
    run_script(ROWS)


def downgrade() -> None:
    raise NotImplementedError("the books are not taken apart: restore a backup instead")

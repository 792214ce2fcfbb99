"""Around events: invitations, surveys, photos, days off, results, draws and auctions."""

from app.core.migrations import run_script

revision = "0037"
down_revision = "0036"

AROUND = """
CREATE TABLE invitation (
  event_id    uuid NOT NULL CONSTRAINT fk_invitation_event_id REFERENCES club_event (id),
  member_id   uuid NOT NULL CONSTRAINT fk_invitation_member_id REFERENCES member (id),
  is_control  boolean NOT NULL,
  invited_by  text NOT NULL,
  invited_at  timestamptz NOT NULL,
  answer      text,
  answered_at timestamptz,
  CONSTRAINT pk_invitation PRIMARY KEY (event_id, member_id),
  CONSTRAINT ck_invitation_answer CHECK (answer IN ('yes', 'no', 'maybe')),
  CONSTRAINT ck_invitation_answered CHECK ((answer IS NULL) = (answered_at IS NULL)),
  CONSTRAINT ck_invitation_control CHECK (NOT is_control OR answer IS NULL)
);
CREATE INDEX ix_invitation_member ON invitation (member_id, event_id);

CREATE TABLE survey_answer (
  event_id    uuid NOT NULL CONSTRAINT fk_survey_answer_event_id REFERENCES club_event (id),
  member_id   uuid NOT NULL CONSTRAINT fk_survey_answer_member_id REFERENCES member (id),
  score       integer NOT NULL,
  comment     text,
  answered_at timestamptz NOT NULL,
  CONSTRAINT pk_survey_answer PRIMARY KEY (event_id, member_id),
  CONSTRAINT ck_survey_answer_score CHECK (score BETWEEN 0 AND 10)
);
CREATE INDEX ix_survey_answer_member_id ON survey_answer (member_id);

CREATE TABLE event_photo (
  id          uuid NOT NULL CONSTRAINT pk_event_photo PRIMARY KEY,
  event_id    uuid NOT NULL CONSTRAINT fk_event_photo_event_id REFERENCES club_event (id),
  media_type  text NOT NULL,
  size        integer NOT NULL,
  sha256      bytea NOT NULL,
  content     bytea NOT NULL,
  uploaded_by text NOT NULL,
  uploaded_at timestamptz NOT NULL
);
CREATE INDEX ix_event_photo_event_id ON event_photo (event_id);

CREATE TABLE holiday (
  day        date NOT NULL CONSTRAINT pk_holiday PRIMARY KEY,
  is_day_off boolean NOT NULL,
  name_zh    text NOT NULL,
  name_en    text NOT NULL
);
"""

WINNING = """
CREATE TABLE event_result (
  id         uuid NOT NULL CONSTRAINT pk_event_result PRIMARY KEY,
  event_id   uuid NOT NULL CONSTRAINT fk_event_result_event_id REFERENCES club_event (id),
  member_id  uuid NOT NULL CONSTRAINT fk_event_result_member_id REFERENCES member (id),
  rank       integer NOT NULL,
  prize      text,
  points     integer NOT NULL,
  line_id    uuid CONSTRAINT fk_event_result_line_id REFERENCES event_budget_line (id),
  wallet_id  uuid,
  posting_no bigint,
  by         text NOT NULL,
  at         timestamptz NOT NULL,
  CONSTRAINT uq_event_result_event_id_member_id UNIQUE (event_id, member_id),
  CONSTRAINT ck_event_result_rank CHECK (rank > 0),
  CONSTRAINT ck_event_result_points CHECK (points >= 0 AND (points > 0) = (line_id IS NOT NULL)),
  CONSTRAINT ck_event_result_posting CHECK ((wallet_id IS NULL) = (posting_no IS NULL))
);
CREATE INDEX ix_event_result_member_id ON event_result (member_id);

CREATE TABLE event_draw (
  event_id     uuid NOT NULL CONSTRAINT pk_event_draw PRIMARY KEY
    CONSTRAINT fk_event_draw_event_id REFERENCES club_event (id),
  seed         bytea NOT NULL,
  commitment   bytea NOT NULL,
  entrants     text NOT NULL,
  prizes       jsonb NOT NULL,
  prepared_by  text NOT NULL,
  prepared_at  timestamptz NOT NULL,
  public_value text,
  entries      jsonb,
  drawn_by     text,
  drawn_at     timestamptz,
  CONSTRAINT ck_event_draw_entrants CHECK (entrants IN ('registered', 'attended')),
  CONSTRAINT ck_event_draw_drawn CHECK (
    (drawn_at IS NULL) = (entries IS NULL) AND (drawn_at IS NULL) = (public_value IS NULL))
);

CREATE TABLE auction_lot (
  id           uuid NOT NULL CONSTRAINT pk_auction_lot PRIMARY KEY,
  event_id     uuid NOT NULL CONSTRAINT fk_auction_lot_event_id REFERENCES club_event (id),
  name         text NOT NULL,
  start_points integer NOT NULL,
  step_points  integer NOT NULL,
  closes_at    timestamptz NOT NULL,
  status       text NOT NULL,
  CONSTRAINT ck_auction_lot_status CHECK (status IN ('open', 'sold', 'unsold', 'cancelled')),
  CONSTRAINT ck_auction_lot_points CHECK (start_points > 0 AND step_points > 0)
);
CREATE INDEX ix_auction_lot_event_id ON auction_lot (event_id);
CREATE INDEX ix_auction_lot_due ON auction_lot (closes_at) WHERE status = 'open';

CREATE TABLE auction_bid (
  id         uuid NOT NULL CONSTRAINT pk_auction_bid PRIMARY KEY,
  lot_id     uuid NOT NULL CONSTRAINT fk_auction_bid_lot_id REFERENCES auction_lot (id),
  member_id  uuid NOT NULL CONSTRAINT fk_auction_bid_member_id REFERENCES member (id),
  wallet_id  uuid NOT NULL,
  points     integer NOT NULL,
  at         timestamptz NOT NULL,
  hold_no    bigint NOT NULL,
  status     text NOT NULL,
  capture_no bigint,
  CONSTRAINT ck_auction_bid_status CHECK (status IN ('leading', 'outbid', 'won', 'released')),
  CONSTRAINT ck_auction_bid_won CHECK ((status = 'won') = (capture_no IS NOT NULL)),
  CONSTRAINT ck_auction_bid_points CHECK (points > 0)
);
CREATE INDEX ix_auction_bid_lot ON auction_bid (lot_id, id);
CREATE INDEX ix_auction_bid_member_id ON auction_bid (member_id);
CREATE INDEX ix_auction_bid_wallet ON auction_bid (wallet_id);
CREATE UNIQUE INDEX uq_auction_bid_best ON auction_bid (lot_id) WHERE status IN ('leading', 'won');
"""

# what a member said or won is read by who holds or supports the event, and by the member's own chapter. Holidays,
# draws and lots are no secrets: a draw's seed is kept back by the service until it is drawn
ROWS = """
ALTER TABLE invitation ENABLE ROW LEVEL SECURITY;
CREATE POLICY reach ON invitation TO club_app
  USING (
    (SELECT club_reach()) = 'all' OR member_id = (SELECT club_member())
    OR club_holds_event(event_id) OR EXISTS (SELECT FROM member m WHERE m.id = member_id));

ALTER TABLE survey_answer ENABLE ROW LEVEL SECURITY;
CREATE POLICY reach ON survey_answer TO club_app
  USING (
    (SELECT club_reach()) = 'all' OR member_id = (SELECT club_member())
    OR club_holds_event(event_id) OR EXISTS (SELECT FROM member m WHERE m.id = member_id));

ALTER TABLE event_photo ENABLE ROW LEVEL SECURITY;
CREATE POLICY reach ON event_photo TO club_app USING ((SELECT club_reach()) = 'all' OR club_holds_event(event_id));

ALTER TABLE event_result ENABLE ROW LEVEL SECURITY;
CREATE POLICY reach ON event_result TO club_app
  USING (
    (SELECT club_reach()) = 'all' OR member_id = (SELECT club_member())
    OR club_holds_event(event_id) OR EXISTS (SELECT FROM member m WHERE m.id = member_id));

ALTER TABLE auction_bid ENABLE ROW LEVEL SECURITY;
CREATE POLICY reach ON auction_bid TO club_app
  USING (
    (SELECT club_reach()) = 'all' OR member_id = (SELECT club_member())
    OR EXISTS (SELECT FROM member m WHERE m.id = member_id)
    OR EXISTS (SELECT FROM auction_lot l WHERE l.id = lot_id AND club_holds_event(l.event_id)));

GRANT SELECT, INSERT, UPDATE ON invitation, survey_answer, event_result, event_draw, auction_lot, auction_bid TO club_app;
GRANT SELECT, INSERT, DELETE ON event_photo TO club_app;
GRANT SELECT, INSERT, UPDATE, DELETE ON holiday TO club_app;
"""


def upgrade() -> None:
    run_script("SET LOCAL lock_timeout = '3s'")
    run_script(AROUND)
    run_script(WINNING)
    run_script(ROWS)


def downgrade() -> None:
    raise NotImplementedError("the books are not taken apart: restore a backup instead")

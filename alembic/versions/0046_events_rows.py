"""Draws and lots are read by who sees their event; notices say what became of the text message beside them."""

from app.core.migrations import run_script

revision = "0046"
down_revision = "0045"

SCRIPT = """
SET LOCAL lock_timeout = '3s';

ALTER TABLE event_notice
  ADD text_status text
    CONSTRAINT ck_event_notice_text CHECK (text_status IN ('due', 'sending', 'sent', 'unwanted', 'failed', 'unclear'));
CREATE INDEX ix_event_notice_text ON event_notice (event_id, id) WHERE text_status IN ('due', 'sending');

-- the inner query is held to what the caller sees of events
ALTER TABLE event_draw ENABLE ROW LEVEL SECURITY;
CREATE POLICY reach ON event_draw TO club_app
  USING (EXISTS (SELECT FROM club_event e WHERE e.id = event_id))
  WITH CHECK (club_holds_event(event_id));

ALTER TABLE auction_lot ENABLE ROW LEVEL SECURITY;
CREATE POLICY reach ON auction_lot TO club_app
  USING (EXISTS (SELECT FROM club_event e WHERE e.id = event_id))
  WITH CHECK (club_holds_event(event_id));
"""


def upgrade() -> None:
    run_script(SCRIPT)


def downgrade() -> None:
    raise NotImplementedError("the books are not taken apart: restore a backup instead")

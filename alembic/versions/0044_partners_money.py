"""Agencies keep what they earned, statements' commission too; a partner's clerk is of a partner that there is."""

from app.core.migrations import run_script

revision = "0044"
down_revision = "0043"

SCRIPT = """
SET LOCAL lock_timeout = '3s';

ALTER TABLE partner_block ADD COLUMN agency_code text
  CONSTRAINT fk_partner_block_agency_code REFERENCES agency (code);
ALTER TABLE voucher ADD COLUMN agency_code text CONSTRAINT fk_voucher_agency_code REFERENCES agency (code);
UPDATE partner_block SET agency_code = p.agency_code FROM partner p WHERE p.code = partner_code;
UPDATE voucher SET agency_code = p.agency_code FROM partner p WHERE p.code = partner_code;

CREATE TABLE statement_commission (
  partner_code   text NOT NULL CONSTRAINT fk_statement_commission_partner_code REFERENCES partner (code),
  period         date NOT NULL,
  agency_code    text NOT NULL CONSTRAINT fk_statement_commission_agency_code REFERENCES agency (code),
  charge_fen     bigint NOT NULL,
  commission_fen bigint NOT NULL,
  at             timestamptz NOT NULL,
  CONSTRAINT pk_statement_commission PRIMARY KEY (partner_code, period)
);
ALTER TABLE statement_commission ENABLE ROW LEVEL SECURITY;
CREATE POLICY reach ON statement_commission TO club_app USING ((SELECT club_reach()) = 'all');
GRANT SELECT, INSERT ON statement_commission TO club_app;

-- grants of before name partners as they were written
ALTER TABLE account_grant ADD CONSTRAINT fk_account_grant_partner_code
  FOREIGN KEY (partner_code) REFERENCES partner (code) NOT VALID;
"""


def upgrade() -> None:
    run_script(SCRIPT)


def downgrade() -> None:
    raise NotImplementedError("what agencies earned is not taken back: restore a backup instead")

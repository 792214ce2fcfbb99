"""The job queue's tables, as its library (pgqueuer) defines them."""

from pgqueuer.adapters.persistence.qb import QueryBuilderEnvironment

from app.core.migrations import run_script

revision = "0003"
down_revision = "0002"

GRANTS = """
GRANT SELECT, INSERT, UPDATE, DELETE, TRUNCATE ON pgqueuer, pgqueuer_log, pgqueuer_schedules, pgqueuer_statistics TO club_app;
GRANT USAGE ON SEQUENCE pgqueuer_id_seq, pgqueuer_log_id_seq, pgqueuer_schedules_id_seq, pgqueuer_statistics_id_seq
  TO club_app;
"""


def upgrade() -> None:
    run_script(QueryBuilderEnvironment().build_install_query() + GRANTS)


def downgrade() -> None:
    run_script(QueryBuilderEnvironment().build_uninstall_query())

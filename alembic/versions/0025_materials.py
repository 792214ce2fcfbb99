"""Materials and gifts with their stock, chapters' requests for them; documents in versions and who read them."""

import sqlalchemy as sa
from alembic import op

from app.core.migrations import run_script

revision = "0025"
down_revision = "0024"

# the catalogue and the documents are everybody's; a chapter's requests, what they moved, and its readers are its own
ROWS = """
ALTER TABLE material_request ENABLE ROW LEVEL SECURITY;
CREATE POLICY reach ON material_request TO club_app USING (
  (SELECT club_reach()) = 'all' OR dealer_code = ANY ((SELECT club_reached())::text[]));

ALTER TABLE material_request_line ENABLE ROW LEVEL SECURITY;
CREATE POLICY reach ON material_request_line TO club_app USING (
  (SELECT club_reach()) = 'all' OR EXISTS (SELECT FROM material_request r WHERE r.id = request_id));

ALTER TABLE material_movement ENABLE ROW LEVEL SECURITY;
CREATE POLICY reach ON material_movement TO club_app USING (
  (SELECT club_reach()) = 'all' OR EXISTS (SELECT FROM material_request r WHERE r.id = request_id));

-- whoever reads leaves a note, also where it is not theirs to see again
ALTER TABLE document_reading ENABLE ROW LEVEL SECURITY;
CREATE POLICY reach ON document_reading FOR SELECT TO club_app USING (
  (SELECT club_reach()) = 'all' OR place = ANY ((SELECT club_reached())::text[]));
CREATE POLICY note ON document_reading FOR INSERT TO club_app WITH CHECK (true);

GRANT SELECT, INSERT, UPDATE ON material, material_request, material_request_line, document TO club_app;
GRANT SELECT, INSERT ON material_movement, document_version, document_reading TO club_app;

-- packed already
ALTER TABLE document_version ALTER COLUMN content SET STORAGE EXTERNAL;
"""


def upgrade() -> None:
    _materials()
    _requests()
    _movements()
    _documents()
    run_script(ROWS)


def _materials() -> None:
    op.create_table(
        "material",
        sa.Column("id", sa.Uuid(), nullable=False),
        sa.Column("name", sa.Text(), nullable=False),
        sa.Column("kind", sa.Text(), nullable=False),
        sa.Column("unit", sa.Text(), nullable=False),
        sa.Column("description", sa.Text(), nullable=True),
        sa.Column("is_offered", sa.Boolean(), nullable=False),
        sa.Column("stock", sa.BigInteger(), nullable=False),
        sa.Column("version", sa.Integer(), nullable=False),
        sa.CheckConstraint("kind IN ('material', 'gift')", name=op.f("ck_material_kind")),
        sa.CheckConstraint("stock >= 0", name=op.f("ck_material_stock")),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_material")),
        sa.UniqueConstraint("name", name=op.f("uq_material_name")),
    )


def _requests() -> None:
    op.create_table(
        "material_request",
        sa.Column("id", sa.Uuid(), nullable=False),
        sa.Column("dealer_code", sa.Text(), nullable=False),
        sa.Column("status", sa.Text(), nullable=False),
        sa.Column("note", sa.Text(), nullable=True),
        sa.Column("asked_by", sa.Text(), nullable=False),
        sa.Column("asked_at", sa.DateTime(timezone=True), nullable=False),
        sa.Column("reason", sa.Text(), nullable=True),
        sa.Column("decided_by", sa.Text(), nullable=True),
        sa.Column("decided_at", sa.DateTime(timezone=True), nullable=True),
        sa.Column("carrier", sa.Text(), nullable=True),
        sa.Column("tracking_no", sa.Text(), nullable=True),
        sa.Column("shipped_by", sa.Text(), nullable=True),
        sa.Column("shipped_at", sa.DateTime(timezone=True), nullable=True),
        sa.Column("difference", sa.Text(), nullable=True),
        sa.Column("received_by", sa.Text(), nullable=True),
        sa.Column("received_at", sa.DateTime(timezone=True), nullable=True),
        sa.CheckConstraint(
            "status IN ('asked', 'approved', 'refused', 'withdrawn', 'shipped', 'received')",
            name=op.f("ck_material_request_status"),
        ),
        sa.CheckConstraint(
            "(status = 'asked') = (decided_at IS NULL) AND (decided_at IS NULL) = (decided_by IS NULL)",
            name=op.f("ck_material_request_decided"),
        ),
        sa.CheckConstraint(
            "(status IN ('shipped', 'received')) = (shipped_at IS NOT NULL)"
            " AND (shipped_at IS NULL) = (tracking_no IS NULL)",
            name=op.f("ck_material_request_shipped"),
        ),
        sa.CheckConstraint(
            "(status = 'received') = (received_at IS NOT NULL)", name=op.f("ck_material_request_received")
        ),
        sa.ForeignKeyConstraint(["dealer_code"], ["chapter.dealer_code"], name=op.f("fk_material_request_dealer_code")),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_material_request")),
    )
    op.create_index("ix_material_request_dealer", "material_request", ["dealer_code", "id"])
    op.create_table(
        "material_request_line",
        sa.Column("request_id", sa.Uuid(), nullable=False),
        sa.Column("material_id", sa.Uuid(), nullable=False),
        sa.Column("quantity", sa.Integer(), nullable=False),
        sa.Column("received", sa.Integer(), nullable=True),
        sa.CheckConstraint("quantity > 0", name=op.f("ck_material_request_line_quantity")),
        sa.CheckConstraint("received >= 0", name=op.f("ck_material_request_line_received")),
        sa.ForeignKeyConstraint(
            ["request_id"], ["material_request.id"], name=op.f("fk_material_request_line_request_id")
        ),
        sa.ForeignKeyConstraint(["material_id"], ["material.id"], name=op.f("fk_material_request_line_material_id")),
        sa.PrimaryKeyConstraint("request_id", "material_id", name=op.f("pk_material_request_line")),
    )


def _movements() -> None:
    op.create_table(
        "material_movement",
        sa.Column("id", sa.Uuid(), nullable=False),
        sa.Column("material_id", sa.Uuid(), nullable=False),
        sa.Column("request_id", sa.Uuid(), nullable=True),
        sa.Column("change", sa.Integer(), nullable=False),
        sa.Column("reason", sa.Text(), nullable=True),
        sa.Column("at", sa.DateTime(timezone=True), nullable=False),
        sa.Column("by", sa.Text(), nullable=False),
        sa.CheckConstraint("change <> 0", name=op.f("ck_material_movement_change")),
        sa.ForeignKeyConstraint(["material_id"], ["material.id"], name=op.f("fk_material_movement_material_id")),
        sa.ForeignKeyConstraint(["request_id"], ["material_request.id"], name=op.f("fk_material_movement_request_id")),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_material_movement")),
    )
    op.create_index("ix_material_movement_material", "material_movement", ["material_id", "id"])
    op.create_index(op.f("ix_material_movement_request_id"), "material_movement", ["request_id"])


def _documents() -> None:
    op.create_table(
        "document",
        sa.Column("id", sa.Uuid(), nullable=False),
        sa.Column("title", sa.Text(), nullable=False),
        sa.Column("summary", sa.Text(), nullable=True),
        sa.Column("is_published", sa.Boolean(), nullable=False),
        sa.Column("latest", sa.Integer(), nullable=False),
        sa.Column("version", sa.Integer(), nullable=False),
        sa.CheckConstraint("latest >= 0", name=op.f("ck_document_latest")),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_document")),
    )
    op.create_table(
        "document_version",
        sa.Column("document_id", sa.Uuid(), nullable=False),
        sa.Column("number", sa.Integer(), nullable=False),
        sa.Column("media_type", sa.Text(), nullable=False),
        sa.Column("size", sa.Integer(), nullable=False),
        sa.Column("sha256", sa.LargeBinary(), nullable=False),
        sa.Column("content", sa.LargeBinary(), nullable=False),
        sa.Column("uploaded_by", sa.Text(), nullable=False),
        sa.Column("uploaded_at", sa.DateTime(timezone=True), nullable=False),
        sa.CheckConstraint("number > 0", name=op.f("ck_document_version_number")),
        sa.ForeignKeyConstraint(["document_id"], ["document.id"], name=op.f("fk_document_version_document_id")),
        sa.PrimaryKeyConstraint("document_id", "number", name=op.f("pk_document_version")),
    )
    op.create_table(
        "document_reading",
        sa.Column("id", sa.Uuid(), nullable=False),
        sa.Column("document_id", sa.Uuid(), nullable=False),
        sa.Column("number", sa.Integer(), nullable=False),
        sa.Column("reader", sa.Text(), nullable=False),
        sa.Column("place", sa.Text(), nullable=False),
        sa.Column("at", sa.DateTime(timezone=True), nullable=False),
        sa.ForeignKeyConstraint(
            ["document_id", "number"], ["document_version.document_id", "document_version.number"],
            name="fk_document_reading_version",
        ),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_document_reading")),
    )  # fmt: skip
    op.create_index("ix_document_reading_document", "document_reading", ["document_id", "id"])


def downgrade() -> None:
    raise NotImplementedError("the books are not taken apart: restore a backup instead")

"""A row of each kind that is somebody's, of a member and of a dealer."""

import asyncpg

from app.core.db import new_id
from tests.api import Api
from tests.members.conftest import car
from tests.now import NOW
from tests.shop import Person, Shop, order

OF_MEMBER = (
    """WITH s AS (INSERT INTO login_session (id, member_id, role, device, opened_at, refreshed_at, expires_at)
                  VALUES (gen_random_uuid(), $1, 'member', 'phone', $2, $2, $2) RETURNING id)
       INSERT INTO refresh_token (digest, session_id, issued_at) SELECT sha256(id::text::bytea), id, $2 FROM s""",
    "INSERT INTO wechat_user (app_id, openid, member_id, linked_at) VALUES ('app', $1::uuid::text, $1, $2)",
    """WITH c AS (INSERT INTO consent (id, member_id, purpose, partner_code, partner_name, version, decision, channel,
                                       by_guardian, at, recorded_by)
                  VALUES (gen_random_uuid(), $1, 'partner', 'tea', '茶馆', 1, 'given', 'app', false, $2, 'me')
                  RETURNING id)
       INSERT INTO provision (id, member_id, consent_id, partner_code, partner_name, kinds, reason, at, recorded_by)
       SELECT gen_random_uuid(), $1, id, 'tea', '茶馆', '{name}', 'perk', $2, 'hq' FROM c""",
    "INSERT INTO member_birth (member_id, born_on, recorded_at, recorded_by) VALUES ($1, '1980-01-01', $2, 'hq')",
    "INSERT INTO erasure (member_id, requested_at, requested_by, due_on) VALUES ($1, $2, 'me', '2027-01-01')",
    "INSERT INTO member_profile (member_id, updated_at, updated_by, version) VALUES ($1, $2, 'me', 1)",
    """INSERT INTO member_attribute (id, member_id, attribute_key, value)
       SELECT gen_random_uuid(), $1, 'hobby', 'food' WHERE $2::timestamptz IS NOT NULL""",
    """INSERT INTO household_person (id, member_id, relation, is_minor, recorded_at, recorded_by)
       VALUES (gen_random_uuid(), $1, 'spouse', false, $2, 'me')""",
    """INSERT INTO member_note (id, member_id, text, is_pinned, written_at, written_by, version)
       VALUES (gen_random_uuid(), $1, 'x', false, $2, 'me', 1)""",
    """INSERT INTO vehicle_mileage (id, vin, km, read_on, source, is_drop, noted_by, noted_at)
       SELECT gen_random_uuid(), vin, 100, since, 'staff', false, 'me', $2 FROM ownership WHERE member_id = $1""",
    """INSERT INTO vehicle_claim (id, vin, claimant_id, bought_on, proof, status, asked_by, asked_at)
       VALUES (gen_random_uuid(), 'LJCPCBLCX11000237', $1, '2026-11-01', '发票', 'asked', 'me', $2)""",
    """INSERT INTO tier_change (member_id, kind, day, at, by) VALUES ($1, 'set', '2026-11-01', $2, 'hq')""",
    """WITH t AS (INSERT INTO tier (code, label_zh, label_en, threshold, version)
                  VALUES ('gold', '金卡', 'Gold', 1000, 1) ON CONFLICT DO NOTHING)
       INSERT INTO member_tier (member_id, tier_code, since, held_until)
       SELECT $1, 'gold', '2026-11-01', '2027-11-30' WHERE $2::timestamptz IS NOT NULL""",
    """INSERT INTO transfer (id, member_id, from_dealer_code, reason, status, asked_as, asked_by, asked_at, answer_by)
       SELECT gen_random_uuid(), id, dealer_code, '搬家', 'asked', 'member', member_no, $2, '2026-12-05'
         FROM member WHERE id = $1""",
)
OF_DEALER = (
    """INSERT INTO import_job (id, owner, dealer_code, only_dealers, format, dry_run, status, bytes, line, read, posted,
                               already_known, refused, points, created_at)
       VALUES ($1, 'me', $2, ARRAY[$2], 'csv', false, 'failed', 1, 0, 1, 0, 0, 1, 0, $3)""",
    "INSERT INTO import_chunk (job_id, seq, content) SELECT id, 0, '' FROM import_job WHERE dealer_code = $2"
    " AND $1 <> id AND created_at = $3",
    "INSERT INTO import_rejection (job_id, line, reason, row) SELECT id, 1, 'vin', 'x' FROM import_job"
    " WHERE dealer_code = $2 AND $1 <> id AND created_at = $3",
    """INSERT INTO contract (id, dealer_code, valid_from, rate_fen_per_thousand, charging, confirm_days)
       VALUES ($1, $2, $3::timestamptz::date, 5000, 'redemption', 10)""",
    """WITH a AS (INSERT INTO account (id, username, name, kind, scopes, is_active, created_at, version)
                  VALUES ($1, 'staff.' || $2, '李', 'person', '{}', true, $3, 1) RETURNING id),
            c AS (INSERT INTO credential (account_id, must_change, is_demo, changed_at)
                  SELECT id, false, false, $3 FROM a),
            f AS (INSERT INTO second_factor (account_id, sealed_secret, created_at) SELECT id, '', $3 FROM a),
            r AS (INSERT INTO recovery_code (account_id, digest) SELECT id, '' FROM a),
            e AS (INSERT INTO external_identity (account_id, email) SELECT id, $2 || '@example.com' FROM a),
            h AS (INSERT INTO sign_in_handover (digest, account_id, challenge, expires_at)
                  SELECT sha256($2::bytea), id, '', $3 FROM a)
       INSERT INTO account_grant (id, account_id, role, dealer_code, valid_from, granted_by, granted_at)
       SELECT $1, id, 'service_advisor', $2, $3::timestamptz::date, 'hq', $3 FROM a""",
    """WITH s AS (INSERT INTO login_session (id, account_id, role, place, device, opened_at, refreshed_at, expires_at)
                  SELECT $1, id, 'service_advisor', $2, 'desk', $3, $3, $3 FROM account WHERE username = 'staff.' || $2
                  RETURNING id)
       INSERT INTO refresh_token (digest, session_id, issued_at) SELECT sha256(id::text::bytea), id, $3 FROM s""",
    """INSERT INTO idempotency_record (caller, key, request_hash, status, body, created_at)
       VALUES ('staff.' || $2, $1::uuid::text, '', 201, '', $3)""",
    """INSERT INTO chapter_officer (id, dealer_code, office, name, since, version)
       VALUES ($1, $2, 'president', '李', $3::timestamptz::date, 1)""",
    """WITH m AS (INSERT INTO material (id, name, kind, unit, is_offered, stock, version)
                  VALUES ($1, $2, 'gift', '件', true, 9, 1) RETURNING id),
            r AS (INSERT INTO material_request (id, dealer_code, status, asked_by, asked_at)
                  VALUES ($1, $2, 'asked', 'me', $3) RETURNING id),
            l AS (INSERT INTO material_request_line (request_id, material_id, quantity) SELECT r.id, m.id, 1 FROM r, m)
       INSERT INTO material_movement (id, material_id, request_id, change, at, by)
       SELECT r.id, m.id, r.id, 1, $3, 'me' FROM r, m""",
    """WITH d AS (INSERT INTO document (id, title, is_published, latest, version)
                  VALUES ($1, '规', true, 1, 1) RETURNING id),
            v AS (INSERT INTO document_version (document_id, number, media_type, size, sha256, content, uploaded_by,
                                                uploaded_at)
                  SELECT id, 1, 'application/pdf', 0, '', '', 'hq', $3 FROM d RETURNING document_id)
       INSERT INTO document_reading (id, document_id, number, reader, place, at)
       SELECT document_id, document_id, 1, 'me', $2, $3 FROM v""",
    """INSERT INTO rule_frame (id, dealer_code, triggers, most_points_an_award, most_points_a_member_month,
                               most_expiry_months, is_self_funded, version)
       SELECT $1, $2, '{birthday}', 1, 1, 1, true, 1 WHERE $3::timestamptz IS NOT NULL""",
    """WITH r AS (INSERT INTO rule (id, code, dealer_code, label_zh, label_en, created_by, created_at, version)
                  VALUES ($1, 'r-' || $2, $2, '规则', 'Rule', 'me', $3, 1) RETURNING id)
       INSERT INTO rule_version (rule_id, version, status, definition, valid_from)
       SELECT id, 1, 'draft', '{}', $3::timestamptz::date FROM r""",
    """WITH r AS (INSERT INTO reward (id, kind, dealer_code, name, prices, covers, valid_from, image_urls, codes,
                                      is_offered, stock, reserved, issued, version)
                  VALUES ($1, 'coupon', $2, '券', '[]', '{}', '2026-01-01', '{}', 'pool', true, 1, 0, 1, 1)
                  RETURNING id, dealer_code),
            w AS (INSERT INTO reward_movement (id, reward_id, change, reason, at, by)
                  SELECT id, id, 1, 'x', $3, 'me' FROM r),
            o AS (INSERT INTO reward_order (id, reward_id, member_id, wallet_id, dealer_code, quantity, points,
                                            money_fen, status, hold_no, held_until, placed_by, placed_at, is_restocked)
                  SELECT r.id, r.id, m.id, m.id, dealer_code, 1, 1, 0, 'held', 1, $3, 'me', $3, false
                    FROM r JOIN member m USING (dealer_code) RETURNING id, reward_id)
       INSERT INTO reward_code (id, reward_id, code, order_id, given_at) SELECT id, reward_id, 'x', id, $3 FROM o""",
    """WITH e AS (INSERT INTO club_event (id, dealer_code, title, purpose, event_class, kind, place, starts_at, ends_at,
                                         registration_opens_at, registration_closes_at, capacity, expected_guests,
                                         fee_points, fee_fen, is_open, queue, questions, year, status, round,
                                         created_by, version)
                  VALUES ($1, $2, '活动', '关爱', 'care', 'other', '店', $3, $3::timestamptz + interval '1 day', $3,
                          $3::timestamptz + interval '1 hour', 1, 1, 0, 0, true, 'strict', '[]', 2026, 'draft', 0,
                          'me', 1)
                  RETURNING id, dealer_code),
            s AS (INSERT INTO event_step (id, event_id, to_status, by, at) SELECT id, id, 'draft', 'me', $3 FROM e),
            u AS (INSERT INTO event_support (event_id, dealer_code) SELECT id, dealer_code FROM e),
            l AS (INSERT INTO event_budget_line (id, event_id, kind, payer, purpose, planned)
                  SELECT id, id, 'money', 'hq', 'x', 1 FROM e),
            a AS (INSERT INTO event_approval (id, event_id, round, part, decision, beyond_fen, beyond_points, by, at)
                  SELECT id, id, 1, 'rest', 'approved', 0, 0, 'hq', $3 FROM e),
            d AS (INSERT INTO event_draw (event_id, seed, commitment, entrants, prizes, prepared_by, prepared_at)
                  SELECT id, '', '', 'attended', '[]', 'me', $3 FROM e),
            t AS (INSERT INTO auction_lot (id, event_id, name, start_points, step_points, closes_at, status)
                  SELECT id, id, 'x', 1, 1, $3, 'open' FROM e),
            b AS (INSERT INTO chapter_budget (id, dealer_code, year, purse, money_fen, points, version)
                  SELECT id, dealer_code, 2026, 'hq', 1, 1, 1 FROM e),
            r AS (INSERT INTO event_report (event_id, guests, summary, filed_by, filed_at)
                  SELECT id, 1, 'x', 'me', $3 FROM e)
       INSERT INTO event_notice (id, event_id, member_id, kind, at)
       SELECT e.id, e.id, m.id, 'changed', $3 FROM e JOIN member m USING (dealer_code)""",
    """WITH g AS (INSERT INTO registration (id, event_id, member_id, status, party, queue_no, fee_points, fee_fen,
                                            is_walk_up, request_hash, registered_by, registered_at, version)
                  SELECT $1, e.id, m.id, 'registered', 2, 1, 0, 0, false, '', 'me', $3, 1
                    FROM club_event e JOIN member m USING (dealer_code) WHERE e.dealer_code = $2
                  RETURNING id, event_id),
            c AS (INSERT INTO companion (id, registration_id, name, is_minor) SELECT id, id, '', false FROM g),
            q AS (INSERT INTO queue_decision (id, event_id, registration_id, kind, free, needed, by, at)
                  SELECT id, event_id, id, 'offered', 1, 1, 'me', $3 FROM g)
       INSERT INTO check_in (id, event_id, registration_id, nonce, at, by, recorded_at)
       SELECT id, event_id, id, 'x', $3, 'me', $3 FROM g""",
    """WITH a AS (INSERT INTO agency (code, name, version) VALUES ('A' || $2, '代理', 1) RETURNING code),
            p AS (INSERT INTO partner (code, name, category, dealer_code, valid_from, agency_code, agency_percent,
                                       is_prepaid, reserve_points, low_points, version)
                  SELECT 'P' || $2, '茶馆', 'restaurant', $2, '2026-01-01', code, 5, true, 0, 0, 1 FROM a
                  RETURNING code, dealer_code),
            b AS (INSERT INTO partner_block (id, partner_code, points, amount_fen, commission_fen, reference, at, by)
                  SELECT $1, code, 1, 1, 0, 'x', $3, 'me' FROM p),
            c AS (INSERT INTO perk_claim (id, period, payer, payee, basis, partner_code, count, amount_fen, status,
                                          claimed_at, version)
                  SELECT $1, '2026-10-01', dealer_code, 'partner:' || code, 'vouchers', code, 1, 1, 'claimed', $3, 1
                    FROM p),
            k AS (INSERT INTO perk (id, partner_code, name, valid_from, blackout, days, points, value_fen, shares,
                                    hands_over, is_offered, claimed, version)
                  SELECT $1, code, '茶', '2026-01-01', '{}', 1, 0, 1, '[]', '{}', true, 1, 1 FROM p
                  RETURNING id, partner_code),
            v AS (INSERT INTO voucher (id, perk_id, partner_code, member_id, wallet_id, dealer_code, code, status,
                                       points, value_fen, commission_fen, claimed_at, expires_on)
                  SELECT k.id, k.id, partner_code, m.id, m.id, m.dealer_code, $2, 'claimed', 0, 1, 0, $3, '2026-12-31'
                    FROM k JOIN member m ON m.dealer_code = $2 RETURNING id)
       INSERT INTO voucher_share (voucher_id, party, fen) SELECT id, 'HQ', 1 FROM v""",
    """INSERT INTO chapter_target (dealer_code, period, members, version)
       SELECT $2, to_char($3::timestamptz, 'YYYY'), 100, 1 WHERE $1::uuid IS NOT NULL""",
)
PROGRAM = """
WITH a AS (INSERT INTO account (id, username, name, kind, scopes, is_active, created_at, version)
           VALUES ($1, 'dms', 'DMS', 'program', '{}', true, $2, 1) RETURNING id)
INSERT INTO client_secret (id, account_id, digest, created_at) SELECT id, id, '', $2 FROM a"""
CODE = "INSERT INTO sign_in_code (phone_digest, expires_at, tries, sent_at) VALUES ('x', $1, 0, '{}')"


async def of_everybody(api: Api) -> dict[str, Person]:
    """A member of BJ001 and one of SH001 with points; each dealer with an application, an order, an import, staff."""
    shop = await Shop.open(api)
    people = {dealer: await shop.member(dealer=dealer, points=100) for dealer in ("BJ001", "SH001")}
    for serial, dealer in enumerate(people, 700_001):
        applicant = {"name": "王芳", "phone": f"138{serial:08d}", "vin": car(serial), "source": "event"}
        assert (await shop.post("/applications", applicant | {"dealer_code": dealer}, shop.hq))[0] == 201
        await _of_member(shop, people[dealer], dealer)
        await _of_dealer(api.db.pool, dealer)
    await api.db.pool.execute(PROGRAM, new_id(), NOW)
    await api.db.pool.execute(CODE, NOW)
    return people


async def _of_member(shop: Shop, member: Person, dealer: str) -> None:
    """What there is of a member: an order, a hold, a session, a WeChat user, answers about its data."""
    assert (await shop.post("/repair-orders", order(member.vin, dealer_code=dealer), shop.hq))[0] == 201
    held = {"member_id": str(member.id), "points": 10, "order_no": "RO-1", "dealer_code": dealer}
    assert (await shop.post("/holds", held, shop.program))[0] == 201
    for statement in OF_MEMBER:
        await shop.pool.execute(statement, member.id, NOW)


async def _of_dealer(pool: asyncpg.Pool, dealer: str) -> None:
    """What there is of a dealer: an import, a contract, one of its staff, who is signed in and has sent a request."""
    for statement in OF_DEALER:
        await pool.execute(statement, new_id(), dealer, NOW)

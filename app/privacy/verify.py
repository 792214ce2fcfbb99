"""What must hold of the erased, re-derived from what is stored."""

from app.core.checks import sql_check

CHECKS = (
    sql_check(
        "erased-are-gone",
        "an erased member has left, is on record as erased, and nothing that could be read names it",
        """
        SELECT format('member %s: %s', m.id, f.fault) FROM member m
          CROSS JOIN LATERAL (
            SELECT 'has not left' AS fault WHERE m.status <> 'left'
            UNION ALL SELECT 'is not on record' WHERE NOT EXISTS (
              SELECT FROM erasure e WHERE e.member_id = m.id AND e.erased_at IS NOT NULL)
            UNION ALL SELECT 'owns a vehicle' WHERE EXISTS (SELECT FROM ownership o WHERE o.member_id = m.id)
            UNION ALL SELECT 'has a repair order' WHERE EXISTS (SELECT FROM repair_order r WHERE r.member_id = m.id)
            UNION ALL SELECT 'has a claim' WHERE EXISTS (
              SELECT FROM vehicle_claim c WHERE m.id IN (c.claimant_id, c.from_member_id))
            UNION ALL SELECT 'has an application' WHERE EXISTS (SELECT FROM application a WHERE a.member_id = m.id)
            UNION ALL SELECT 'has a birthday' WHERE EXISTS (SELECT FROM member_birth b WHERE b.member_id = m.id)
            UNION ALL SELECT 'is known to WeChat' WHERE EXISTS (SELECT FROM wechat_user w WHERE w.member_id = m.id)
          ) f
         WHERE m.erased_at IS NOT NULL ORDER BY m.id, f.fault
        """,
    ),
    sql_check(
        "erasures-asked",
        "whoever asked for erasure has left until headquarters took it back",
        """
        SELECT format('member %s is %s', m.id, m.status)
          FROM erasure e JOIN member m ON m.id = e.member_id
         WHERE e.erased_at IS NULL AND m.status <> 'left' ORDER BY m.id
        """,
    ),
    sql_check(
        "erasures-done",
        "an erasure on record as done was done",
        """
        SELECT format('member %s is still there', e.member_id)
          FROM erasure e JOIN member m ON m.id = e.member_id
         WHERE e.erased_at IS NOT NULL AND m.erased_at IS NULL ORDER BY e.member_id
        """,
    ),
)

"""What must hold of headquarters' materials: stock, movements and requests tell the same."""

from app.core.checks import sql_check

CHECKS = (
    sql_check(
        "stock-is-movements",
        "a material's stock is the sum of its movements",
        """
        SELECT format('%s: stock %s, moved %s', m.id, m.stock, coalesce(v.moved, 0))
          FROM material m
          LEFT JOIN (SELECT material_id, sum(change) AS moved FROM material_movement GROUP BY 1) v
            ON v.material_id = m.id
         WHERE m.stock <> coalesce(v.moved, 0) ORDER BY m.id
        """,
    ),
    sql_check(
        "requests-moved-once",
        "what is approved for a chapter has left the stock once, and is back when the request was withdrawn",
        """
        SELECT format('%s: %s of %s approved, moved %s', l.request_id, coalesce(l.approved, 0), l.material_id,
                      coalesce(v.moved, 0))
          FROM material_request r JOIN material_request_line l ON l.request_id = r.id
          FULL JOIN (SELECT request_id, material_id, sum(change) AS moved FROM material_movement
                      WHERE request_id IS NOT NULL GROUP BY 1, 2) v
            ON v.request_id = l.request_id AND v.material_id = l.material_id
         WHERE coalesce(v.moved, 0)
               <> CASE WHEN r.status IN ('approved', 'shipped', 'received') THEN -l.approved ELSE 0 END
         ORDER BY l.request_id, l.material_id
        """,
    ),
)

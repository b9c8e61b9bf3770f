-- The audit of accounts.

-- name: audit
select entry_id, created_us, actor, token_id, user_id, address, action, what, details
from audit_entry
where account_id = :account_id {filters}
order by {order}
limit :limit;

-- name: audit_from_us
and created_us >= :from_us;

-- name: audit_to_us
and created_us <= :to_us;

-- name: audit_actor
and actor = :actor;

-- name: audit_action
and action = :action;

-- name: audit_what
and what = :what;

-- name: audit_after_newest_first
and (created_us, entry_id) < (:after_us, :after_id);

-- name: audit_after_oldest_first
and (created_us, entry_id) > (:after_us, :after_id);

-- name: audit_newest_first
created_us desc, entry_id desc;

-- name: audit_oldest_first
created_us, entry_id;

-- name: audit_kept_from
-- The trigger lets nothing be deleted that is not older.
update audit_kept set from_us = :before;

-- name: audit_retire
-- The first ones are the oldest, but for what nodes' clocks differ: none is looked for further on.
delete from audit_entry
where entry_id in (
    select first.entry_id
    from (select entry_id, created_us from audit_entry order by entry_id limit :most) as first
    where first.created_us < :before
);

-- Configurations, and what their changes do to deliveries.

-- name: bump_version
-- Whoever matched the older configurations, or groups, matches again. It waits for accepts that
-- have, and until the commit others wait here.
update account set configurations_version = configurations_version + 1
where account_id = :account_id
returning configurations_version;

-- name: configurations_version
select configurations_version from account where account_id = :account_id;

-- name: configurations
select connect_id, document, sealed
from connect_configuration
where account_id = :account_id and deleted_us is null and ad_hoc is null
order by connect_id;

-- name: configurations_since
-- Those that a later version than the one that is known has made, changed or deleted.
select connect_id, document, sealed, deleted_us is not null as deleted
from connect_configuration
where account_id = :account_id and version > :version and ad_hoc is null
order by connect_id;

-- name: configuration
select connect_id, document, sealed
from connect_configuration
where account_id = :account_id and connect_id = :connect_id and deleted_us is null;

-- name: notifies
-- Whether the account has ad hoc ones.
select exists (
    select 1 from connect_configuration
    where account_id = :account_id and ad_hoc is not null and deleted_us is null
) as notifies;

-- name: notified
select n.envelope_id, c.connect_id, c.document, c.sealed
from envelope_notification as n
inner join connect_configuration as c on n.connect_id = c.connect_id
where
    n.account_id = :account_id and n.envelope_id {among_texts:envelope_ids}
    and c.deleted_us is null
order by n.envelope_id, c.connect_id;

-- name: configuration_reserve
-- The id must be known before the secrets can be sealed for their row.
insert into connect_configuration
(account_id, name, url, publishing, paused, document, created_us, changed_us)
values (:account_id, '', '', false, false, :document, :now, :now)
returning connect_id;

-- name: ad_hoc_known
select connect_id, document, sealed, ad_hoc
from connect_configuration
where account_id = :account_id and ad_hoc {among_digests:digests} and deleted_us is null;

-- name: configuration_write
update connect_configuration
set
    name = :name,
    url = :url,
    publishing = :publishing,
    paused = :paused,
    document = :document,
    sealed = :sealed,
    changed_us = :now
where account_id = :account_id and connect_id = :connect_id and deleted_us is null;

-- name: configuration_delete
update connect_configuration
set deleted_us = :now, publishing = false, sealed = null
where account_id = :account_id and connect_id = :connect_id and deleted_us is null;

-- name: hold_waiting
update delivery set state = 'held', held_reason = :reason
where connect_id = :connect_id and state = 'waiting';

-- name: hold_anew
update delivery set held_reason = :reason
where connect_id = :connect_id and state = 'held' and held_reason <> 'order';

-- name: release_held
-- The schedule is kept; what was due meanwhile is due now.
update delivery
set state = 'waiting', held_reason = null, due_us = {greatest}(coalesce(due_us, :now), :now)
where connect_id = :connect_id and state = 'held' and held_reason <> 'order';

-- name: fail_unfinished
update delivery
set
    state = 'failed',
    held_reason = null,
    due_us = null,
    failed_us = coalesce(failed_us, :now),
    last_try_us = coalesce(last_try_us, :now),
    error = :error,
    phase = :phase,
    what = :what
where
    (connect_id = :connect_id and state = 'waiting')
    or (connect_id = :connect_id and state = 'held');

-- name: failing_clear
delete from failing_configuration where connect_id {among_numbers:connect_ids};

-- name: configuration_changes
select connect_id, created_us, changed_us from connect_configuration
where account_id = :account_id and connect_id {among_numbers:connect_ids};

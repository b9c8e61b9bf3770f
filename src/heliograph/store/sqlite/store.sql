-- The named queries of the SQLite store. A name in braces is filled with another named
-- query of this file, chosen by the listing's filters; values are always bound.

-- name: migrations_table
create table if not exists schema_migration (
    number integer primary key,
    name text not null,
    checksum text not null,
    applied_us integer not null
) strict;

-- name: migrations_applied
select number, name, checksum from schema_migration order by number;

-- name: migration_add
insert into schema_migration (number, name, checksum, applied_us) values (?, ?, ?, ?);

-- name: node
select epoch, boot_id, host, process_id, beat_us, stopped_us from node;

-- name: node_file
select file_id from node;

-- name: node_start
insert into node (only_one, epoch, process_id, boot_id, host, file_id, started_us, beat_us)
values (1, 1, :process_id, :boot_id, :host, :file_id, :now, :now)
on conflict (only_one) do update set
    epoch = epoch + 1,
    process_id = excluded.process_id,
    boot_id = excluded.boot_id,
    host = excluded.host,
    file_id = excluded.file_id,
    started_us = excluded.started_us,
    beat_us = excluded.beat_us,
    stopped_us = null
returning epoch;

-- name: node_renew
update node set beat_us = ? where epoch = ?;

-- name: node_stop
update node set beat_us = :now, stopped_us = :now where epoch = :epoch;

-- name: recover_documents
-- The configurations of attempts that a crash left open: they say whether those are logged.
select connect_id, document
from connect_configuration
where connect_id in (select connect_id from attempt where outcome = 'open');

-- name: recover_attempts
-- A crash leaves attempts open: whether their listeners took them is unknown (R5).
update attempt
set
    outcome = 'unknown',
    error = 'the process ended before the outcome was known',
    logged = connect_id in (select value from json_each(:logged))
where outcome = 'open';

-- name: recover_poison
update delivery
set
    state = 'failed',
    epoch = null,
    unsettled_claims = 0,
    failed_us = coalesce(failed_us, :now),
    last_try_us = :now,
    error = :error
where state = 'in_flight' and unsettled_claims >= :most;

-- name: recover_deliveries
-- A delivery of a configuration that has stopped publishing meanwhile is settled by the
-- same rules as a failed attempt.
update delivery
set
    state = case when c.held is null then 'waiting' else 'held' end,
    held_reason = c.held,
    due_us = :now,
    epoch = null
from connect_configuration as c
where
    delivery.state = 'in_flight'
    and delivery.connect_id = c.connect_id
    and c.deleted_us is null;

-- name: recover_deleted
update delivery
set
    state = 'failed',
    epoch = null,
    failed_us = coalesce(failed_us, :now),
    last_try_us = coalesce(last_try_us, :now),
    error = :error
where state = 'in_flight';

-- name: account_add
insert into account (account_id, external_id, name, created_us) values (?, ?, ?, ?);

-- name: accounts
select account_id, external_id, name from account order by external_id;

-- name: token_add
insert into token (token_hash, account_id, name, role, created_us) values (?, ?, ?, ?, ?);

-- name: principal
select a.account_id, a.external_id, a.name, t.role, t.name
from token as t
inner join account as a on t.account_id = a.account_id
where t.token_hash = ?;

-- name: hmac_key_add
insert into hmac_key (key_id, account_id, sealed, created_us) values (?, ?, ?, ?);

-- name: hmac_key_retire
update hmac_key set retired_us = ? where account_id = ? and key_id = ? and retired_us is null;

-- name: hmac_keys
select key_id, sealed, created_us
from hmac_key
where account_id = ? and retired_us is null
order by created_us, key_id;

-- name: configuration_reserve
-- The id must be known before the secrets can be sealed for their row.
insert into connect_configuration
(account_id, name, url, publishing, paused, document, ad_hoc, created_us, changed_us)
values (:account_id, '', '', 0, 0, x'', :ad_hoc, :now, :now)
returning connect_id;

-- name: configuration_ad_hoc
select connect_id, document, sealed
from connect_configuration
where account_id = :account_id and ad_hoc = :ad_hoc and deleted_us is null;

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
set deleted_us = :now, publishing = 0, sealed = null
where account_id = :account_id and connect_id = :connect_id and deleted_us is null;

-- name: configurations
select connect_id, document, sealed
from connect_configuration
where account_id = ? and deleted_us is null and ad_hoc is null
order by connect_id;

-- name: configuration
select connect_id, document, sealed
from connect_configuration
where account_id = ? and connect_id = ? and deleted_us is null;

-- name: configuration_accounts
select connect_id, account_id from connect_configuration
where connect_id in (select value from json_each(:connect_ids));

-- name: notifies
select exists (
    select 1 from connect_configuration
    where account_id = ? and ad_hoc is not null and deleted_us is null
);

-- name: notified
select n.envelope_id, c.connect_id, c.document, c.sealed
from envelope_notification as n
inner join connect_configuration as c on n.connect_id = c.connect_id
where
    n.account_id = :account_id and n.envelope_id in (select value from json_each(:ids))
    and c.deleted_us is null
order by n.envelope_id, c.connect_id;

-- name: notification_add
insert or ignore into envelope_notification (account_id, envelope_id, connect_id)
values (:account_id, :envelope_id, :connect_id);

-- name: configurations_changed
update account set configurations_version = configurations_version + 1 where account_id = ?;

-- name: configurations_version
select configurations_version from account where account_id = ?;

-- name: hold_waiting
update delivery set state = 'held', held_reason = :reason
where connect_id = :connect_id and state = 'waiting';

-- name: hold_anew
update delivery set held_reason = :reason
where connect_id = :connect_id and state = 'held' and held_reason <> 'order';

-- name: release_held
update delivery set state = 'waiting', held_reason = null, due_us = coalesce(due_us, :now)
where connect_id = :connect_id and state = 'held' and held_reason <> 'order';

-- name: fail_unfinished
update delivery
set
    state = 'failed',
    held_reason = null,
    due_us = null,
    failed_us = coalesce(failed_us, :now),
    last_try_us = coalesce(last_try_us, :now),
    error = :error
where
    (connect_id = :connect_id and state = 'waiting')
    or (connect_id = :connect_id and state = 'held');

-- name: event_add
insert into event (
    account_id, event_id, name, envelope_id, subject, sender_name, sender_email, status,
    deliveries, generated_us, created_us, digest, document
)
values (
    :account_id, :event_id, :name, :envelope_id, :subject, :sender_name, :sender_email,
    :status, :deliveries, :generated_us, :now, :digest, :document
)
on conflict (account_id, event_id) do nothing
returning event_row;

-- name: event_known
select digest, deliveries from event where account_id = ? and event_id = ?;

-- name: envelope_write
insert into envelope (
    account_id, envelope_id, subject, sender_name, sender_email, status, generated_us, event_row
)
values (
    :account_id, :envelope_id, :subject, :sender_name, :sender_email, :status, :generated_us,
    :event_row
)
on conflict (account_id, envelope_id) do update set
    subject = coalesce(excluded.subject, subject),
    sender_name = coalesce(excluded.sender_name, sender_name),
    sender_email = coalesce(excluded.sender_email, sender_email),
    status = coalesce(excluded.status, status),
    generated_us = excluded.generated_us,
    event_row = excluded.event_row
-- An older summary that comes late does not replace a newer one.
where excluded.generated_us >= generated_us;

-- name: envelope
select envelope_id, subject, sender_name, sender_email, status
from envelope
where account_id = ? and envelope_id = ?;

-- name: delivery_add
insert into delivery (
    account_id, event_row, connect_id, envelope_id, lane, state, held_reason, due_us, seed,
    schedule_started_us, created_us
)
values (
    :account_id, :event_row, :connect_id, :envelope_id, :lane, :state, :held_reason, :due, :seed,
    :now, :now
);

-- name: lane_busy
-- Whether a lane has an unfinished delivery.
select 1 from delivery
where
    connect_id = :connect_id and lane = :lane
    and state in ('waiting', 'held', 'in_flight')
limit 1;

-- name: lane_gathers
-- Whether a lane has a message that was never tried, and so will stand for what comes now.
select 1 from delivery
where
    connect_id = :connect_id and lane = :lane and attempts = 0
    and (state = 'waiting' or (state = 'held' and held_reason <> 'order'))
limit 1;

-- name: newest_event
select e.event_id, e.name, e.generated_us, e.document, e.event_row
from envelope as n
inner join event as e on n.event_row = e.event_row
where n.account_id = :account_id and n.envelope_id = :envelope_id;

-- name: delivery_merge
-- What a message stood for beside its own event needs no message any more.
update delivery
set
    state = 'cancelled', held_reason = null, due_us = null, failed_us = null,
    cancelled_by = :merged_into
where
    connect_id = :connect_id and lane = :lane and state in ('waiting', 'held')
    and event_row <= :through;

-- name: lane_release
-- What is now the oldest unfinished delivery of the lane has waited for its turn.
update delivery
set
    state = case when c.held is null then 'waiting' else 'held' end,
    held_reason = c.held,
    due_us = :now
from connect_configuration as c
where
    delivery.connect_id = c.connect_id
    and delivery.state = 'held' and delivery.held_reason = 'order'
    and delivery.delivery_id = (
        select min(d.delivery_id) from delivery as d
        where
            d.connect_id = :connect_id and d.lane = :lane
            and d.state in ('waiting', 'held', 'in_flight')
    );

-- name: lanes_held
-- Lanes that wait for their turn behind nothing: a take-over or park ended their first.
select d.connect_id, d.lane
from delivery as d
where
    d.state = 'held' and d.held_reason = 'order'
    and not exists (
        select 1 from delivery as earlier
        where
            earlier.connect_id = d.connect_id and earlier.lane = d.lane
            and earlier.delivery_id < d.delivery_id
            and earlier.state in ('waiting', 'held', 'in_flight')
    );

-- name: lanes
-- Each configuration with a waiting delivery, and its earliest due time: one index seek
-- each, however long the queues are.
with recursive lane (connect_id) as (
    select min(connect_id) from delivery where state = 'waiting'
    union all
    select
        (
            select min(d.connect_id) from delivery as d
            where d.state = 'waiting' and d.connect_id > lane.connect_id
        )
    from lane
    where lane.connect_id is not null
)

select
    lane.connect_id,
    (
        select min(d.due_us) from delivery as d
        where d.state = 'waiting' and d.connect_id = lane.connect_id
    )
from lane
where lane.connect_id is not null;

-- name: in_flight
select connect_id, count(*) from delivery where state = 'in_flight' group by connect_id;

-- name: due_in_lane
select
    d.delivery_id, d.attempts, d.schedule_attempts, d.schedule_started_us, d.seed,
    e.account_id, e.event_id, e.name, e.envelope_id, e.generated_us, e.document, e.event_row
from delivery as d
inner join event as e on d.event_row = e.event_row
where d.state = 'waiting' and d.connect_id = ? and d.due_us <= ?
order by d.due_us, d.delivery_id
limit ?;

-- name: attempt_open
insert into attempt (
    delivery_id, account_id, connect_id, envelope_id, number, epoch, url, started_us, outcome
)
values (
    :delivery_id, :account_id, :connect_id, :envelope_id, :number, :epoch, :url, :now, 'open'
)
returning attempt_id;

-- name: delivery_claim
update delivery
set
    state = 'in_flight',
    due_us = null,
    epoch = :epoch,
    attempt_id = :attempt_id,
    attempts = attempts + 1,
    schedule_attempts = schedule_attempts + 1,
    unsettled_claims = unsettled_claims + 1
where delivery_id = :delivery_id;

-- name: delivery_park
update delivery
set
    state = 'failed',
    due_us = null,
    failed_us = coalesce(failed_us, :now),
    last_try_us = coalesce(last_try_us, :now),
    error = :error
where delivery_id = :delivery_id and state = 'waiting'
returning lane;

-- name: attempt_close
update attempt
set
    outcome = :outcome,
    logged = :logged,
    started_us = :started_us,
    milliseconds = :milliseconds,
    phase = :phase,
    error = :error,
    answer_status = :answer_status,
    answer_reason = :answer_reason,
    answer_headers = :answer_headers,
    answer_body = :answer_body
where attempt_id = :attempt_id and outcome = 'open';

-- name: delivery_settle
-- Fenced: only the claim that opened this attempt, of this epoch, moves the delivery (R8).
update delivery
set
    state = :state,
    due_us = :due_us,
    held_reason = :held_reason,
    epoch = null,
    unsettled_claims = 0,
    schedule_attempts = schedule_attempts - :uncounted,
    failed_us = case
        when :state = 'delivered' then null
        when :failed then coalesce(failed_us, :now)
        else failed_us
    end,
    last_try_us = :last_try_us,
    error = case when :state = 'delivered' then null else coalesce(:error, error) end
where
    delivery_id = :delivery_id
    and state = 'in_flight'
    and epoch = :epoch
    and attempt_id = :attempt_id
returning lane;

-- name: progress
select delivery_id, state, attempts, error
from delivery
where account_id = :account_id and delivery_id in (select value from json_each(:ids));

-- name: failures
select
    d.created_us, d.delivery_id, d.envelope_id, e.event_id, e.name, e.subject, e.sender_name,
    e.sender_email, e.status, d.connect_id, c.name, c.url, coalesce(d.last_try_us, d.created_us),
    max(d.attempts - 1, 0), d.error, null, d.delivery_id, d.state, d.due_us,
    d.held_reason
from delivery as d
inner join event as e on d.event_row = e.event_row
inner join connect_configuration as c on d.connect_id = c.connect_id
where d.account_id = :account_id and d.failed_us is not null {filters}
order by {order}
limit :limit;

-- name: logs
select
    a.started_us, a.attempt_id, a.envelope_id, e.event_id, e.name, e.subject, e.sender_name,
    e.sender_email, e.status, a.connect_id, c.name, a.url, a.started_us,
    a.number - 1, a.error, a.attempt_id,
    case when d.failed_us is not null then d.delivery_id end, d.state, d.due_us,
    d.held_reason
from attempt as a
inner join delivery as d on a.delivery_id = d.delivery_id
inner join event as e on d.event_row = e.event_row
inner join connect_configuration as c on a.connect_id = c.connect_id
where a.account_id = :account_id and a.logged = 1 {filters}
order by {order}
limit :limit;

-- name: attempt_details
select
    a.started_us, a.attempt_id, a.envelope_id, e.event_id, e.name, e.subject, e.sender_name,
    e.sender_email, e.status, a.connect_id, c.name, a.url, a.started_us,
    a.number - 1, a.error, a.attempt_id,
    case when d.failed_us is not null then d.delivery_id end, d.state, d.due_us,
    d.held_reason, e.generated_us, e.document, a.outcome, a.milliseconds, a.phase, a.answer_status,
    a.answer_reason, a.answer_headers, a.answer_body
from attempt as a
inner join delivery as d on a.delivery_id = d.delivery_id
inner join event as e on d.event_row = e.event_row
inner join connect_configuration as c on a.connect_id = c.connect_id
where a.account_id = :account_id {filters}
order by a.attempt_id;

-- name: only_log
and a.attempt_id = :row_id and a.logged = 1;

-- name: only_failure
and d.delivery_id = :row_id;

-- name: only_attempts
and a.delivery_id = :row_id and a.outcome <> 'open' and d.failed_us is not null;

-- name: failures_from_date
and d.created_us >= :from_us;

-- name: failures_to_date
and d.created_us <= :to_us;

-- name: failures_connect_id
and d.connect_id = :connect_id;

-- name: failures_envelope_id
and d.envelope_id = :envelope_id;

-- name: failures_status
and e.status = :status;

-- name: failures_error
and instr(lower(d.error), :error) > 0;

-- name: failures_after_newest_first
and (d.created_us, d.delivery_id) < (:after_us, :after_id);

-- name: failures_after_oldest_first
and (d.created_us, d.delivery_id) > (:after_us, :after_id);

-- name: failures_newest_first
d.created_us desc, d.delivery_id desc;

-- name: failures_oldest_first
d.created_us, d.delivery_id;

-- name: logs_from_date
and a.started_us >= :from_us;

-- name: logs_to_date
and a.started_us <= :to_us;

-- name: logs_connect_id
and a.connect_id = :connect_id;

-- name: logs_envelope_id
and a.envelope_id = :envelope_id;

-- name: logs_status
and e.status = :status;

-- name: logs_error
and instr(lower(a.error), :error) > 0;

-- name: logs_after_newest_first
and (a.started_us, a.attempt_id) < (:after_us, :after_id);

-- name: logs_after_oldest_first
and (a.started_us, a.attempt_id) > (:after_us, :after_id);

-- name: logs_newest_first
a.started_us desc, a.attempt_id desc;

-- name: logs_oldest_first
a.started_us, a.attempt_id;

-- name: requeue_candidates
-- The open failures of one envelope, with what decides whether they can be tried again.
select
    d.created_us, d.delivery_id, d.envelope_id, d.connect_id, c.url, d.attempts, d.state,
    d.held_reason
from delivery as d
inner join connect_configuration as c on d.connect_id = c.connect_id
where d.account_id = :account_id and d.failed_us is not null and d.envelope_id = :envelope_id
order by d.delivery_id;

-- name: requeue_page
select
    d.created_us, d.delivery_id, d.envelope_id, d.connect_id, c.url, d.attempts, d.state,
    d.held_reason
from delivery as d
inner join event as e on d.event_row = e.event_row
inner join connect_configuration as c on d.connect_id = c.connect_id
where d.account_id = :account_id and d.failed_us is not null {filters}
order by {order}
limit :limit;

-- name: requeue_ended
-- Retries had ended: the schedule begins anew. It has left its lane: what came after it may
-- be gone already, and nothing waits for it again (R6).
update delivery
set
    state = :state,
    held_reason = :held_reason,
    due_us = :now,
    lane = null,
    schedule_attempts = 0,
    schedule_started_us = :now
where delivery_id = :delivery_id and state = 'failed';

-- name: requeue_waiting
update delivery set due_us = min(due_us, :now)
where delivery_id = :delivery_id and state = 'waiting';

-- name: failure_cancel
update delivery
set
    state = 'cancelled', cancelled_by = :who, failed_us = null, due_us = null,
    held_reason = null, epoch = null
where account_id = :account_id and delivery_id = :delivery_id and failed_us is not null
returning connect_id, lane;

-- name: log_delete
update attempt set logged = 0 where account_id = ? and attempt_id = ? and logged = 1;

-- name: logs_delete
update attempt set logged = 0
where
    attempt_id in (
        select attempt_id from attempt where account_id = ? and logged = 1
        order by started_us, attempt_id limit ?
    );

-- name: orphans
select delivery_id, problem from v_audit_orphans;

-- name: statistics
select
    (select count(*) from delivery where state = 'waiting'),
    (select count(*) from delivery where state = 'held'),
    (select count(*) from delivery where state = 'in_flight'),
    (select count(*) from delivery where failed_us is not null),
    (select count(*) from v_audit_live),
    (select count(*) from node where stopped_us is null),
    (
        select count(*) from failing_configuration as f
        inner join connect_configuration as c on f.connect_id = c.connect_id
        where c.publishing = 1 and c.deleted_us is null
    ),
    (select min(due_us) from delivery where state = 'waiting');

-- name: retire_candidates
select delivery_id, event_row, attempts
from delivery
where state in ('delivered', 'cancelled') and created_us < ?
order by created_us, delivery_id
limit ?;

-- name: retire_attempts
delete from attempt where delivery_id in (select value from json_each(:ids));

-- name: retire_deliveries
delete from delivery where delivery_id in (select value from json_each(:ids));

-- name: retire_unwanted
-- Old events that no configuration wanted.
select event_row from event where deliveries = 0 and created_us < ? limit ?;

-- name: retire_envelopes_of
select distinct account_id, envelope_id
from event
where event_row in (select value from json_each(:events));

-- name: retire_events
-- An event stays while a delivery of it does: one that is unfinished, or an open failure.
delete from event
where
    event_row in (select value from json_each(:events))
    and not exists (select 1 from delivery as d where d.event_row = event.event_row);

-- name: retire_recount
-- Of those that stay, the audit counts what is left.
update event
set deliveries = (select count(*) from delivery as d where d.event_row = event.event_row)
where event_row in (select value from json_each(:events));

-- name: retire_envelopes
delete from envelope
where
    (account_id, envelope_id) in (
        select json_extract(value, '$[0]'), json_extract(value, '$[1]')
        from json_each(:envelopes)
    )
    and not exists (
        select 1 from event as e
        where e.account_id = envelope.account_id and e.envelope_id = envelope.envelope_id
    );

-- name: retire_notifications
delete from envelope_notification
where
    (account_id, envelope_id) in (
        select json_extract(value, '$[0]'), json_extract(value, '$[1]')
        from json_each(:envelopes)
    )
    and not exists (
        select 1 from envelope as v
        where
            v.account_id = envelope_notification.account_id
            and v.envelope_id = envelope_notification.envelope_id
    )
returning connect_id;

-- name: retire_ad_hoc
-- Logs still name them; what they wanted is of no use without an envelope.
update connect_configuration
set deleted_us = :now, publishing = 0, document = x'7b7d', sealed = null
where
    connect_id in (select value from json_each(:connect_ids))
    and ad_hoc is not null and deleted_us is null
    and not exists (
        select 1 from envelope_notification as n
        where n.connect_id = connect_configuration.connect_id
    );

-- name: failing_add
insert into failing_configuration (connect_id, since_us)
select value, :now from json_each(:connect_ids) where true
on conflict do nothing;

-- name: failing_clear
delete from failing_configuration
where connect_id in (select value from json_each(:connect_ids));

-- name: failing
select c.account_id, c.connect_id, c.name, f.since_us, f.warned_us is not null
from failing_configuration as f
inner join connect_configuration as c on f.connect_id = c.connect_id
where c.publishing = 1 and c.deleted_us is null
order by f.since_us, c.connect_id;

-- name: failing_warned
update failing_configuration set warned_us = :now where connect_id = :connect_id;

-- name: configuration_publishes
select publishing from connect_configuration where connect_id = ?;

-- name: client_certificate
select certificate, sealed from client_certificate where account_id = :account_id;

-- name: client_certificate_write
insert into client_certificate (account_id, certificate, sealed, created_us)
values (:account_id, :certificate, :sealed, :now)
on conflict (account_id) do update
set certificate = excluded.certificate, sealed = excluded.sealed,
    created_us = excluded.created_us;

-- name: client_certificate_delete
delete from client_certificate where account_id = :account_id;

-- name: connect_oauth
select document, sealed from connect_oauth where account_id = :account_id;

-- name: connect_oauth_add
insert into connect_oauth (account_id, document, sealed, changed_us)
values (:account_id, :document, :sealed, :now)
on conflict (account_id) do nothing;

-- name: connect_oauth_change
update connect_oauth
set document = :document, sealed = :sealed, changed_us = :now
where account_id = :account_id;

-- name: connect_oauth_delete
delete from connect_oauth where account_id = :account_id;

-- name: sealed_hmac_key
select key_id, sealed from hmac_key where sealed is not null order by key_id;

-- name: reseal_hmac_key
update hmac_key set sealed = :sealed where key_id = :id;

-- name: sealed_connect_configuration
select connect_id, sealed from connect_configuration where sealed is not null order by connect_id;

-- name: reseal_connect_configuration
update connect_configuration set sealed = :sealed where connect_id = :id;

-- name: sealed_client_certificate
select account_id, sealed from client_certificate where sealed is not null order by account_id;

-- name: reseal_client_certificate
update client_certificate set sealed = :sealed where account_id = :id;

-- name: sealed_connect_oauth
select account_id, sealed from connect_oauth where sealed is not null order by account_id;

-- name: reseal_connect_oauth
update connect_oauth set sealed = :sealed where account_id = :id;

-- name: hasten
update delivery set due_us = :now
where
    connect_id = :connect_id and account_id = :account_id and state = 'waiting'
    and due_us > :now;

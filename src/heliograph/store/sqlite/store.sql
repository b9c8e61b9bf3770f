-- The queries that only SQLite has, or has in its own way: accept, claim and settle go row by row on
-- the one writer, and retention deletes. What both engines do alike is in store/verbs. Nothing is put
-- in here: values are always bound.

-- name: migrations_table
create table if not exists schema_migration (
    number integer primary key,
    name text not null,
    checksum text not null,
    applied_us integer not null
) strict;

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
    looked_us = null,
    stopped_us = null
returning epoch;

-- name: node_renew
update node set beat_us = :now, looked_us = :looked where epoch = :epoch;

-- name: node_stop
update node set beat_us = :now, stopped_us = :now where epoch = :epoch;

-- name: recover_in_flight
select delivery_id from delivery where state = 'in_flight';

-- name: recover_poison
update delivery
set
    state = 'failed',
    epoch = null,
    unsettled_claims = 0,
    failed_us = coalesce(failed_us, :now),
    last_try_us = :now,
    error = :error,
    phase = :phase,
    what = :what
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
    error = :error,
    phase = :phase,
    what = :what
where state = 'in_flight';

-- name: configuration_accounts
select connect_id, account_id from connect_configuration
where connect_id in (select value from json_each(:connect_ids));

-- name: matched_version
-- What an accept must find as it was matched.
select
    a.configurations_version,
    exists (
        select 1 from connect_configuration as c
        where c.account_id = a.account_id and c.ad_hoc is not null and c.deleted_us is null
    ) as notifies
from account as a
where a.account_id = :account_id;

-- name: held_of_live
-- Why live configurations hold deliveries, if they do.
select connect_id, held from connect_configuration
where connect_id in (select value from json_each(:connect_ids)) and deleted_us is null;

-- name: notification_add
insert or ignore into envelope_notification (account_id, envelope_id, connect_id)
values (:account_id, :envelope_id, :connect_id);

-- name: event_add
insert into event (
    event_row, account_id, event_id, name, envelope_id, subject, sender_name, sender_email, status,
    deliveries, generated_us, created_us, digest, meaning, document
)
values (
    :event_row, :account_id, :event_id, :name, :envelope_id, :subject, :sender_name, :sender_email,
    :status, :deliveries, :generated_us, :now, :digest, :meaning, :document
);

-- name: newest_rows
-- The numbers of the newest event and delivery that are, or were, there.
select name, seq from sqlite_sequence where name in ('event', 'delivery');

-- name: events_known
select e.account_id, e.event_id, e.digest, e.meaning, e.deliveries, e.envelope_id
from json_each(:events) as wanted
cross join event as e
    on
        e.account_id = json_extract(wanted.value, '$[0]')
        and e.event_id = json_extract(wanted.value, '$[1]');

-- name: notified_known
select connect_id from envelope_notification
where account_id = :account_id and envelope_id = :envelope_id;

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

-- name: delivery_add
insert into delivery (
    delivery_id, account_id, event_row, connect_id, envelope_id, lane, state, held_reason, due_us,
    seed, schedule_started_us, created_us, recipient, epoch, attempt_id, claimed_us, attempts,
    schedule_attempts, unsettled_claims
)
values (
    :delivery_id, :account_id, :event_row, :connect_id, :envelope_id, :lane, :state, :held_reason,
    :due_us, :seed, :now, :now, :recipient, :epoch, :attempt_id, :claimed_us, :claims, :claims,
    :claims
);

-- name: delivery_list
-- Apart from the insert: only an update is counted in an incident, and few are listed at once.
update delivery set failed_us = :now, error = :error, phase = :phase, what = :what
where delivery_id = :delivery_id;

-- name: is_due
-- Whether something waits for a configuration that could be claimed.
select 1 from delivery where state = 'waiting' and connect_id = ? and due_us <= ? limit 1;

-- name: down_until
-- Until when listeners are down, behind which what comes now must wait.
select connect_id, down_until_us from failing_configuration
where
    connect_id in (select value from json_each(:connect_ids)) and down_until_us is not null;

-- name: lane_busy
-- Whether a lane has an unfinished delivery.
select 1 from delivery
where
    connect_id = ? and lane = ?
    and state in ('waiting', 'held', 'in_flight')
limit 1;

-- name: lane_gathers
-- Whether a lane has a message that was never tried, and so will stand for what comes now.
select 1 from delivery
where
    connect_id = ? and lane = ? and attempts = 0
    and (state = 'waiting' or (state = 'held' and held_reason <> 'order'))
limit 1;

-- name: newest_event
select
    e.event_id, e.name, e.envelope_id, e.generated_us, e.event_row, length(e.document) as bytes,
    case when length(e.document) <= :light then e.document end as document
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
-- What is now the oldest unfinished delivery of the lane has waited for its turn. Not asked of a lane
-- that is not busy: an update costs ten times what a look does, also where it changes nothing.
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

-- name: waiting_configurations
-- Each configuration with a waiting delivery, and its earliest due time: one index seek
-- each, however long the queues are.
with recursive waiting (connect_id) as (
    select min(connect_id) from delivery where state = 'waiting'
    union all
    select
        (
            select min(d.connect_id) from delivery as d
            where d.state = 'waiting' and d.connect_id > waiting.connect_id
        )
    from waiting
    where waiting.connect_id is not null
)

select
    waiting.connect_id,
    (
        select min(d.due_us) from delivery as d
        where d.state = 'waiting' and d.connect_id = waiting.connect_id
    ) as due_us
from waiting
where waiting.connect_id is not null;

-- name: in_flight
select connect_id, count(*) from delivery where state = 'in_flight' group by connect_id;

-- name: event_document
select document from event where event_row = ?;

-- name: due_of_configuration
-- What is heavy of them is read when it is taken, and where no other claim has it.
select
    d.delivery_id, d.attempts, d.schedule_attempts, d.schedule_started_us, d.seed, d.resent_by,
    d.job_id, d.recipient, e.account_id, e.event_id, e.name, e.envelope_id, e.generated_us, e.event_row,
    length(e.document) as bytes,
    case when length(e.document) <= ? then e.document end as document
from delivery as d
inner join event as e on d.event_row = e.event_row
where d.state = 'waiting' and d.connect_id = ? and d.due_us <= ?
order by d.due_us, d.delivery_id
limit ?;

-- name: delivery_claim
update delivery
set
    state = 'in_flight',
    due_us = null,
    epoch = :epoch,
    attempt_id = :attempt_id,
    claimed_us = :claimed_us,
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
    error = :error,
    phase = :phase,
    what = :what
where delivery_id = :delivery_id and state = 'waiting'
returning lane;

-- name: delivery_arrive
-- As `delivery_settle`, of what was no failure: it sets nothing that an incident counts, which costs a
-- look even where there is nothing to count.
update delivery
set
    state = 'delivered',
    due_us = null,
    held_reason = null,
    epoch = null,
    unsettled_claims = 0,
    last_try_us = :last_try_us
where
    delivery_id = :delivery_id
    and state = 'in_flight'
    and epoch = :epoch
    and attempt_id = :attempt_id
    and failed_us is null
returning attempt_id, lane;

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
    error = case when :state = 'delivered' then null else coalesce(:error, error) end,
    phase = case
        when :state = 'delivered' then null
        when :error is null then phase
        else :phase
    end,
    what = case
        when :state = 'delivered' then null
        when :error is null then what
        else :what
    end
where
    delivery_id = :delivery_id
    and state = 'in_flight'
    and epoch = :epoch
    and attempt_id = :attempt_id
returning attempt_id, lane;

-- name: attempt_last
-- The newest attempt that has, or had, a row; what is claimed later is numbered from there.
select seq from sqlite_sequence where name = 'attempt';

-- name: attempt_add
insert into attempt (
    attempt_id, delivery_id, account_id, connect_id, envelope_id, number, epoch, url, started_us,
    outcome, logged, milliseconds, phase, error, answer_status, answer_reason, answer_headers,
    answer_body, resent_by
)
values (
    :attempt_id, :delivery_id, :account_id, :connect_id, :envelope_id, :number, :epoch, :url,
    :started_us, :outcome, :logged, :milliseconds, :phase, :error, :answer_status, :answer_reason,
    :answer_headers, :answer_body, :resent_by
);

-- name: attempt_close_late
-- What the deletion of a failure in flight had to leave unknown is known after all. What an earlier
-- epoch left changes no more (R8).
update attempt
set
    outcome = :outcome,
    logged = :logged,
    milliseconds = :milliseconds,
    phase = :phase,
    error = :error,
    answer_status = :answer_status,
    answer_reason = :answer_reason,
    answer_headers = :answer_headers,
    answer_body = :answer_body
where
    attempt_id = :attempt_id and outcome = 'unknown'
    and epoch = (select n.epoch from node as n where n.stopped_us is null);

-- name: documents_of_deliveries
-- The configurations of deliveries: they say whether attempts are logged.
select connect_id, document
from connect_configuration
where
    connect_id in (
        select d.connect_id from delivery as d
        where d.delivery_id in (select value from json_each(:delivery_ids))
    );

-- name: attempts_unknown
-- Deliveries are in flight, and nobody will tell what came of it: whether their listeners took them is
-- unknown (R5).
insert into attempt (
    attempt_id, delivery_id, account_id, connect_id, envelope_id, number, epoch, url, started_us,
    outcome, logged, error, resent_by
)
select
    d.attempt_id, d.delivery_id, d.account_id, d.connect_id, d.envelope_id, d.attempts, d.epoch,
    c.url, d.claimed_us, 'unknown', d.connect_id in (select value from json_each(:logged)), :error,
    d.resent_by
from delivery as d
inner join connect_configuration as c on d.connect_id = c.connect_id
where d.delivery_id in (select value from json_each(:delivery_ids));

-- name: requeue_candidates
-- Open failures of some envelopes, with what decides whether they can be tried again.
select
    d.created_us, d.delivery_id, d.envelope_id, d.connect_id, c.url, d.attempts, d.state,
    d.held_reason
from delivery as d
inner join connect_configuration as c on d.connect_id = c.connect_id
where
    d.account_id = :account_id and d.failed_us is not null and d.delivery_id > :after
    and d.envelope_id in (select value from json_each(:envelope_ids))
order by d.delivery_id
limit :most;

-- name: requeue_chosen
-- Those of these failures that are still open. The ids lead there: an index of the account's failures
-- would be read whole.
select
    d.created_us, d.delivery_id, d.envelope_id, d.connect_id, c.url, d.attempts, d.state,
    d.held_reason
from delivery as d
inner join connect_configuration as c on d.connect_id = c.connect_id
where
    d.account_id || '' = :account_id and d.failed_us is not null
    and d.delivery_id in (select value from json_each(:ids))
order by d.created_us, d.delivery_id;

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
    schedule_started_us = :now,
    job_id = null
where delivery_id = :delivery_id and state = 'failed';

-- name: requeue_waiting
update delivery set due_us = min(due_us, :now)
where delivery_id = :delivery_id and state = 'waiting';

-- name: failures_in_flight
-- As above, by their ids.
select delivery_id from delivery
where
    account_id || '' = :account_id and delivery_id in (select value from json_each(:ids))
    and failed_us is not null and state = 'in_flight';

-- name: failure_cancel
update delivery
set
    state = 'cancelled', cancelled_by = :who, failed_us = null, due_us = null,
    held_reason = null, epoch = null
where account_id = :account_id and delivery_id = :delivery_id and failed_us is not null
returning connect_id, lane;

-- name: retire_candidates
-- By account and state, as the index has it.
select delivery_id, event_row, attempts
from delivery
where
    account_id in (select account_id from account)
    and state in ('delivered', 'cancelled') and state <> 'in_flight' and created_us < ?
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
    );

-- name: unnamed_ad_hoc
-- Those that no envelope, publish or delivery names, and so no log.
select c.connect_id
from connect_configuration as c
where
    c.ad_hoc is not null and c.created_us < ?
    and not exists (select 1 from envelope_notification as n where n.connect_id = c.connect_id)
    and not exists (select 1 from publish_transaction as t where t.connect_id = c.connect_id)
    and not exists (select 1 from delivery as d where d.connect_id = c.connect_id)
limit ?;

-- name: retire_ad_hoc
delete from connect_configuration
where connect_id in (select value from json_each(:connect_ids));

-- name: failing_add
insert into failing_configuration (connect_id, since_us)
select value, :now from json_each(:connect_ids) where true
on conflict do nothing;

-- name: retire_publishes
-- Failures keep theirs: they can be republished.
delete from publish_transaction
where
    created_us < :before
    and not exists (
        select 1 from delivery as d
        where d.connect_id = publish_transaction.connect_id
    );

-- Logs, failures, and how far deliveries are.

-- name: envelope
select envelope_id, subject, sender_name, sender_email, status
from envelope
where account_id = :account_id and envelope_id = :envelope_id;

-- name: progress
select delivery_id, state, attempts, error
from delivery
where account_id = :account_id and delivery_id {among_numbers:ids};

-- name: failures
-- Its columns have the names of `log_columns`.
select
    d.created_us, d.delivery_id as row_id, d.envelope_id, e.event_id, e.name as event_name,
    e.subject, e.sender_name, e.sender_email, e.status, d.connect_id, c.name as config_name,
    c.url as config_url, coalesce(d.last_try_us, d.created_us) as last_try_us,
    {greatest}(d.attempts - 1, 0) as retry_count, d.error,
    (
        select a.attempt_id from attempt as a
        where a.delivery_id = d.delivery_id and {logged} {attempts_of_failure}
        order by a.attempt_id desc
        limit 1
    ) as log_id,
    d.delivery_id as failure_id, d.state, d.due_us, d.held_reason, 1 as of_failure, d.resent_by
from {failures_then_events}
inner join connect_configuration as c on d.connect_id = c.connect_id
where d.account_id = :account_id and d.failed_us is not null {filters}
order by {order}
limit :limit;

-- name: failures_chosen
select
    d.connect_id, c.name as config_name, c.url as config_url, count(*) as number,
    min(d.created_us) as oldest_us, max(d.created_us) as newest_us
from delivery as d
inner join event as e on {event_of:d}
inner join connect_configuration as c on d.connect_id = c.connect_id
where d.account_id = :account_id and d.failed_us is not null {filters}
group by d.connect_id, c.name, c.url
order by d.connect_id;

-- name: logs_chosen
select
    a.connect_id, c.name as config_name, c.url as config_url, count(*) as number,
    min(a.started_us) as oldest_us, max(a.started_us) as newest_us
from {log_tables}
where a.account_id = :account_id and {logged} {filters}
group by a.connect_id, c.name, c.url
order by a.connect_id;

-- name: delivered_page
-- Which of what was delivered a call means. Whether it can still be sent is asked where that is done.
select {delivered_columns}
from {delivered_then_events}
inner join connect_configuration as c on d.connect_id = c.connect_id
where d.account_id = :account_id and d.state = 'delivered' {filters}
order by {order}
limit :limit;

-- name: delivered_page_of_envelopes
-- The same where envelopes are given: it begins with their events.
select {delivered_columns}
from {delivered} as d
inner join event as e on {event_of:d}
inner join connect_configuration as c on d.connect_id = c.connect_id
where d.account_id = :account_id and d.state = 'delivered' {filters}
order by {order}
limit :limit;

-- name: delivered_columns
d.created_us, d.delivery_id, d.envelope_id, d.connect_id, c.url as config_url, d.attempts;

-- name: delivered_in_order
d.delivery_id;

-- name: delivered_after
and d.delivery_id > :after_id;

-- name: delivered_of_envelopes
-- Both engines have an index of their events by this.
and e.account_id = :account_id and e.envelope_id {among_texts:envelope_ids};

-- name: delivered_chosen
select
    d.connect_id, c.name as config_name, c.url as config_url, count(*) as number,
    min(d.created_us) as oldest_us, max(d.created_us) as newest_us
from {delivered} as d
inner join event as e on {event_of:d}
inner join connect_configuration as c on d.connect_id = c.connect_id
where d.account_id = :account_id and d.state = 'delivered' {filters}
group by d.connect_id, c.name, c.url
order by d.connect_id;

-- name: delivery_of_log
select
    e.created_us, a.delivery_id, a.envelope_id, a.connect_id,
    a.url as config_url, a.number as attempts
from {log_tables}
where a.account_id = :account_id and a.attempt_id = :log_id and {logged};

-- name: configurations_kept
-- Until the commit what they say of holding stays so.
select connect_id, deleted_us is not null as deleted from connect_configuration
where account_id = :account_id and connect_id {among_numbers:connect_ids}
order by connect_id
{for_share_of:connect_configuration};

-- name: log_columns
a.started_us as created_us, a.attempt_id as row_id, a.envelope_id, e.event_id,
e.name as event_name, e.subject, e.sender_name, e.sender_email, e.status, a.connect_id,
c.name as config_name, a.url as config_url, a.started_us as last_try_us,
a.number - 1 as retry_count, a.error, a.attempt_id as log_id,
case when d.failed_us is not null then d.delivery_id end as failure_id,
{log_state} as state, d.due_us, d.held_reason, 0 as of_failure, a.resent_by;

-- name: logs
select {log_columns}
from {logs_then_events}
where a.account_id = :account_id and {logged} {filters}
order by {order}
limit :limit;

-- name: attempt_details
select
    {log_columns},
    {log_recipient} as recipient, e.generated_us, e.document, a.outcome, a.milliseconds, a.phase, a.answer_status,
    a.answer_reason, a.answer_headers, a.answer_body
from {log_tables}
where a.account_id = :account_id {filters}
order by a.attempt_id;

-- name: only_log
and a.attempt_id = :row_id and {logged};

-- name: only_attempts
and a.delivery_id = :row_id and d.failed_us is not null;

-- name: only_failure
and d.delivery_id = :row_id;

-- name: log_delete
update attempt as a set logged = false
where a.account_id = :account_id and a.attempt_id = :log_id and {logged};

-- name: orphans
select delivery_id, problem from v_audit_orphans;

-- name: statistics
select
    (select count(*) from delivery where state = 'waiting') as waiting,
    (select count(*) from delivery where state = 'held') as held,
    (select count(*) from delivery where state = 'in_flight') as in_flight,
    -- What is listed while it waits for its first try has not failed.
    (
        select count(*) from delivery
        where failed_us is not null and (attempts > 0 or state = 'failed')
    ) as failures,
    (select count(*) from v_audit_live) as orphans,
    (select count(*) from node where stopped_us is null {and_alive}) as nodes,
    (
        select count(*) from failing_configuration as f
        inner join connect_configuration as c on f.connect_id = c.connect_id
        where c.publishing and c.deleted_us is null
    ) as failing,
    (select count(*) from incident where closed_us is null) as incidents,
    (select min(due_us) from delivery where state = 'waiting') as due_us,
    (
        select max(coalesce(looked_us, started_us)) from node where stopped_us is null {and_alive}
    ) as looked_us,
    {oldest_snapshot} as oldest_snapshot,
    {database_bytes} as database_bytes;

-- name: attendance
-- What tells whether somebody looks for what is due (R21).
select
    (select min(due_us) from delivery where state = 'waiting') as due_us,
    (
        select max(coalesce(looked_us, started_us)) from node where stopped_us is null {and_alive}
    ) as looked_us;

-- name: failing
select c.account_id, c.connect_id, c.name, f.since_us, f.warned_us is not null as warned
from failing_configuration as f
inner join connect_configuration as c on f.connect_id = c.connect_id
where c.publishing and c.deleted_us is null
order by f.since_us, c.connect_id;

-- name: failing_warned
update failing_configuration set warned_us = :now where connect_id = :connect_id;

-- name: hasten
update delivery set due_us = :now
where
    connect_id = :connect_id and account_id = :account_id and state = 'waiting'
    and due_us > :now;

-- name: down
-- Of a listener that has taken a message meanwhile there is no row.
update failing_configuration set down_until_us = :until
where
    connect_id in (
        select c.connect_id from connect_configuration as c
        where c.connect_id = :connect_id and c.account_id = :account_id
    );

-- name: queue_behind
-- What waits for a listener that is down is tried with what has failed, in the order of acceptance.
update delivery set
    due_us = :until,
    failed_us = coalesce(failed_us, :now),
    error = coalesce(error, :error),
    phase = case when error is null then :phase else phase end,
    what = case when error is null then :what else what end
where
    delivery_id in (
        select delivery_id from delivery
        where
            connect_id = :connect_id and account_id = :account_id and state = 'waiting'
            and due_us < :until
        order by due_us, delivery_id
        limit :most
    );

-- name: list_held
-- What waits for a person, or for what waits for one, is listed with the reason.
update delivery set
    failed_us = :now,
    error = coalesce(error, :error),
    phase = case when error is null then :phase else phase end,
    what = case when error is null then :what else what end
where
    connect_id = :connect_id and account_id = :account_id and state = 'held'
    and failed_us is null;

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
and {strpos}(lower(d.error), lower(:error)) > 0;

-- name: failures_phase
and d.phase = :phase;

-- name: failures_cause
and d.phase = :cause_phase and d.what = :cause_what;

-- name: failures_status_alone
-- The same where events are not joined.
and (select e.status from event as e where {event_of:d}) = :status;

-- name: failures_texts
-- The different texts of errors of open failures that hold a text, or may as their end is not known,
-- with the place of each among all; the last place that is looked at is told in any case.
with recursive walked (text, place) as (
    select
        (
            select min({error_key}) from delivery as d
            where d.account_id = :account_id and d.failed_us is not null
        ),
        1
    union all
    select
        (
            select min({error_key}) from delivery as d
            where
                d.account_id = :account_id and d.failed_us is not null
                and {error_key} > walked.text
        ),
        walked.place + 1
    from walked
    where walked.text is not null and walked.place < :most_texts
)

select text, place
from walked
where
    text is not null
    and ({strpos}(lower(text), lower(:error)) > 0 or length(text) = 500 or place = :most_texts);

-- name: failures_of_texts
and {error_key} {among_texts:texts};

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
and {strpos}(lower(a.error), lower(:error)) > 0;

-- name: logs_after_newest_first
and (a.started_us, a.attempt_id) < (:after_us, :after_id);

-- name: logs_after_oldest_first
and (a.started_us, a.attempt_id) > (:after_us, :after_id);

-- name: logs_newest_first
a.started_us desc, a.attempt_id desc;

-- name: logs_oldest_first
a.started_us, a.attempt_id;

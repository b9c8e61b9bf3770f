-- What the queries of store/verbs/*.sql are filled with on SQLite, and those that it says in its own
-- way. There `{name}` stands for the query of that name, and `{name:it}` for it with what follows the
-- colon in the place of its `<it>`. So `where user_id {among_texts:user_ids}` becomes here
-- `where user_id in (select value from json_each(:user_ids))`.

-- name: among_texts
-- A list is bound as a JSON array.
in (select value from json_each(:<it>));

-- name: among_digests
-- JSON has no bytes: they are bound in hexadecimal.
in (select unhex(value) from json_each(:<it>));

-- name: among_numbers
in (select value from json_each(:<it>));

-- name: like
-- It takes A to Z for a to z, and other letters as they are.
like;

-- name: for_share_of
-- There is one writer (R20): what a verb has read stays so until its commit.
;

-- name: for_update_of
-- See for_share_of.
;

-- name: skip_locked
;

-- name: grant_locked
-- See for_share_of.
select 1 as locked;

-- name: users_add
-- Those that are taken are not among the answer.
insert into account_user (
    user_id, account_id, email, name, given_name, family_name, role, status, created_us, changed_us
)
select
    value ->> 'user_id', :account_id, value ->> 'email', value ->> 'name', value ->> 'given_name',
    value ->> 'family_name', value ->> 'role', 'active', :now, :now
from json_each(:users)
where true
on conflict do nothing
returning user_id;

-- name: ad_hoc_add
-- Those that are there already are not among the answer. No version is raised: only the envelopes
-- that name them see them.
insert into connect_configuration
(account_id, name, url, publishing, paused, document, ad_hoc, created_us, changed_us)
select
    :account_id, value ->> 'name', value ->> 'url', value ->> 'publishing', value ->> 'paused',
    cast(value ->> 'document' as blob), unhex(value ->> 'digest'), :now, :now
from json_each(:wanted)
where true
on conflict do nothing
returning connect_id, ad_hoc;

-- name: audit_add
insert into audit_entry
(account_id, created_us, actor, token_id, user_id, address, action, what, details)
select
    :account_id, :now, :actor, :token_id, :user_id, :address, :action, value ->> 'what',
    value ->> 'details'
from json_each(:changes);

-- name: greatest
max;

-- name: strpos
instr;

-- name: and_alive
;

-- name: oldest_snapshot
0.0;

-- name: database_bytes
-- The file says it.
0;

-- name: delivered
delivery;

-- name: delivered_then_events
{failures_then_events};

-- name: delivered_until
-- By what was sent then: nobody tells when it had come to its end.
and d.last_try_us <= :frozen;

-- name: delivered_again
-- It has left its lane, as what is tried again after its retries had ended (R6).
update delivery
set
    state = case when c.held is null then 'waiting' else 'held' end,
    held_reason = c.held,
    due_us = :now,
    lane = null,
    schedule_attempts = 0,
    schedule_started_us = :now,
    resent_by = :who,
    job_id = :job_id
from connect_configuration as c
where
    delivery.connect_id = c.connect_id and c.deleted_us is null
    and delivery.account_id = :account_id and delivery.state = 'delivered'
    and delivery.delivery_id in (select value from json_each(:ids))
    and delivery.created_us in (select value from json_each(:created))
returning delivery_id, state, held_reason;

-- name: attempts_of_failure
;

-- name: event_of
<it>.event_row = e.event_row;

-- name: failures_then_events
delivery as d
inner join event as e on {event_of:d};

-- name: logged
-- As the partial index has it.
a.logged = 1;

-- name: log_tables
attempt as a
inner join delivery as d on a.delivery_id = d.delivery_id
inner join event as e on d.event_row = e.event_row
inner join connect_configuration as c on a.connect_id = c.connect_id;

-- name: requeue_page
select
    d.created_us, d.delivery_id, d.envelope_id, d.connect_id, c.url, d.attempts, d.state,
    d.held_reason
from {failures_then_events}
inner join connect_configuration as c on d.connect_id = c.connect_id
where d.account_id = :account_id and d.failed_us is not null {filters}
order by {order}
limit :limit;

-- name: error_key
-- As the index has it.
substr(d.error, 1, 500);

-- name: failures_of_each_text
-- The first failures of each text, which are in the order of the index; among them are the first of all.
-- With the times they are found by an index of all failures, which would else be read whole; between
-- two dates the planner would take that index for the better one within, too.
and (d.created_us, d.delivery_id) in (
    select one.created_us, one.delivery_id
    from json_each(:texts) as wanted
    cross join delivery as one
    where
        one.delivery_id in (
            select d.delivery_id
            from delivery as d indexed by failure_by_error
            where
                d.account_id = :account_id and d.failed_us is not null
                and {error_key} = wanted.value {within}
            order by {order}
            limit :limit
        )
);

-- name: logs_then_events
{log_tables};

-- name: log_state
d.state;

-- name: log_recipient
d.recipient;

-- name: logs_delete
update attempt set logged = 0
where
    attempt_id in (
        select a.attempt_id from attempt as a where a.account_id = :account_id and {logged}
        order by a.started_us, a.attempt_id limit :most
    );

-- name: publish_deliver
-- The newest event of each envelope that is known; its place in listings is the event's. The
-- audit compares each event's count with its deliveries. A cross join keeps its order here: the list
-- would else be read once for each envelope of the account.
update event set deliveries = deliveries + 1
where
    event_row in (
        select v.event_row
        from json_each(:envelope_ids) as wanted
        cross join envelope as v
            on v.account_id = :account_id and v.envelope_id = wanted.value
    );

insert into delivery (
    account_id, event_row, connect_id, envelope_id, lane, state, held_reason, due_us, seed,
    schedule_started_us, created_us
)
select
    :account_id, e.event_row, :connect_id, e.envelope_id, null, :state, :held_reason, :now,
    abs(random()) % 2147483648, :now, e.created_us
from json_each(:envelope_ids) as wanted
cross join envelope as v
    on v.account_id = :account_id and v.envelope_id = wanted.value
inner join event as e on v.event_row = e.event_row
order by wanted.key
returning event_row;

-- name: publish_cancel_unsent
update delivery
set
    state = 'cancelled', cancelled_by = :who, failed_us = null, due_us = null,
    held_reason = null
where connect_id = :connect_id and state in ('waiting', 'held');

-- name: clock_leap_nodes
-- There is one node, and it has no lease.
select :gain as gain;

-- name: event_of_id
event as e;

-- name: events_then_deliveries
-- A cross join keeps its order here.
event as e
cross join delivery as d on e.event_row = d.event_row
cross join connect_configuration as c on d.connect_id = c.connect_id;

-- name: deliveries_then_events
delivery as d
cross join event as e on d.event_row = e.event_row
cross join connect_configuration as c on d.connect_id = c.connect_id;

-- name: last_try_of_delivery
d.last_try_us;

-- name: deliveries_event_id
and e.event_id = :event_id;

-- name: incident_failures
i.failures;

-- name: incidents_turn
-- There is one node.
select true as mine;

-- name: incidents_fold
-- Its row is counted up where that is done: there is one writer.
select 0 as folded;

-- name: backlog_due
-- Without statistics the planner takes the index of all that a configuration ever had.
delivery as d indexed by delivery_due;

-- name: backlog_held
delivery as d indexed by delivery_held;

-- name: backlog_in_flight
delivery as d indexed by delivery_in_flight;

-- name: tail_logs_end
-- One writes, and begins posts in the order of the log: the newest row that there is is the end.
select started_us as until_us, attempt_id as until_id
from attempt
where account_id = :account_id and logged = 1
order by started_us desc, attempt_id desc
limit 1;

-- name: tail_events_end
select created_us as until_us, event_row as until_id
from event
where account_id = :account_id
order by created_us desc, event_row desc
limit 1;

-- name: accepted_as
select 1 from event where event.account_id = <it>.account_id and event.event_id = <it>.event_id;

-- name: cache_release
-- What a large message has brought into the connection's cache would stay there.
pragma shrink_memory;

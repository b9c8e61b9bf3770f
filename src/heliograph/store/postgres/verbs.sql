-- What the queries of store/verbs/*.sql are filled with on PostgreSQL, and those that it says in its
-- own way. There `{name}` stands for the query of that name, and `{name:it}` for it with what follows
-- the colon in the place of its `<it>`. So `where user_id {among_texts:user_ids}` becomes here
-- `where user_id = any(:user_ids::text[])`, and psycopg is given `%(user_ids)s` for `:user_ids`.

-- name: among_texts
= any(:<it>::text[]);

-- name: among_digests
-- They are bound in hexadecimal, as for SQLite.
= any(array(select decode(digest, 'hex') from unnest(:<it>::text[]) as digest));

-- name: among_numbers
= any(:<it>::bigint[]);

-- name: like
-- It takes capitals for small letters by the locale of the database.
ilike;

-- name: for_share_of
for share of <it>;

-- name: for_update_of
for update of <it>;

-- name: skip_locked
for update skip locked;

-- name: grant_locked
-- Nobody else adds a token to it meanwhile. There may be no row yet to lock.
select pg_advisory_xact_lock(hashtextextended(:grant_id::text, 0)) as locked;

-- name: users_add
-- Those that are taken are not among the answer.
insert into account_user (
    user_id, account_id, email, name, given_name, family_name, role, status, created_us, changed_us
)
select
    user_id, :account_id::text, email, name, given_name, family_name, role, 'active', :now::bigint,
    :now::bigint
from json_to_recordset(:users::json) as new (
    user_id text, email text, name text, given_name text, family_name text, role text
)
on conflict do nothing
returning user_id;

-- name: ad_hoc_add
-- Those that are there already are not among the answer. No version is raised: only the envelopes
-- that name them see them.
insert into connect_configuration
(account_id, name, url, publishing, paused, document, ad_hoc, created_us, changed_us)
select
    :account_id::text, name, url, publishing, paused, convert_to(document, 'UTF8'),
    decode(digest, 'hex'), :now::bigint, :now::bigint
from json_to_recordset(:wanted::json) as new (
    digest text, name text, url text, publishing boolean, paused boolean, document text
)
on conflict do nothing
returning connect_id, ad_hoc;

-- name: audit_add
insert into audit_entry
(account_id, created_us, actor, token_id, user_id, address, action, what, details)
select
    :account_id::text, :now::bigint, :actor::text, :token_id::text, :user_id::text,
    :address::text, :action::text, what, details
from json_to_recordset(:changes::json) as new (what text, details text);

-- name: greatest
greatest;

-- name: strpos
strpos;

-- name: and_alive
and lease_until_us > :now;

-- name: oldest_snapshot
(
    select coalesce(extract(epoch from max(clock_timestamp() - xact_start)), 0)::float8
    from pg_stat_activity
    where datname = current_database() and backend_xmin is not null
);

-- name: database_bytes
pg_database_size(current_database());

-- name: delivered
delivery_ended;

-- name: delivered_then_events
-- As `failures_then_events`.
delivery_ended as d
cross join lateral (
    select * from event as one
    where one.event_row = d.event_row and one.created_us = d.created_us
    offset 0
) as e;

-- name: delivered_until
and d.ended_us <= :frozen;

-- name: delivered_again
-- From the history to the queue, while its event is there. It has left its lane, as what is tried
-- again after its retries had ended (R6). The times name the partitions.
with back as (
    delete from delivery_ended as x
    using connect_configuration as c
    where
        x.delivery_id = any(:ids::bigint[]) and x.created_us = any(:created::bigint[])
        and x.account_id = :account_id and x.state = 'delivered'
        and c.connect_id = x.connect_id and c.deleted_us is null
        and exists (
            select from event as e
            where
                e.event_row = x.event_row and e.created_us = x.created_us
                and e.created_us = any(:created::bigint[])
        )
    returning x.*, c.held
)

insert into delivery (
    delivery_id, created_us, event_row, account_id, connect_id, envelope_id, lane, state,
    held_reason, due_us, attempt_id, seed, attempts, schedule_started_us, resent_by, recipient, job_id
)
select
    delivery_id, created_us, event_row, account_id, connect_id, envelope_id, null,
    case when held is null then 'waiting' else 'held' end, held, :now::bigint, attempt_id,
    floor(random() * 2147483647)::integer, attempts, :now::bigint, :who::text, recipient,
    :job_id::bigint
from back
returning delivery_id, state, held_reason;

-- name: attempts_of_failure
-- The time spares looking into the days before its event; nodes' clocks differ by less than one.
and a.started_us >= d.created_us - 86400000000;

-- name: event_of
-- The time names the partition.
<it>.event_row = e.event_row and <it>.created_us = e.created_us;

-- name: failures_then_events
-- An event is looked up for each failure of a page: the planner takes two columns of a key for
-- independent, so the join for one of few rows, and joined and sorted all failures. `offset 0` keeps it.
delivery as d
cross join lateral (
    select * from event as one
    where one.event_row = d.event_row and one.created_us = d.created_us
    offset 0
) as e;

-- name: logged
a.logged;

-- name: log_tables
-- A delivery that has ended leaves the queue.
attempt as a
inner join event as e on a.event_row = e.event_row and a.created_us = e.created_us
inner join connect_configuration as c on a.connect_id = c.connect_id
left join delivery as d on a.delivery_id = d.delivery_id
left join delivery_ended as x on a.delivery_id = x.delivery_id and a.created_us = x.created_us;

-- name: requeue_page
select
    d.created_us, d.delivery_id, d.envelope_id, d.connect_id, c.url, d.attempts, d.state,
    d.held_reason, c.held, c.deleted_us is not null as deleted
from {failures_then_events}
inner join connect_configuration as c on d.connect_id = c.connect_id
where d.account_id = :account_id and d.failed_us is not null {filters}
order by {order}
limit :limit
for update of d for share of c;

-- name: error_key
-- As the index has it.
left(d.error, 500);

-- name: failures_of_each_text
-- The first failures of each text, which are in the order of the index; among them are the first of
-- all. As an array they lead to the rows: of a join the planner may think otherwise.
and d.delivery_id = any(array(
    select one.delivery_id
    from unnest(:texts::text[]) as wanted (value)
    cross join lateral (
        select d.delivery_id
        from delivery as d
        where
            d.account_id = :account_id and d.failed_us is not null
            and {error_key} = wanted.value {within}
        order by {order}
        limit :limit
    ) as one
));

-- name: logs_then_events
-- As `failures_then_events`.
attempt as a
cross join lateral (
    select * from event as one
    where one.event_row = a.event_row and one.created_us = a.created_us
    offset 0
) as e
inner join connect_configuration as c on a.connect_id = c.connect_id
left join delivery as d on a.delivery_id = d.delivery_id
left join lateral (
    select * from delivery_ended as one
    where one.delivery_id = a.delivery_id and one.created_us = a.created_us
    offset 0
) as x on true;

-- name: log_state
coalesce(d.state, x.state);

-- name: log_recipient
coalesce(d.recipient, x.recipient);

-- name: logs_delete
-- The time names the partition.
update attempt as a set logged = false
from (
    select attempt_id, started_us from attempt
    where account_id = :account_id and logged
    order by started_us, attempt_id
    limit :most
) as oldest
where a.attempt_id = oldest.attempt_id and a.started_us = oldest.started_us;

-- name: progress
-- A delivery that has ended leaves the queue.
select d.delivery_id, d.state, d.attempts, d.error
from delivery as d
where d.account_id = :account_id and d.delivery_id = any(:ids)
union all
select x.delivery_id, x.state, x.attempts, null
from delivery_ended as x
where x.account_id = :account_id and x.delivery_id = any(:ids);

-- name: publish_deliver
-- The newest event of each envelope that is known; its place in listings is the event's. The
-- audit compares each event's count with its deliveries.
with picked as (
    select wanted.place, v.envelope_id, e.event_row, e.created_us, e.event_id
    from unnest(:envelope_ids::text[]) with ordinality as wanted (envelope_id, place)
    inner join envelope as v
        on v.account_id = :account_id and v.envelope_id = wanted.envelope_id
    cross join lateral (
        select one.event_row, one.created_us, one.event_id from event as one
        where one.event_row = v.event_row and one.created_us = v.event_created_us
        offset 0
    ) as e
),

added as (
    insert into delivery (
        created_us, event_row, account_id, connect_id, envelope_id, lane, state, held_reason,
        due_us, seed, schedule_started_us
    )
    select
        created_us, event_row, :account_id, :connect_id, envelope_id, null, :state,
        :held_reason, :now, floor(random() * 2147483647)::integer, :now
    from picked
    order by place
    returning event_row
),

counted as (
    update event as e set deliveries = e.deliveries + 1
    from picked as p
    where e.event_row = p.event_row and e.created_us = p.created_us
),

counted_keys as (
    update event_key as k set deliveries = k.deliveries + 1
    from picked as p
    where k.account_id = :account_id and k.event_id = p.event_id
)

select event_row from added;

-- name: publish_cancel_unsent
-- A delivery that has ended leaves the queue.
with gone as (
    delete from delivery as d
    where d.connect_id = :connect_id and d.state in ('waiting', 'held')
    returning d.*
)

insert into delivery_ended (
    delivery_id, created_us, event_row, account_id, connect_id, envelope_id, state, cancelled_by,
    attempts, attempt_id, ended_us, recipient
)
select
    delivery_id, created_us, event_row, account_id, connect_id, envelope_id, 'cancelled',
    :who, attempts, attempt_id, :now, recipient
from gone;

-- name: clock_leap_nodes
-- Other nodes learn of it at their next beat: until then their lease must last.
update node set lease_until_us = lease_until_us + :gain where stopped_us is null;

-- name: event_of_id
-- What makes an id exist once knows where its event is.
event as e
inner join event_key as k
    on
        k.account_id = :account_id and k.event_id = :event_id
        and e.event_row = k.event_row and e.created_us = k.created_us;

-- name: events_then_deliveries
-- One after the other, in the order of the index, until a page is full: `offset 0` keeps the planner,
-- which takes the first ones for dear, from joining all of them and sorting that.
event as e
cross join lateral (
    select * from v_delivery as one
    where one.event_row = e.event_row and one.created_us = e.created_us
    offset 0
) as d
cross join lateral (
    select one.name, one.url from connect_configuration as one
    where one.connect_id = d.connect_id
    offset 0
) as c;

-- name: deliveries_then_events
-- As above.
v_delivery as d
cross join lateral (
    select * from event as one
    where one.event_row = d.event_row and one.created_us = d.created_us
    offset 0
) as e
cross join lateral (
    select one.name, one.url from connect_configuration as one
    where one.connect_id = d.connect_id
    offset 0
) as c;

-- name: last_try_of_delivery
-- What has ended, or has come back from the history, has left it to its attempts. The times spare
-- looking into other days; nodes' clocks differ by less than one.
case when d.last_try_us is not null or d.attempts = 0 then d.last_try_us else (
    select a.started_us from attempt as a
    where
        a.delivery_id = d.delivery_id
        and a.started_us >= d.created_us - 86400000000
        and a.started_us <= coalesce(d.ended_us + 86400000000, 9223372036854775807)
    order by a.attempt_id desc
    limit 1
) end;

-- name: deliveries_event_id
and e.event_row = (
    select k.event_row from event_key as k
    where k.account_id = :account_id and k.event_id = :event_id
)
and e.created_us = (
    select k.created_us from event_key as k
    where k.account_id = :account_id and k.event_id = :event_id
);

-- name: incident_failures
-- What its row does not count yet is counted here.
(
    i.failures + coalesce((
        select sum(ch.number) from incident_change as ch where ch.incident_id = i.incident_id
    ), 0)
)::bigint;

-- name: incidents_turn
-- Of many nodes one looks at a time.
select pg_try_advisory_xact_lock(hashtext('heliograph.incidents')) as mine;

-- name: incidents_fold
-- What was closed while a failure came to it is open, and nobody has seen it.
with gone as (
    delete from incident_change returning incident_id, number, at_us
),

sums as (
    select incident_id, sum(number) as number, max(at_us) as at_us from gone group by incident_id
)

update incident as i
set
    failures = i.failures + s.number,
    changed_us = greatest(i.changed_us, s.at_us),
    closed_us = case when i.failures + s.number <= 0 then i.closed_us end,
    told = case when i.closed_us is null or i.failures + s.number <= 0 then i.told else 0 end,
    acknowledged_us = case
        when i.closed_us is null or i.failures + s.number <= 0 then i.acknowledged_us
    end,
    acknowledged_by = case
        when i.closed_us is null or i.failures + s.number <= 0 then i.acknowledged_by
    end,
    note = case when i.closed_us is null or i.failures + s.number <= 0 then i.note end
from sums as s
where i.incident_id = s.incident_id;

-- name: backlog_due
delivery as d;

-- name: backlog_held
delivery as d;

-- name: backlog_in_flight
delivery as d;

-- name: tail_events_end
-- A transaction of any node takes the time after it has begun, and may be committed after later ones:
-- the end lies before the oldest that runs, and as far again as nodes' clocks may differ.
select
    (
        :now::bigint - 1000000
        - coalesce(max(extract(epoch from clock_timestamp() - xact_start)) * 1000000, 0)
    )::bigint as until_us,
    9223372036854775807 as until_id
from pg_stat_activity
where
    datname = current_database() and usename = current_user
    and application_name = current_setting('application_name')
    and pid <> pg_backend_pid() and xact_start is not null;

-- name: tail_logs_end
{tail_events_end};

-- name: accepted_as
select 1 from event_key
where event_key.account_id = <it>.account_id and event_key.event_id = <it>.event_id;

-- name: cache_release
-- There is none here.
select 1 as released;

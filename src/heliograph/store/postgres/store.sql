-- The queries that only PostgreSQL has, or has in its own way: accept, claim and settle go in sets and
-- under locks, nodes have leases, and retention drops days. What both engines do alike is in
-- store/verbs. In `day_...` `{day}` and `{parent}` are names of tables that `old_days` gave. Nothing else
-- is put in here, and values are always bound.

-- name: migrations_lock
-- Held to the end of the transaction: of nodes that start at once, one migrates.
select pg_advisory_xact_lock(hashtext('heliograph.migrate'));

-- name: migrations_table
create table if not exists schema_migration (
    number integer primary key,
    name text not null,
    checksum text not null,
    applied_us bigint not null
);

-- name: migrations_known
select to_regclass('schema_migration') is not null;

-- name: clock_known
select to_regclass('clock_beat') is not null;

-- name: server_settings
-- What durability rests on (R18).
select
    current_setting('fsync') as fsync,
    current_setting('full_page_writes') as full_page_writes,
    current_setting('synchronous_commit') as synchronous_commit,
    current_setting('server_version_num')::integer as version,
    current_setting('synchronous_standby_names') as synchronous_standby_names,
    pg_is_in_recovery() as in_recovery,
    current_setting('server_encoding') as encoding;

-- name: database_add
create database {name};

-- name: database_drop
-- Whoever is still connected to it was killed.
drop database if exists {name} with (force);

-- name: server_clock
select (extract(epoch from clock_timestamp()) * 1000000)::bigint;

-- name: installation
select sealed from installation;

-- name: installation_add
insert into installation (only_one, sealed, created_us) values (1, %s, %s)
on conflict (only_one) do nothing;

-- name: copy_unfinished
-- Made by `heliograph copy`, and dropped when both sides were found the same.
select to_regclass('copy_progress') is not null;

-- name: make_day
select make_day(%s);

-- name: days_missing
select first_us
from generate_series(%s::bigint, %s::bigint, 86400000000) as day (first_us)
where
    to_regclass(
        'attempt_' || to_char(to_timestamp(first_us / 1000000.0) at time zone 'UTC', 'YYYYMMDD')
    ) is null
order by first_us;

-- name: brief_lock_wait
-- Whoever reads history for long must not make everyone else wait behind a new partition.
set local lock_timeout = '500ms';

-- name: node_start
insert into node (instance, process_id, host, started_us, lease_until_us)
values (%(instance)s, %(process_id)s, %(host)s, %(now)s, %(until)s)
returning epoch;

-- name: node_of_instance_ends
update node set stopped_us = %(now)s
where instance = %(instance)s and stopped_us is null;

-- name: node_renew
update node set lease_until_us = %(until)s, looked_us = coalesce(%(looked)s, looked_us)
where epoch = %(epoch)s and stopped_us is null;

-- name: node_alive
-- Shared: the take-over of this node waits until a claim that it makes is committed.
select epoch from node
where epoch = %(epoch)s and stopped_us is null and lease_until_us > %(now)s
for share;

-- name: node_stop
update node set stopped_us = %(now)s where epoch = %(epoch)s;

-- name: nodes_running
-- By host, for doctor; and how many connections the server has for everybody.
select
    host,
    array_agg(process_id order by process_id) as process_ids,
    current_setting('max_connections')::integer as connections
from node
where stopped_us is null and lease_until_us > %(now)s
group by host
order by host;

-- name: nodes_dead
select epoch from node
where stopped_us is not null or lease_until_us < %(now)s
order by epoch
for update skip locked;

-- name: node_remove
delete from node where epoch = any(%s);

-- name: take_over_candidates
select delivery_id, connect_id
from delivery
where state = 'in_flight' and epoch = any(%(epochs)s)
order by delivery_id
limit %(most)s
for update;

-- name: unclaim
-- Claims whose answer was lost on its way to us: nothing was sent, so that they do not count.
update delivery as d
set
    state = case
        when c.deleted_us is not null then 'failed'
        when c.held is null then 'waiting'
        else 'held'
    end,
    held_reason = case when c.deleted_us is null then c.held end,
    due_us = case when c.deleted_us is null then %(now)s end,
    failed_us = case
        when c.deleted_us is not null then coalesce(d.failed_us, %(now)s) else d.failed_us
    end,
    error = case when c.deleted_us is not null then %(error)s else d.error end,
    phase = case when c.deleted_us is not null then %(phase)s else d.phase end,
    what = case when c.deleted_us is not null then %(what)s else d.what end,
    epoch = null,
    attempts = d.attempts - 1,
    schedule_attempts = d.schedule_attempts - 1,
    unsettled_claims = d.unsettled_claims - 1
from connect_configuration as c
where
    d.state = 'in_flight' and d.epoch = %(epoch)s and d.connect_id = c.connect_id
    and not d.attempt_id = any(%(known)s)
returning d.delivery_id, d.state, d.connect_id, d.lane;

-- name: configurations_changed
-- Those that a later version than the one that is known has changed.
select connect_id from connect_configuration
where account_id = %(account_id)s and version > %(version)s and ad_hoc is null;

-- name: configurations_by_id
select connect_id, document, sealed, ad_hoc is not null as ad_hoc
from connect_configuration
where
    connect_id = any(%(connect_ids)s::bigint[]) and account_id = %(account_id)s
    and deleted_us is null;

-- name: configuration_accounts
select connect_id, account_id from connect_configuration where connect_id = any(%s);

-- name: notifications_add
insert into envelope_notification (account_id, envelope_id, connect_id)
select * from unnest(%s::text[], %s::text[], %s::bigint[])
on conflict do nothing;

-- name: accounts_shared
-- Shared until the commit: no configuration changes between the match and the accept.
select
    a.account_id, a.configurations_version,
    exists (
        select from connect_configuration as c
        where c.account_id = a.account_id and c.ad_hoc is not null and c.deleted_us is null
    ) as notifies
from account as a
where a.account_id = any(%s)
order by a.account_id
for share of a;

-- name: versions
select account_id, configurations_version from account where account_id = any(%s);

-- name: configurations_shared
-- Shared until the commit: what is settled waits or is held as its configuration says.
select connect_id, held, deleted_us is not null
from connect_configuration
where connect_id = any(%s)
order by connect_id
for share;

-- name: event_keys_add
-- The order keeps two accepts of the same ids from waiting for each other.
insert into event_key (account_id, event_id, digest, meaning, deliveries, created_us)
select * from unnest(
    %(account_ids)s::text[], %(event_ids)s::text[], %(digests)s::bytea[], %(meanings)s::bytea[],
    %(deliveries)s::integer[], %(created)s::bigint[]
)
on conflict (account_id, event_id) do nothing
returning account_id, event_id, event_row;

-- name: event_keys_known
-- Configurations of an envelope alone tell only where there is no meaning.
select
    k.account_id, k.event_id, k.digest, k.meaning, k.deliveries,
    array(
        select n.connect_id from envelope_notification as n
        where
            k.meaning is null and n.account_id = wanted.account_id
            and n.envelope_id = wanted.envelope_id
    ) as notified
from unnest(%s::text[], %s::text[], %s::text[]) as wanted (account_id, event_id, envelope_id)
inner join event_key as k
    on k.account_id = wanted.account_id and k.event_id = wanted.event_id;

-- name: events_add
insert into event (
    event_row, created_us, account_id, event_id, name, envelope_id, subject, sender_name,
    sender_email, status, deliveries, generated_us, document
)
select * from unnest(
    %(event_rows)s::bigint[], %(created)s::bigint[], %(account_ids)s::text[],
    %(event_ids)s::text[], %(names)s::text[], %(envelope_ids)s::text[], %(subjects)s::text[],
    %(sender_names)s::text[], %(sender_emails)s::text[], %(statuses)s::text[],
    %(deliveries)s::integer[], %(generated)s::bigint[], %(documents)s::bytea[]
);

-- name: envelopes_write
-- The update locks the row also where an older summary changes nothing: events of one
-- envelope get their places one after the other (R6).
insert into envelope (
    account_id, envelope_id, subject, sender_name, sender_email, status, generated_us, changed_us,
    event_row, event_created_us
)
select * from unnest(
    %(account_ids)s::text[], %(envelope_ids)s::text[], %(subjects)s::text[],
    %(sender_names)s::text[], %(sender_emails)s::text[], %(statuses)s::text[],
    %(generated)s::bigint[], %(changed)s::bigint[], %(event_rows)s::bigint[],
    %(event_created)s::bigint[]
)
on conflict (account_id, envelope_id) do update set
    subject = case when excluded.generated_us < envelope.generated_us
        then envelope.subject else coalesce(excluded.subject, envelope.subject) end,
    sender_name = case when excluded.generated_us < envelope.generated_us
        then envelope.sender_name else coalesce(excluded.sender_name, envelope.sender_name) end,
    sender_email = case when excluded.generated_us < envelope.generated_us
        then envelope.sender_email else coalesce(excluded.sender_email, envelope.sender_email) end,
    status = case when excluded.generated_us < envelope.generated_us
        then envelope.status else coalesce(excluded.status, envelope.status) end,
    generated_us = greatest(excluded.generated_us, envelope.generated_us),
    event_row = case when excluded.generated_us < envelope.generated_us
        then envelope.event_row else excluded.event_row end,
    event_created_us = case when excluded.generated_us < envelope.generated_us
        then envelope.event_created_us else excluded.event_created_us end,
    changed_us = case when excluded.changed_us > envelope.changed_us + 86400000000
        then excluded.changed_us else envelope.changed_us end;

-- name: lanes_busy
-- Lanes with an unfinished delivery. Its newest is locked against a settle that ends it at
-- this moment, which would release only what it can see.
select l.connect_id, l.lane
from unnest(%s::bigint[], %s::text[]) as l (connect_id, lane)
cross join lateral (
    select d.delivery_id from delivery as d
    where
        d.connect_id = l.connect_id and d.lane = l.lane
        and d.state in ('waiting', 'held', 'in_flight')
    order by d.delivery_id desc
    limit 1
    for share
) as newest
order by newest.delivery_id;

-- name: lanes_gather
-- Lanes with a message that was never tried, and so will stand for what comes now. Locked:
-- a claim passes it over until what it shall stand for is committed.
select l.connect_id, l.lane
from unnest(%s::bigint[], %s::text[]) as l (connect_id, lane)
cross join lateral (
    select d.delivery_id from delivery as d
    where
        d.connect_id = l.connect_id and d.lane = l.lane and d.attempts = 0
        and (d.state = 'waiting' or (d.state = 'held' and d.held_reason <> 'order'))
    order by d.delivery_id desc
    limit 1
    for share
) as untried
order by untried.delivery_id;

-- name: newest_events
select
    e.event_row, e.created_us, e.account_id, e.event_id, e.name, e.envelope_id, e.generated_us,
    octet_length(e.document) as bytes,
    case when octet_length(e.document) <= %(light)s then e.document end as document
from unnest(%(account_ids)s::text[], %(envelope_ids)s::text[])
    as wanted (account_id, envelope_id)
inner join envelope as n
    on n.account_id = wanted.account_id and n.envelope_id = wanted.envelope_id
cross join lateral (
    select * from event as one
    where one.event_row = n.event_row and one.created_us = n.event_created_us
    offset 0
) as e;

-- name: deliveries_merge
-- What a message stood for beside its own event needs no message any more.
with gone as (
    delete from delivery as d
    using unnest(
        %(connect_ids)s::bigint[], %(lanes)s::text[], %(throughs)s::bigint[],
        %(merged_intos)s::text[]
    ) as m (connect_id, lane, through, merged_into)
    where
        d.connect_id = m.connect_id and d.lane = m.lane and d.state in ('waiting', 'held')
        and d.event_row <= m.through
    returning d.*, m.merged_into
)

insert into delivery_ended (
    delivery_id, created_us, event_row, account_id, connect_id, envelope_id, state,
    cancelled_by, attempts, attempt_id, ended_us, recipient
)
select
    delivery_id, created_us, event_row, account_id, connect_id, envelope_id, 'cancelled',
    merged_into, attempts, attempt_id, %(now)s, recipient
from gone;

-- name: deliveries_add
-- What is claimed as it is accepted has an epoch.
insert into delivery (
    created_us, event_row, account_id, connect_id, envelope_id, lane, state, held_reason,
    due_us, seed, schedule_started_us, failed_us, error, phase, what, recipient, epoch, attempt_id,
    claimed_us, attempts, schedule_attempts, unsettled_claims
)
select
    n.created_us, n.event_row, n.account_id, n.connect_id, n.envelope_id, n.lane, n.state,
    n.held_reason, n.due_us, n.seed, n.created_us, n.failed_us, n.error, n.phase, n.what,
    n.recipient, n.epoch,
    case when n.epoch is not null then nextval('attempt_id_sequence') end,
    case when n.epoch is not null then n.created_us end,
    c.claims, c.claims, c.claims
from unnest(
    %(created)s::bigint[], %(event_rows)s::bigint[], %(account_ids)s::text[],
    %(connect_ids)s::bigint[], %(envelope_ids)s::text[], %(lanes)s::text[], %(states)s::text[],
    %(held)s::text[], %(due)s::bigint[], %(seeds)s::integer[], %(failed)s::bigint[],
    %(errors)s::text[], %(phases)s::text[], %(whats)s::text[], %(recipients)s::text[],
    %(epochs)s::bigint[]
) with ordinality as n (
    created_us, event_row, account_id, connect_id, envelope_id, lane, state, held_reason, due_us,
    seed, failed_us, error, phase, what, recipient, epoch, place
)
cross join lateral (select case when n.epoch is null then 0 else 1 end as claims) as c
order by n.place
returning event_row, connect_id, recipient, delivery_id, attempt_id;

-- name: down_until
-- Until when listeners are down, behind which what comes now must wait. Locked against a settle
-- that finds one up again at this moment: what it hastens then is all that waits.
select connect_id, down_until_us from failing_configuration
where connect_id = any(%s) and down_until_us is not null
order by connect_id
for share;

-- name: lanes_release
-- What is now the oldest unfinished delivery of these lanes has waited for its turn.
update delivery as d
set
    state = case when c.held is null then 'waiting' else 'held' end,
    held_reason = c.held,
    due_us = %(now)s
from (
    select distinct oldest.delivery_id
    from unnest(%(connect_ids)s::bigint[], %(lanes)s::text[]) as l (connect_id, lane)
    cross join lateral (
        select o.delivery_id from delivery as o
        where
            o.connect_id = l.connect_id and o.lane = l.lane
            and o.state in ('waiting', 'held', 'in_flight')
        order by o.delivery_id
        limit 1
    ) as oldest
) as next, connect_configuration as c
where
    d.delivery_id = next.delivery_id and d.state = 'held' and d.held_reason = 'order'
    and d.connect_id = c.connect_id;

-- name: due_since
-- Configurations for which something became due since the last look. Looking at times first
-- keeps the cost to what is new, however many dead rows a pinned snapshot keeps (F20).
select distinct connect_id from delivery
where state = 'waiting' and due_us >= %(since)s and due_us <= %(now)s;

-- name: due_of
-- Those of these configurations for which something waits, from the marks on.
select m.connect_id
from unnest(%(connect_ids)s::bigint[], %(marks)s::bigint[]) as m (connect_id, mark)
where
    exists (
        select from delivery as d
        where
            d.connect_id = m.connect_id and d.state = 'waiting'
            and d.due_us >= m.mark and d.due_us <= %(now)s
    );

-- name: next_due
select due_us from delivery
where state = 'waiting' and due_us > %s
order by due_us
limit 1;

-- name: claim
-- The oldest due delivery of each lane, some of each configuration, from the mark on up to
-- which the configuration is known to have none. Other nodes' claims are passed over.
with picked as materialized (
    select due.delivery_id, due.due_us
    from unnest(%(connect_ids)s::bigint[], %(marks)s::bigint[], %(most)s::integer[])
        with ordinality as m (connect_id, mark, most, turn)
    cross join lateral (
        select d.delivery_id, d.due_us from delivery as d
        where
            d.connect_id = m.connect_id and d.state = 'waiting'
            and d.due_us >= m.mark and d.due_us <= %(now)s
        order by d.due_us, d.delivery_id
        limit m.most
        for update skip locked
    ) as due
)
update delivery as d
set
    state = 'in_flight',
    due_us = null,
    epoch = %(epoch)s,
    attempt_id = nextval('attempt_id_sequence'),
    claimed_us = %(now)s,
    attempts = attempts + 1,
    schedule_attempts = schedule_attempts + 1,
    unsettled_claims = unsettled_claims + 1
from picked
where d.delivery_id = picked.delivery_id
returning
    d.delivery_id, d.attempt_id, d.attempts, d.schedule_attempts, d.schedule_started_us, d.seed,
    d.account_id, d.connect_id, d.event_row, d.created_us, d.resent_by, d.job_id,
    d.recipient, picked.due_us;

-- name: events_of_claims
-- Laterally, so that each is looked for in its own day only. What is heavy of them is read when it
-- is taken, and where no other claim has it.
select
    e.event_row, e.created_us, e.account_id, e.event_id, e.name, e.envelope_id, e.generated_us,
    octet_length(e.document) as bytes,
    case when octet_length(e.document) <= %(light)s then e.document end as document
from unnest(%(event_rows)s::bigint[], %(created)s::bigint[]) as wanted (event_row, created_us)
cross join lateral (
    select * from event as one
    where one.event_row = wanted.event_row and one.created_us = wanted.created_us
    offset 0
) as e;

-- name: event_documents
select e.event_row, e.document
from unnest(%s::bigint[], %s::bigint[]) as wanted (event_row, created_us)
cross join lateral (
    select one.event_row, one.document from event as one
    where one.event_row = wanted.event_row and one.created_us = wanted.created_us
    offset 0
) as e;

-- name: claims_put_back
-- Claims of this transaction that found no room for their bytes: nothing has begun.
update delivery as d
set
    state = 'waiting',
    due_us = b.due_us,
    epoch = null,
    attempts = d.attempts - 1,
    schedule_attempts = d.schedule_attempts - 1,
    unsettled_claims = d.unsettled_claims - 1
from unnest(%(delivery_ids)s::bigint[], %(due)s::bigint[]) as b (delivery_id, due_us)
where d.delivery_id = b.delivery_id;

-- name: delivery_park
update delivery
set
    state = 'failed',
    epoch = null,
    unsettled_claims = 0,
    failed_us = coalesce(failed_us, %(now)s),
    last_try_us = coalesce(last_try_us, %(now)s),
    error = %(error)s,
    phase = %(phase)s,
    what = %(what)s
where delivery_id = any(%(delivery_ids)s) and state = 'in_flight'
returning connect_id, lane;

-- name: settle_order
-- In the order in which accepts ask lanes whether they are busy, so that neither waits for the
-- other crosswise.
select delivery_id from delivery
where delivery_id = any(%s)
order by connect_id, lane collate "C", delivery_id
for update;

-- name: settle_delivered
-- Fenced: only the claim that opened this attempt, of this epoch, moves the delivery (R8).
with gone as (
    delete from delivery as d
    using unnest(%(delivery_ids)s::bigint[], %(epochs)s::bigint[], %(attempt_ids)s::bigint[])
        as s (delivery_id, epoch, attempt_id)
    where
        d.delivery_id = s.delivery_id and d.state = 'in_flight' and d.epoch = s.epoch
        and d.attempt_id = s.attempt_id
    returning d.*
),

kept as (
    insert into delivery_ended (
        delivery_id, created_us, event_row, account_id, connect_id, envelope_id, state,
        attempts, attempt_id, ended_us, recipient
    )
    select
        delivery_id, created_us, event_row, account_id, connect_id, envelope_id, 'delivered',
        attempts, attempt_id, %(now)s, recipient
    from gone
)

select attempt_id, event_row, created_us, connect_id, lane from gone;

-- name: settle_others
-- Fenced as above. Incidents are opened before, in one order: nodes that open the same ones would else
-- wait for each other crosswise.
with opened as (
    select incident_of(o.account_id, o.connect_id, o.phase, o.what, %(now)s)
    from (
        select distinct s.account_id, s.connect_id, s.phase, s.what
        from unnest(
            %(account_ids)s::text[], %(connect_ids)s::bigint[], %(phases)s::text[],
            %(whats)s::text[]
        ) as s (account_id, connect_id, phase, what)
        where s.phase is not null
        order by s.account_id, s.connect_id, s.phase, s.what
    ) as o
)

update delivery as d
set
    state = s.state,
    due_us = s.due_us,
    held_reason = s.held_reason,
    epoch = null,
    unsettled_claims = 0,
    schedule_attempts = d.schedule_attempts - s.uncounted,
    failed_us = case when s.failed then coalesce(d.failed_us, %(now)s) else d.failed_us end,
    last_try_us = s.last_try_us,
    error = coalesce(s.error, d.error),
    phase = case when s.error is null then d.phase else s.phase end,
    what = case when s.error is null then d.what else s.what end
from unnest(
    %(delivery_ids)s::bigint[], %(epochs)s::bigint[], %(attempt_ids)s::bigint[],
    %(states)s::text[], %(due)s::bigint[], %(held)s::text[], %(failed)s::boolean[],
    %(last_tries)s::bigint[], %(errors)s::text[], %(phases)s::text[], %(whats)s::text[],
    %(uncounted)s::integer[]
) as s (
    delivery_id, epoch, attempt_id, state, due_us, held_reason, failed, last_try_us, error, phase,
    what, uncounted
)
where
    d.delivery_id = s.delivery_id and d.state = 'in_flight' and d.epoch = s.epoch
    and d.attempt_id = s.attempt_id and (select count(*) from opened) >= 0
returning d.attempt_id, d.event_row, d.created_us, d.connect_id, d.lane;

-- name: attempts_add
insert into attempt (
    attempt_id, started_us, delivery_id, event_row, created_us, account_id, connect_id,
    envelope_id, number, epoch, url, outcome, logged, milliseconds, phase, error,
    answer_status, answer_reason, answer_headers, answer_body, resent_by
)
select * from unnest(
    %(attempt_ids)s::bigint[], %(started)s::bigint[], %(delivery_ids)s::bigint[],
    %(event_rows)s::bigint[], %(created)s::bigint[], %(account_ids)s::text[],
    %(connect_ids)s::bigint[], %(envelope_ids)s::text[], %(numbers)s::integer[],
    %(epochs)s::bigint[], %(urls)s::text[], %(outcomes)s::text[], %(logged)s::boolean[],
    %(milliseconds)s::integer[], %(phases)s::text[], %(errors)s::text[],
    %(answer_statuses)s::integer[], %(answer_reasons)s::text[], %(answer_headers)s::text[],
    %(answer_bodies)s::bytea[], %(resent_bys)s::text[]
);

-- name: attempts_close_late
-- What the deletion of a failure in flight had to leave unknown is known after all. After a
-- take-over, which removes the node, nothing changes any more (R8).
update attempt as a
set
    outcome = s.outcome, logged = s.logged, milliseconds = s.milliseconds, phase = s.phase,
    error = s.error, answer_status = s.answer_status, answer_reason = s.answer_reason,
    answer_headers = s.answer_headers, answer_body = s.answer_body
from unnest(
    %(attempt_ids)s::bigint[], %(outcomes)s::text[], %(logged)s::boolean[],
    %(milliseconds)s::integer[], %(phases)s::text[], %(errors)s::text[],
    %(answer_statuses)s::integer[], %(answer_reasons)s::text[], %(answer_headers)s::text[],
    %(answer_bodies)s::bytea[]
) as s (
    attempt_id, outcome, logged, milliseconds, phase, error, answer_status, answer_reason,
    answer_headers, answer_body
)
where
    a.attempt_id = s.attempt_id and a.outcome = 'unknown'
    and exists (select from node as n where n.epoch = a.epoch and n.stopped_us is null);

-- name: documents_of_deliveries
-- The configurations of deliveries: they say whether attempts are logged.
select connect_id, document
from connect_configuration
where connect_id in (select connect_id from delivery where delivery_id = any(%s));

-- name: attempts_unknown
-- A crash leaves attempts open: whether their listeners took them is unknown (R5).
insert into attempt (
    attempt_id, started_us, delivery_id, event_row, created_us, account_id, connect_id,
    envelope_id, number, epoch, url, outcome, logged, error, resent_by
)
select
    d.attempt_id, d.claimed_us, d.delivery_id, d.event_row, d.created_us, d.account_id,
    d.connect_id, d.envelope_id, d.attempts, d.epoch, c.url, 'unknown',
    d.connect_id = any(%(logged)s::bigint[]), %(error)s, d.resent_by
from delivery as d
inner join connect_configuration as c on d.connect_id = c.connect_id
where d.delivery_id = any(%(delivery_ids)s);

-- name: take_over
-- A delivery of a configuration that has stopped publishing meanwhile is settled by the
-- same rules as a failed attempt.
update delivery as d
set
    state = case
        when c.deleted_us is not null or d.unsettled_claims >= %(most)s then 'failed'
        when c.held is null then 'waiting'
        else 'held'
    end,
    held_reason = case
        when c.deleted_us is null and d.unsettled_claims < %(most)s then c.held
    end,
    due_us = case
        when c.deleted_us is null and d.unsettled_claims < %(most)s then %(now)s
    end,
    epoch = null,
    unsettled_claims = case when d.unsettled_claims >= %(most)s then 0 else d.unsettled_claims end,
    failed_us = case
        when c.deleted_us is not null or d.unsettled_claims >= %(most)s
        then coalesce(d.failed_us, %(now)s)
        else d.failed_us
    end,
    last_try_us = case when d.unsettled_claims >= %(most)s then %(now)s
        when c.deleted_us is not null then coalesce(d.last_try_us, %(now)s)
        else d.last_try_us end,
    error = case
        when c.deleted_us is not null then %(deleted)s
        when d.unsettled_claims >= %(most)s then %(poison)s
        else d.error
    end,
    phase = case
        when c.deleted_us is not null then %(deleted_phase)s
        when d.unsettled_claims >= %(most)s then %(poison_phase)s
        else d.phase
    end,
    what = case
        when c.deleted_us is not null then %(deleted_what)s
        when d.unsettled_claims >= %(most)s then %(poison_what)s
        else d.what
    end
from connect_configuration as c
where d.delivery_id = any(%(delivery_ids)s) and d.connect_id = c.connect_id
returning d.state, d.connect_id, d.lane;

-- name: requeue_candidates
-- Open failures of some envelopes, with what decides whether they can be tried again.
select
    d.created_us, d.delivery_id, d.envelope_id, d.connect_id, c.url, d.attempts, d.state,
    d.held_reason, c.held, c.deleted_us is not null as deleted
from delivery as d
inner join connect_configuration as c on d.connect_id = c.connect_id
where
    d.account_id = %(account_id)s and d.failed_us is not null
    and d.envelope_id = any(%(envelope_ids)s) and d.delivery_id > %(after)s
order by d.delivery_id
limit %(most)s
for update of d for share of c;

-- name: requeue_ended
-- Retries had ended: the schedule begins anew. It has left its lane: what came after it may
-- be gone already, and nothing waits for it again (R6).
update delivery as d
set
    state = case when c.held is null then 'waiting' else 'held' end,
    held_reason = c.held,
    due_us = %(now)s,
    lane = null,
    schedule_attempts = 0,
    schedule_started_us = %(now)s,
    job_id = null
from connect_configuration as c
where
    d.delivery_id = any(%(delivery_ids)s) and d.state = 'failed'
    and d.connect_id = c.connect_id;

-- name: requeue_waiting
update delivery set due_us = least(due_us, %(now)s)
where delivery_id = any(%(delivery_ids)s) and state = 'waiting';

-- name: failures_cancellable
select delivery_id, state from delivery
where
    account_id = %(account_id)s and delivery_id = any(%(delivery_ids)s)
    and failed_us is not null
order by delivery_id
for update;

-- name: failures_cancel
with gone as (
    delete from delivery where delivery_id = any(%(delivery_ids)s) returning *
),

kept as (
    insert into delivery_ended (
        delivery_id, created_us, event_row, account_id, connect_id, envelope_id, state,
        cancelled_by, attempts, ended_us, recipient
    )
    select
        delivery_id, created_us, event_row, account_id, connect_id, envelope_id, 'cancelled',
        %(who)s, attempts, %(now)s, recipient
    from gone
)

select connect_id, lane from gone;

-- name: old_days
-- The partitions of history that end before a time, oldest first.
select
    parent.relname as parent, child.relname as day,
    (regexp_match(pg_get_expr(child.relpartbound, child.oid), 'TO \(''(\d+)''\)'))[1]::bigint
        as ends_us
from pg_inherits
inner join pg_class as child on pg_inherits.inhrelid = child.oid
inner join pg_class as parent on pg_inherits.inhparent = parent.oid
where
    parent.relname in ('event', 'delivery_ended', 'attempt')
    and parent.relnamespace = (
        select relnamespace from pg_class where oid = to_regclass('event')
    )
    and (regexp_match(pg_get_expr(child.relpartbound, child.oid), 'TO \(''(\d+)''\)'))[1]::bigint
    <= %s
order by 3, 1;

-- name: day_count
select count(*) from {day};

-- name: day_detach
alter table {parent} detach partition {day};

-- name: day_events_keep
-- Events of unfinished deliveries and open failures stay, however old (R14); the audit counts
-- what is left of them.
insert into event (
    event_row, created_us, account_id, event_id, name, envelope_id, subject, sender_name,
    sender_email, status, deliveries, generated_us, document
)
select
    e.event_row, e.created_us, e.account_id, e.event_id, e.name, e.envelope_id, e.subject,
    e.sender_name, e.sender_email, e.status, d.number, e.generated_us, e.document
from {day} as e
inner join (
    select event_row, count(*) as number from delivery group by event_row
) as d on e.event_row = d.event_row;

-- name: day_drop
drop table {day};

-- name: rest_events_retire
with old as (
    select e.event_row, e.created_us from event_rest as e
    where
        e.created_us < %(before)s
        and not exists (select from delivery as d where d.event_row = e.event_row)
    limit %(most)s
)
delete from event_rest as e using old
where e.event_row = old.event_row and e.created_us = old.created_us;

-- name: rest_events_recount
update event_rest as e
set deliveries = d.number
from (
    select r.event_row, count(d.event_row) as number
    from event_rest as r
    left join delivery as d on r.event_row = d.event_row
    where r.created_us < %(before)s
    group by r.event_row
) as d
where e.event_row = d.event_row and e.deliveries <> d.number;

-- name: rest_deliveries_retire
with old as (
    select x.delivery_id, x.created_us from delivery_ended_rest as x
    where x.created_us < %(before)s
    limit %(most)s
)
delete from delivery_ended_rest as x using old
where x.delivery_id = old.delivery_id and x.created_us = old.created_us;

-- name: rest_attempts_retire
with old as (
    select a.attempt_id, a.started_us from attempt_rest as a
    where a.started_us < %(before)s
    limit %(most)s
)
delete from attempt_rest as a using old
where a.attempt_id = old.attempt_id and a.started_us = old.started_us;

-- name: event_keys_retire
-- An id may be used again once nothing of it is left.
with old as (
    select k.account_id, k.event_id from event_key as k
    where
        k.created_us < %(before)s
        and not exists (select from delivery as d where d.event_row = k.event_row)
    order by k.created_us
    limit %(most)s
)
delete from event_key as k using old
where k.account_id = old.account_id and k.event_id = old.event_id;

-- name: envelopes_retire
-- With whom their events went to, in one statement: who writes an envelope anew meanwhile waits, and
-- then names them anew.
with old as (
    select v.account_id, v.envelope_id from envelope as v
    where
        v.changed_us < %(before)s - 86400000000
        and not exists (
            select from delivery as d
            where d.account_id = v.account_id and d.envelope_id = v.envelope_id
        )
    order by v.changed_us
    limit %(most)s
),

gone as (
    delete from envelope as v using old
    where v.account_id = old.account_id and v.envelope_id = old.envelope_id
    returning v.account_id, v.envelope_id
),

notifications_gone as (
    delete from envelope_notification as n using gone
    where n.account_id = gone.account_id and n.envelope_id = gone.envelope_id
)

select count(*) from gone;

-- name: unnamed_ad_hoc
-- Locked: an accept may be about to name one.
select c.connect_id
from connect_configuration as c
where
    c.ad_hoc is not null and c.deleted_us is null and c.created_us < %(before)s
    and not exists (select from envelope_notification as n where n.connect_id = c.connect_id)
    and not exists (select from publish_transaction as t where t.connect_id = c.connect_id)
    and not exists (select from delivery as d where d.connect_id = c.connect_id)
limit %(most)s
for update of c;

-- name: retire_ad_hoc
update connect_configuration as c
set
    deleted_us = %(now)s, changed_us = %(now)s, publishing = false, document = '{}', sealed = null
where
    c.connect_id = any(%(connect_ids)s::bigint[])
    and not exists (select from envelope_notification as n where n.connect_id = c.connect_id)
    and not exists (select from delivery as d where d.connect_id = c.connect_id);

-- name: forget_ad_hoc
-- Logs that are kept name none that was deleted before what they are of.
with old as (
    select c.connect_id from connect_configuration as c
    where
        c.ad_hoc is not null and c.deleted_us < %(before)s and c.changed_us < %(before)s
        and c.created_us < %(before)s
        and not exists (select from envelope_notification as n where n.connect_id = c.connect_id)
        and not exists (select from publish_transaction as t where t.connect_id = c.connect_id)
        and not exists (select from delivery as d where d.connect_id = c.connect_id)
    limit %(most)s
)
delete from connect_configuration as c using old
where c.connect_id = old.connect_id
returning c.connect_id;

-- name: hint
select pg_notify('heliograph_work', '');

-- name: listen
listen heliograph_work;

-- name: failing_add
-- In one order, so that none waits for another crosswise.
insert into failing_configuration (connect_id, since_us)
select connect_id, %(now)s from unnest(%(connect_ids)s::bigint[]) as c (connect_id)
order by connect_id
on conflict do nothing;

-- name: reseal_installation
update installation set sealed = %(sealed)s;

-- name: retire_publishes
-- Failures keep theirs: they can be republished. Their configurations go as others do.
delete from publish_transaction as t
where
    t.created_us < %(before)s
    and not exists (select from delivery as d where d.connect_id = t.connect_id);

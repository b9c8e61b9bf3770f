-- name: account_locked
-- Two calls at once count one after the other.
select account_id from account where account_id = %(account_id)s for update;

-- name: within_hour
select coalesce(sum(envelopes), 0)::bigint from publish_transaction
where account_id = %(account_id)s and created_us > %(since)s;

-- name: deliver
-- The newest event of each envelope that is known; its place in listings is the event's. The
-- audit compares each event's count with its deliveries.
with picked as (
    select wanted.place, v.envelope_id, e.event_row, e.created_us, e.event_id
    from unnest(%(envelope_ids)s::text[]) with ordinality as wanted (envelope_id, place)
    inner join envelope as v
        on v.account_id = %(account_id)s and v.envelope_id = wanted.envelope_id
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
        created_us, event_row, %(account_id)s, %(connect_id)s, envelope_id, null, %(state)s,
        %(held_reason)s, %(now)s, floor(random() * 2147483647)::integer, %(now)s
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
    where k.account_id = %(account_id)s and k.event_id = p.event_id
)

select count(*) from added;

-- name: add
insert into publish_transaction (
    transaction_id, account_id, connect_id, submitted_by, envelopes, repeated, unknown, submitted,
    created_us
)
values (
    %(transaction_id)s, %(account_id)s, %(connect_id)s, %(submitted_by)s, %(envelopes)s,
    %(repeated)s, %(unknown)s, %(submitted)s, %(now)s
);

-- name: transactions
select
    t.transaction_id, t.connect_id, t.submitted_by, t.envelopes, t.repeated, t.unknown,
    t.submitted,
    (
        select count(*) from delivery as d
        where d.connect_id = t.connect_id and d.state = 'waiting'
    )
    + (
        select count(*) from delivery as d
        where d.connect_id = t.connect_id and d.state = 'held'
    )
    + (
        select count(*) from delivery as d
        where d.state = 'in_flight' and d.connect_id = t.connect_id
    ),
    (
        select count(*) from delivery as d
        where
            d.account_id = t.account_id and d.connect_id = t.connect_id
            and d.failed_us is not null and d.state = 'failed'
    ),
    t.created_us, t.cancelled_us
from publish_transaction as t
where
    t.account_id = %(account_id)s
    and (%(transaction_id)s::text is null or t.transaction_id = %(transaction_id)s)
order by t.created_us desc, t.transaction_id
limit %(most)s;

-- name: mark_cancelled
update publish_transaction set cancelled_us = coalesce(cancelled_us, %(now)s)
where account_id = %(account_id)s and transaction_id = %(transaction_id)s
returning connect_id;

-- name: cancel_unsent
with gone as (
    delete from delivery as d
    where d.connect_id = %(connect_id)s and d.state in ('waiting', 'held')
    returning d.*
)

insert into delivery_ended (
    delivery_id, created_us, event_row, account_id, connect_id, envelope_id, state, cancelled_by,
    attempts, attempt_id, ended_us
)
select
    delivery_id, created_us, event_row, account_id, connect_id, envelope_id, 'cancelled',
    %(who)s, attempts, attempt_id, %(now)s
from gone;

-- name: retire
-- Failures keep theirs: they can be republished.
delete from publish_transaction as t
where
    t.created_us < %(before)s
    and not exists (select from delivery as d where d.connect_id = t.connect_id);

-- name: within_hour
select coalesce(sum(envelopes), 0) from publish_transaction
where account_id = :account_id and created_us > :since;

-- name: deliver
-- The newest event of each envelope that is known; its place in listings is the event's.
insert into delivery (
    account_id, event_row, connect_id, envelope_id, lane, state, held_reason, due_us, seed,
    schedule_started_us, created_us
)
select
    :account_id, e.event_row, :connect_id, e.envelope_id, null, :state, :held_reason, :now,
    abs(random()) % 2147483648, :now, e.created_us
from json_each(:envelope_ids) as wanted
inner join envelope as v
    on v.account_id = :account_id and v.envelope_id = wanted.value
inner join event as e on v.event_row = e.event_row
order by wanted.key;

-- name: count_deliveries
-- The audit compares each event's count with its deliveries.
update event set deliveries = deliveries + 1
where
    event_row in (
        select v.event_row
        from json_each(:envelope_ids) as wanted
        inner join envelope as v
            on v.account_id = :account_id and v.envelope_id = wanted.value
    );

-- name: add
insert into publish_transaction (
    transaction_id, account_id, connect_id, submitted_by, envelopes, repeated, unknown, submitted,
    created_us
)
values (
    :transaction_id, :account_id, :connect_id, :submitted_by, :envelopes, :repeated, :unknown,
    :submitted, :now
);

-- name: transactions
select
    t.transaction_id, t.connect_id, t.submitted_by, t.envelopes, t.repeated, t.unknown,
    t.submitted,
    (select count(*) from delivery as d where d.connect_id = t.connect_id and d.state = 'waiting')
    + (select count(*) from delivery as d where d.connect_id = t.connect_id and d.state = 'held')
    + (
        select count(*) from delivery as d
        where d.connect_id = t.connect_id and d.state = 'in_flight'
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
    t.account_id = :account_id
    and (:transaction_id is null or t.transaction_id = :transaction_id)
order by t.created_us desc, t.transaction_id
limit :most;

-- name: mark_cancelled
update publish_transaction set cancelled_us = coalesce(cancelled_us, :now)
where account_id = :account_id and transaction_id = :transaction_id
returning connect_id;

-- name: cancel_unsent
update delivery
set
    state = 'cancelled', cancelled_by = :who, failed_us = null, due_us = null,
    held_reason = null
where connect_id = :connect_id and state in ('waiting', 'held');

-- name: retire
-- Failures keep theirs: they can be republished.
delete from publish_transaction
where
    created_us < :before
    and not exists (
        select 1 from delivery as d
        where d.connect_id = publish_transaction.connect_id
    )
returning connect_id;

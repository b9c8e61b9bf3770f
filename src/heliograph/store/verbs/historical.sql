-- Historical publishing. How deliveries are added, and how those end that were not sent, is each
-- engine's own.

-- name: account_locked
-- Two calls at once count one after the other.
select account_id from account where account_id = :account_id
{for_update_of:account};

-- name: published_since
select cast(coalesce(sum(envelopes), 0) as bigint) as envelopes from publish_transaction
where account_id = :account_id and created_us > :since;

-- name: publish_add
insert into publish_transaction (
    transaction_id, account_id, connect_id, submitted_by, envelopes, repeated, unknown, submitted,
    created_us
)
values (
    :transaction_id, :account_id, :connect_id, :submitted_by, :envelopes, :repeated, :unknown,
    :submitted, :now
);

-- name: publishes
select
    t.transaction_id, t.connect_id, t.submitted_by, t.envelopes, t.repeated, t.unknown,
    t.submitted,
    (select count(*) from delivery as d where d.connect_id = t.connect_id and d.state = 'waiting')
    + (select count(*) from delivery as d where d.connect_id = t.connect_id and d.state = 'held')
    + (
        select count(*) from delivery as d
        where d.connect_id = t.connect_id and d.state = 'in_flight'
    ) as unfinished,
    (
        select count(*) from delivery as d
        where
            d.account_id = t.account_id and d.connect_id = t.connect_id
            and d.failed_us is not null and d.state = 'failed'
    ) as failed,
    t.created_us, t.cancelled_us
from publish_transaction as t
where
    t.account_id = :account_id
    and (cast(:transaction_id as text) is null or t.transaction_id = :transaction_id)
order by t.created_us desc, t.transaction_id
limit :most;

-- name: publish_cancel
update publish_transaction set cancelled_us = coalesce(cancelled_us, :now)
where account_id = :account_id and transaction_id = :transaction_id
returning connect_id;

-- Relays.

-- name: relay_columns
relay.relay_id, relay.account_id, relay.name, relay.user_name, relay.sealed, relay.created_us;

-- name: relays
select {relay_columns} from relay where account_id = :account_id order by name;

-- name: relay
select {relay_columns} from relay where account_id = :account_id and name = :name;

-- name: relay_to_change
select {relay_columns} from relay where account_id = :account_id and name = :name
{for_update_of:relay};

-- name: relay_add
insert into relay (relay_id, account_id, name, user_name, sealed, created_us, changed_us)
values (:relay_id, :account_id, :name, :user_name, :sealed, :created, :created)
on conflict (account_id, name) do nothing;

-- name: relay_change
update relay set user_name = :user_name, sealed = :sealed, changed_us = :now
where account_id = :account_id and relay_id = :relay_id;

-- name: relay_delete
delete from relay where account_id = :account_id and relay_id = :relay_id;

-- name: sealed_relay
select relay_id as id, sealed from relay where sealed is not null order by relay_id
{for_update_of:relay};

-- name: reseal_relay
update relay set sealed = :sealed where relay_id = :id;

-- name: relay_message_add
insert into relay_message (message_id, account_id, event_id, created_us)
values (:message_id, :account_id, :event_id, :now);

-- name: relay_part_add
insert into relay_part (message_id, account_id, number, content)
values (:message_id, :account_id, :number, :content);

-- name: relay_part
select content from relay_part
where account_id = :account_id and message_id = :message_id and number = :number;

-- name: relay_messages_unnamed
-- Nothing that was accepted names them (any more).
select message_id from relay_message
where created_us < :before and not exists ({accepted_as:relay_message})
order by created_us limit :most;

-- name: relay_parts_delete
delete from relay_part where message_id {among_texts:message_ids};

-- name: relay_messages_delete
delete from relay_message where message_id {among_texts:message_ids};

-- name: relay_event_known
with asked as (select cast(:account_id as text) as account_id, cast(:event_id as text) as event_id)
select 1 as known from asked where exists ({accepted_as:asked});

-- name: relay_message_of
select message_id from relay_message where account_id = :account_id and message_id = :message_id;

-- name: relay_refusal_add
insert into relay_refusal (
    refusal_id, account_id, relay_id, created_us, reason, address, size, headers, content
)
select
    :refusal_id, relay.account_id, relay.relay_id, :created, :reason, :address, :size, :headers,
    :content
from relay where relay.account_id = :account_id and relay.relay_id = :relay_id;

-- name: relay_refusals_trim
delete from relay_refusal
where relay_id = :relay_id and refusal_id not in (
    select newest.refusal_id from relay_refusal as newest
    where newest.relay_id = :relay_id
    order by newest.created_us desc, newest.refusal_id limit :most
);

-- name: relay_refusals
select
    relay_refusal.created_us, relay_refusal.reason, relay_refusal.address, relay_refusal.size,
    relay_refusal.headers, relay_refusal.content
from relay_refusal
where relay_refusal.account_id = :account_id and relay_refusal.relay_id = :relay_id
order by relay_refusal.created_us desc, relay_refusal.refusal_id;

-- name: relay_refusals_delete
delete from relay_refusal where account_id = :account_id and relay_id = :relay_id;

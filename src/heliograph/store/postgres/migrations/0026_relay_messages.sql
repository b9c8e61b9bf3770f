-- Messages that came through a relay, byte for byte, in parts: an event that says so has them.
create table relay_message (
    message_id text primary key,
    account_id text not null references account,
    event_id text not null,
    created_us bigint not null
);

create index relay_message_by_time on relay_message (created_us);

create table relay_part (
    message_id text not null references relay_message,
    account_id text not null references account,
    number integer not null,
    content bytea not null,
    primary key (message_id, number)
);

-- The last messages that each relay did not take.
create table relay_refusal (
    refusal_id text primary key,
    account_id text not null references account,
    relay_id text not null references relay,
    created_us bigint not null,
    reason text not null,
    address text not null,
    size bigint not null,
    headers text not null,
    content bytea not null
);

create index relay_refusal_by_time on relay_refusal (relay_id, created_us, refusal_id);

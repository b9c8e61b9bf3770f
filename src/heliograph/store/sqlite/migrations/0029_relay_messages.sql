-- Messages that came through a relay, byte for byte, in parts: an event that says so has them.
create table relay_message (
    message_id text primary key,
    account_id text not null references account,
    event_id text not null,
    created_us integer not null
) strict;

create index relay_message_by_time on relay_message (created_us);

create table relay_part (
    message_id text not null references relay_message,
    account_id text not null references account,
    number integer not null,
    content blob not null,
    primary key (message_id, number)
) strict;

-- The last messages that each relay did not take.
create table relay_refusal (
    refusal_id text primary key,
    account_id text not null references account,
    relay_id text not null references relay,
    created_us integer not null,
    reason text not null,
    address text not null,
    size integer not null,
    headers text not null,
    content blob not null
) strict;

create index relay_refusal_by_time on relay_refusal (relay_id, created_us, refusal_id);

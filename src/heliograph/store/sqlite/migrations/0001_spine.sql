-- Times are microseconds since 1970 in UTC (column names end in _us). Columns named
-- sealed hold AES-GCM ciphertext, bound to their row (see keyring.py).

create table account (
    account_id text primary key,
    external_id integer not null unique,
    name text not null,
    -- Grows with each change of a configuration, so that an accept can tell whether the
    -- verdicts it was given are still true.
    configurations_version integer not null default 0,
    created_us integer not null
) strict, without rowid;

create table token (
    token_hash blob primary key,
    account_id text not null references account,
    name text not null,
    role text not null check (role in ('administrator')),
    created_us integer not null
) strict, without rowid;

create table hmac_key (
    key_id text primary key,
    account_id text not null references account,
    sealed blob not null,
    created_us integer not null,
    retired_us integer
) strict;

create index hmac_key_active on hmac_key (account_id, created_us, key_id) where retired_us is null;

create table connect_configuration (
    connect_id integer primary key autoincrement,
    account_id text not null references account,
    name text not null,
    url text not null,
    publishing integer not null check (publishing in (0, 1)),
    paused integer not null check (paused in (0, 1)),
    document blob not null,
    sealed blob,
    created_us integer not null,
    changed_us integer not null,
    deleted_us integer
) strict;

create index connect_configuration_live on connect_configuration (account_id, connect_id)
where deleted_us is null;

-- The newest summary of each envelope.
create table envelope (
    account_id text not null,
    envelope_id text not null,
    subject text,
    sender_name text,
    sender_email text,
    status text,
    generated_us integer not null,
    primary key (account_id, envelope_id)
) strict, without rowid;

-- What was published, kept as it came. The subject, sender and status are those of the
-- event's own time. The document comes last: listings never read its overflow pages.
create table event (
    event_row integer primary key autoincrement,
    account_id text not null references account,
    event_id text not null,
    name text not null,
    envelope_id text not null,
    subject text,
    sender_name text,
    sender_email text,
    status text not null,
    deliveries integer not null,
    generated_us integer not null,
    created_us integer not null,
    digest blob not null,
    document blob not null,
    unique (account_id, event_id)
) strict;

-- One event for one configuration: the queue, and the failure log, are rows of this table.
-- An open failure is a row whose failed_us is set.
create table delivery (
    delivery_id integer primary key autoincrement,
    account_id text not null,
    event_row integer not null references event,
    connect_id integer not null references connect_configuration,
    envelope_id text not null,
    state text not null
    check (state in ('waiting', 'held', 'in_flight', 'delivered', 'failed', 'cancelled')),
    due_us integer,
    held_reason text check (held_reason in ('paused', 'disabled')),
    epoch integer,
    attempt_id integer,
    cancelled_by text,
    seed integer not null,
    attempts integer not null default 0,
    schedule_attempts integer not null default 0,
    schedule_started_us integer not null,
    -- Claims since the last settle; counted before the work, so that a row which ends the
    -- process each time is noticed (R17).
    unsettled_claims integer not null default 0,
    failed_us integer,
    last_try_us integer,
    error text,
    created_us integer not null,
    check (state <> 'waiting' or due_us is not null),
    check ((state = 'held') = (held_reason is not null)),
    check ((state = 'in_flight') = (epoch is not null)),
    check ((state = 'cancelled') = (cancelled_by is not null)),
    check (state <> 'failed' or failed_us is not null),
    check (state not in ('delivered', 'cancelled') or failed_us is null)
) strict;

create index delivery_due on delivery (connect_id, due_us, delivery_id) where state = 'waiting';
create index delivery_in_flight on delivery (connect_id) where state = 'in_flight';
create index delivery_held on delivery (connect_id) where state = 'held';
create index delivery_event on delivery (event_row);
create index failure_listed on delivery (account_id, created_us, delivery_id)
where failed_us is not null;
create index failure_by_configuration
on delivery (account_id, connect_id, created_us, delivery_id) where failed_us is not null;
create index failure_by_envelope
on delivery (account_id, envelope_id, created_us, delivery_id) where failed_us is not null;

-- The same table of legal moves as model.LEGAL_MOVES; a test compares the two.
create table legal_move (
    from_state text not null,
    to_state text not null,
    primary key (from_state, to_state)
) strict, without rowid;

insert into legal_move (from_state, to_state) values
('waiting', 'waiting'), ('waiting', 'held'), ('waiting', 'in_flight'),
('waiting', 'failed'), ('waiting', 'cancelled'),
('held', 'held'), ('held', 'waiting'), ('held', 'failed'), ('held', 'cancelled'),
('in_flight', 'delivered'), ('in_flight', 'waiting'), ('in_flight', 'held'),
('in_flight', 'failed'), ('in_flight', 'cancelled'),
('failed', 'waiting'), ('failed', 'held'), ('failed', 'cancelled');

create trigger delivery_moves_legally before update of state on delivery
when not exists (
    select 1 from legal_move where from_state = old.state and to_state = new.state
)
begin
    select raise(abort, 'illegal move of a delivery');
end;

-- One POST each: opened by the claim, closed by the settle, never changed after (R5). A log
-- entry is an attempt whose configuration asked for a log and that nobody deleted from it.
create table attempt (
    attempt_id integer primary key autoincrement,
    delivery_id integer not null references delivery,
    account_id text not null,
    connect_id integer not null,
    envelope_id text not null,
    number integer not null,
    epoch integer not null,
    url text not null,
    started_us integer not null,
    outcome text not null check (outcome in ('open', 'delivered', 'failed', 'unknown')),
    logged integer not null default 0 check (logged in (0, 1)),
    milliseconds integer,
    phase text,
    error text,
    answer_status integer,
    answer_reason text,
    answer_headers text,
    answer_body blob
) strict;

create index attempt_open on attempt (attempt_id) where outcome = 'open';
create index attempt_of_delivery on attempt (delivery_id);
create index log_listed on attempt (account_id, started_us, attempt_id) where logged = 1;
create index log_by_configuration
on attempt (account_id, connect_id, started_us, attempt_id) where logged = 1;
create index log_by_envelope
on attempt (account_id, envelope_id, started_us, attempt_id) where logged = 1;

-- The process that owns this database (R20). One row; stopped_us is null while it runs.
create table node (
    only_one integer primary key check (only_one = 1),
    epoch integer not null,
    process_id integer not null,
    boot_id text not null,
    host text not null,
    started_us integer not null,
    beat_us integer not null,
    stopped_us integer
) strict;

-- Must always be empty (R4): what it shows is a delivery that nothing will ever end.
create view v_audit_orphans as
select
    d.delivery_id,
    'in flight for a node that is gone' as problem
from delivery as d
where
    d.state = 'in_flight'
    and d.epoch is not (select n.epoch from node as n where n.stopped_us is null)
union all
select
    d.delivery_id,
    'in flight without an open attempt' as problem
from delivery as d
left join attempt as a on d.attempt_id = a.attempt_id
where d.state = 'in_flight' and a.outcome is not 'open'
union all
select
    d.delivery_id,
    'waiting for a configuration that is not publishing' as problem
from delivery as d
inner join connect_configuration as c on d.connect_id = c.connect_id
where d.state = 'waiting' and (c.publishing = 0 or c.paused = 1 or c.deleted_us is not null)
union all
select
    d.delivery_id,
    'held by a configuration that is publishing' as problem
from delivery as d
inner join connect_configuration as c on d.connect_id = c.connect_id
where d.state = 'held' and c.publishing = 1 and c.paused = 0
union all
select
    d.delivery_id,
    'delivered without a delivered attempt' as problem
from delivery as d
left join attempt as a on d.attempt_id = a.attempt_id
where d.state = 'delivered' and a.outcome is not 'delivered'
union all
select
    a.delivery_id,
    'an open attempt that nothing will settle' as problem
from attempt as a
where
    a.outcome = 'open'
    and a.epoch is not (select n.epoch from node as n where n.stopped_us is null)
union all
select
    null as delivery_id,
    'event ' || e.event_id || ' lacks deliveries' as problem
from event as e
where e.deliveries <> (select count(*) from delivery as d where d.event_row = e.event_row);

-- Order (R6): a delivery may wait for an earlier one of its lane. SQLite cannot change a check,
-- so that the table is made anew; foreign keys are off while migrations run, and checked after.
drop view v_audit_orphans;

create table delivery_with_lane (
    delivery_id integer primary key autoincrement,
    account_id text not null,
    event_row integer not null references event,
    connect_id integer not null references connect_configuration,
    envelope_id text not null,
    -- What is kept in order within the configuration; null: nothing (R6).
    lane text,
    state text not null
    check (state in ('waiting', 'held', 'in_flight', 'delivered', 'failed', 'cancelled')),
    due_us integer,
    held_reason text check (held_reason in ('paused', 'disabled', 'order')),
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

insert into delivery_with_lane (
    delivery_id, account_id, event_row, connect_id, envelope_id, lane, state, due_us,
    held_reason, epoch, attempt_id, cancelled_by, seed, attempts, schedule_attempts,
    schedule_started_us, unsettled_claims, failed_us, last_try_us, error, created_us
)
select
    delivery_id, account_id, event_row, connect_id, envelope_id, envelope_id, state, due_us,
    held_reason, epoch, attempt_id, cancelled_by, seed, attempts, schedule_attempts,
    schedule_started_us, unsettled_claims, failed_us, last_try_us, error, created_us
from delivery;

drop table delivery;
alter table delivery_with_lane rename to delivery;

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
create index delivery_lane on delivery (connect_id, lane, delivery_id)
where state in ('waiting', 'held', 'in_flight') and lane is not null;

create trigger delivery_moves_legally before update of state on delivery
when not exists (
    select 1 from legal_move where from_state = old.state and to_state = new.state
)
begin
    select raise(abort, 'illegal move of a delivery');
end;

-- Which file this is (its inode), so that a copy that is started elsewhere is noticed (F23).
alter table node add column file_id text;

-- What must never be (R4), of what is unfinished: cheap enough for a metric.
create view v_audit_live as
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
where
    d.state = 'held' and d.held_reason <> 'order' and c.publishing = 1 and c.paused = 0
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
    d.delivery_id,
    'held for an order that nothing keeps' as problem
from delivery as d
where
    d.state = 'held' and d.held_reason = 'order'
    and not exists (
        select 1 from delivery as earlier
        where
            earlier.connect_id = d.connect_id and earlier.lane = d.lane
            and earlier.delivery_id < d.delivery_id
            and earlier.state in ('waiting', 'held', 'in_flight')
    );

-- Must always be empty (R4): what it shows is a delivery that nothing will ever end, or an
-- end that nothing explains.
create view v_audit_orphans as
select delivery_id, problem from v_audit_live
union all
select
    d.delivery_id,
    'delivered without a delivered attempt' as problem
from delivery as d
left join attempt as a on d.attempt_id = a.attempt_id
where d.state = 'delivered' and a.outcome is not 'delivered'
union all
select
    null as delivery_id,
    'event ' || e.event_id || ' lacks deliveries' as problem
from event as e
where e.deliveries <> (select count(*) from delivery as d where d.event_row = e.event_row);

-- An attempt has its row when it has ended. Until then the delivery's row tells of it: its id, its
-- number, and when it was claimed.
alter table delivery add column claimed_us integer;

update delivery
set claimed_us = (select a.started_us from attempt as a where a.attempt_id = delivery.attempt_id)
where state = 'in_flight';

delete from attempt
where
    outcome = 'open'
    and attempt_id in (select d.attempt_id from delivery as d where d.state = 'in_flight');

-- The others are of failures that were deleted meanwhile.
update attempt
set
    outcome = 'unknown',
    error = 'the process ended before the outcome was known',
    logged = coalesce((
        select lower(trim(json_extract(cast(c.document as text), '$.enableLog'))) = 'true'
        from connect_configuration as c where c.connect_id = attempt.connect_id
    ), 0)
where outcome = 'open';

drop index attempt_open;

drop view v_audit_orphans;
drop view v_audit_live;

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
where
    d.state = 'in_flight'
    and (
        d.attempt_id is null or d.claimed_us is null
        or exists (select 1 from attempt as a where a.attempt_id = d.attempt_id)
    )
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

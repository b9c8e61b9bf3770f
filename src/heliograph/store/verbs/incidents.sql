-- Incidents: open failures by cause. Who counts them is a trigger of `delivery`; see the migrations.

-- name: incident_columns
i.incident_id, i.account_id, i.connect_id, c.name as config_name, i.phase, i.what,
{incident_failures} as failures, i.opened_us, i.changed_us, i.closed_us, i.told,
i.acknowledged_us, i.acknowledged_by, i.note,
(
    select d.delivery_id from delivery as d
    where
        d.account_id = i.account_id and d.connect_id = i.connect_id and d.phase = i.phase
        and d.what = i.what and d.failed_us is not null
    order by d.created_us desc, d.delivery_id desc
    limit 1
) as sample_id;

-- name: incidents
select {incident_columns}
from incident as i
left join connect_configuration as c on i.connect_id = c.connect_id
where i.account_id = :account_id {filters}
order by i.opened_us desc, i.incident_id desc
limit :limit;

-- name: incidents_open
and i.closed_us is null and {incident_failures} > 0;

-- name: incidents_closed
-- What is empty is closed within seconds.
and (i.closed_us is not null or {incident_failures} <= 0);

-- name: incidents_connect_id
and i.connect_id = :connect_id;

-- name: incidents_after
and (i.opened_us, i.incident_id) < (:after_us, :after_id);

-- name: only_incident
and i.incident_id = :incident_id;

-- name: incident_envelopes
select count(*) as failures, count(distinct newest.envelope_id) as envelopes
from (
    select d.envelope_id from delivery as d
    where
        d.account_id = :account_id and d.connect_id = :connect_id and d.phase = :phase
        and d.what = :what and d.failed_us is not null
    order by d.created_us desc, d.delivery_id desc
    limit :most
) as newest;

-- name: incident_minutes
select incident_id, minute, failures from incident_minute
where incident_id {among_numbers:incident_ids}
order by incident_id, minute;

-- name: incident_acknowledge
update incident
set acknowledged_us = :at, acknowledged_by = :who, note = :note
where account_id = :account_id and incident_id = :incident_id;

-- name: incidents_close
update incident as i set closed_us = :now
where i.closed_us is null and {incident_failures} <= 0;

-- name: incidents_sample
-- Once a minute.
insert into incident_minute (incident_id, minute, failures)
select i.incident_id, :minute, i.failures from incident as i
where
    i.closed_us is null
    and not exists (select 1 from incident_minute as m where m.minute = :minute)
on conflict do nothing;

-- name: incidents_forget_minutes
delete from incident_minute where minute < :oldest;

-- name: incidents_untold
-- What has opened, has grown tenfold or is closed since somebody was told.
select {incident_columns}
from incident as i
left join connect_configuration as c on i.connect_id = c.connect_id
where
    i.incident_id in (
        select o.incident_id from incident as o
        where o.closed_us is null and o.failures > 0 and (o.told = 0 or o.failures >= 10 * o.told)
        union all
        select o.incident_id from incident as o
        where o.closed_us is not null and o.told > 0
    )
order by i.opened_us, i.incident_id
limit :most;

-- name: incidents_told
update incident set told = case when closed_us is null then failures else 0 end
where incident_id {among_numbers:incident_ids};

-- name: incidents_retire
delete from incident
where closed_us < :before and told = 0 and failures = 0;

-- name: failures_unnamed
-- Failures that were written by an older version.
select delivery_id, error from delivery
where failed_us is not null and phase is null
order by delivery_id
limit :most
{skip_locked};

-- name: failures_name
update delivery set phase = :phase, what = :what
where
    delivery_id {among_numbers:delivery_ids} and failed_us is not null and phase is null;

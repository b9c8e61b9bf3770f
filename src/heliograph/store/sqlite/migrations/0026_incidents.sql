-- Open failures by their cause (docs/decisions/0042): a failure says its phase and what happened, and a
-- trigger counts it in the same transaction, whichever statement changed it. The trigger looks at
-- statements alone that set one of its columns: what is accepted and delivered sets none.
alter table delivery add column phase text;
alter table delivery add column what text;

create table incident (
    incident_id integer primary key autoincrement,
    account_id text not null,
    connect_id integer not null,
    phase text not null,
    what text not null,
    -- Failures that are open now.
    failures integer not null,
    -- When the oldest of this time failed, and when the newest came to it.
    opened_us integer not null,
    changed_us integer not null,
    -- Null while it is open.
    closed_us integer,
    -- How many failures it had when somebody was told of it; 0: nobody was.
    told integer not null default 0,
    acknowledged_us integer,
    acknowledged_by text,
    note text,
    unique (connect_id, phase, what)
) strict;

create index incident_listed on incident (account_id, opened_us, incident_id);
create index incident_open on incident (account_id, opened_us, incident_id) where closed_us is null;
create index incident_closed on incident (closed_us) where closed_us is not null;

-- How many failures open incidents had, a minute each, for the last hour.
create table incident_minute (
    incident_id integer not null,
    minute integer not null,
    failures integer not null,
    primary key (incident_id, minute)
) strict, without rowid;

create index incident_minute_old on incident_minute (minute);

create index failure_by_incident
on delivery (account_id, connect_id, phase, what, created_us, delivery_id)
where failed_us is not null;
create index failure_by_cause on delivery (account_id, phase, what, created_us, delivery_id)
where failed_us is not null;
create index failure_by_phase on delivery (account_id, phase, created_us, delivery_id)
where failed_us is not null;
-- Those of older versions, which are given their cause by and by.
create index failure_unnamed on delivery (delivery_id)
where failed_us is not null and phase is null;

insert into incident (account_id, connect_id, phase, what, failures, opened_us, changed_us)
select
    account_id, connect_id, 'unknown', 'unknown', count(*), min(failed_us), max(failed_us)
from delivery
where failed_us is not null
group by account_id, connect_id;

create trigger delivery_counts_in_incidents after update of failed_us, phase, what on delivery
when
    (old.failed_us is null) <> (new.failed_us is null)
    or (
        new.failed_us is not null
        and (old.phase is not new.phase or old.what is not new.what)
    )
begin
    update incident set failures = failures - 1
    where
        old.failed_us is not null and connect_id = old.connect_id
        and phase = coalesce(old.phase, 'unknown') and what = coalesce(old.what, 'unknown');

    insert into incident (account_id, connect_id, phase, what, failures, opened_us, changed_us)
    select
        new.account_id, new.connect_id, coalesce(new.phase, 'unknown'),
        coalesce(new.what, 'unknown'), 1, max(new.failed_us, coalesce(new.last_try_us, 0)),
        max(new.failed_us, coalesce(new.last_try_us, 0))
    where new.failed_us is not null
    on conflict (connect_id, phase, what) do update set
        failures = failures + 1,
        opened_us = case
            when closed_us is null then min(opened_us, excluded.opened_us)
            else excluded.opened_us
        end,
        changed_us = max(changed_us, excluded.changed_us),
        told = case when closed_us is null then told else 0 end,
        acknowledged_us = case when closed_us is null then acknowledged_us end,
        acknowledged_by = case when closed_us is null then acknowledged_by end,
        note = case when closed_us is null then note end,
        closed_us = null;
end;

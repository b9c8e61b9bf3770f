-- Republish jobs: what shall be asked for again, how carefully, and how far that is. `selection` is
-- canonical JSON of the filters; what they select is what was there at created_us.
create table republish_job (
    job_id integer primary key autoincrement,
    account_id text not null references account,
    source text not null check (source in ('failures', 'delivered')),
    selection text not null,
    started_by text not null,
    rate integer,
    ramp integer not null,
    canary integer not null,
    stop_percent integer not null,
    state text not null
    check (state in ('running', 'paused', 'stopped', 'cancelled', 'finished')),
    why text,
    total integer not null,
    asked integer not null default 0,
    passed_over integer not null default 0,
    delivered integer not null default 0,
    failed integer not null default 0,
    walked integer not null default 0 check (walked in (0, 1)),
    canary_passed integer not null default 0 check (canary_passed in (0, 1)),
    base_asked integer not null default 0,
    base_delivered integer not null default 0,
    base_failed integer not null default 0,
    cursor_us integer not null default 0,
    cursor_id integer not null default 0,
    -- Grows with each change but of outcomes and of who runs it: whoever has read an older one changes
    -- nothing (R24).
    step integer not null default 0,
    runner text,
    lease_until_us integer not null default 0,
    created_us integer not null,
    began_us integer not null,
    paced_us integer not null,
    ended_us integer,
    check ((state in ('cancelled', 'finished')) = (ended_us is not null))
) strict;

create index republish_job_listed on republish_job (account_id, created_us, job_id);
create index republish_job_running on republish_job (job_id) where state = 'running';
create index republish_job_ended on republish_job (ended_us) where ended_us is not null;

-- The job that has asked for a delivery which has no outcome yet.
alter table delivery add column job_id integer;

create index delivery_of_job on delivery (job_id, state)
where job_id is not null and state in ('waiting', 'held', 'in_flight');

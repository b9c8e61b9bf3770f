-- Republish jobs.

-- name: job_add
insert into republish_job (
    account_id, source, selection, started_by, rate, ramp, canary, stop_percent, state, total,
    created_us, began_us, paced_us
)
values (
    :account_id, :source, :selection, :started_by, :rate, :ramp, :canary, :stop_percent, 'running',
    :total, :now, :now, :now
)
returning job_id;

-- name: jobs_open
select count(*) as number from republish_job
where account_id = :account_id and ended_us is null;

-- name: job_shown
-- What was asked for and has no outcome yet is found by an index, of that alone.
select
    j.*,
    (
        select count(*) from delivery as d
        where d.job_id = j.job_id and d.state in ('waiting', 'held', 'in_flight')
    ) as pending,
    (
        select count(*) from delivery as d
        where
            d.job_id = j.job_id and d.state in ('waiting', 'held', 'in_flight')
            and d.state <> 'held'
    ) as outstanding
from republish_job as j;

-- name: job
{job_shown}
where j.account_id = :account_id and j.job_id = :job_id;

-- name: job_locked
select job_id from republish_job
where account_id = :account_id and job_id = :job_id
{for_update_of:republish_job};

-- name: jobs
{job_shown}
where
    j.account_id = :account_id and (j.created_us, j.job_id) < (:after_us, :after_id)
order by j.created_us desc, j.job_id desc
limit :most;

-- name: jobs_running
{job_shown}
where j.state = 'running'
order by j.job_id;

-- name: job_take
update republish_job set runner = :runner, lease_until_us = :until
where
    job_id = :job_id and state = 'running'
    and (runner is null or runner = :runner or lease_until_us < :now);

-- name: job_let_go
update republish_job set runner = null where state = 'running' and runner = :runner;

-- name: job_failures
-- The next failures of a job: those that were open when it was made, and are so still.
select d.created_us, d.delivery_id, d.connect_id
from {failures_then_events}
where
    d.account_id = :account_id and d.failed_us is not null {filters}
order by {order}
limit :limit;

-- name: failures_until
and d.failed_us <= :frozen;

-- name: job_asks_ended
-- Retries had ended: the schedule begins anew, and it has left its lane, as `requeue_ended` has it. The
-- ids lead there: an index of the account's failures would be read whole.
update delivery
set
    state = case when c.held is null then 'waiting' else 'held' end,
    held_reason = c.held,
    due_us = :now,
    lane = null,
    schedule_attempts = 0,
    schedule_started_us = :now,
    job_id = :job_id
from connect_configuration as c
where
    delivery.connect_id = c.connect_id and c.deleted_us is null
    and delivery.account_id || '' = :account_id and delivery.delivery_id {among_numbers:ids}
    and delivery.state = 'failed' and delivery.failed_us <= :frozen;

-- name: job_asks_waiting
-- What waits for its next try is tried now. The ids lead there, too.
update delivery
set due_us = case when due_us < :now then due_us else :now end, job_id = :job_id
where
    account_id || '' = :account_id and delivery_id {among_numbers:ids}
    and state = 'waiting' and failed_us <= :frozen;

-- name: job_stepped
-- The last of a step's statements, as a settle counts outcomes last: neither waits for the other
-- crosswise. Where it changes no row the step is undone.
update republish_job
set
    asked = asked + :asked,
    passed_over = passed_over + :passed_over,
    cursor_us = :cursor_us,
    cursor_id = :cursor_id,
    walked = :walked,
    paced_us = :paced_us,
    step = step + 1
where job_id = :job_id and step = :step and state = 'running';

-- name: job_ruled
update republish_job
set
    state = :state,
    why = :why,
    rate = :rate,
    ramp = :ramp,
    canary_passed = :canary_passed,
    base_asked = :base_asked,
    base_delivered = :base_delivered,
    base_failed = :base_failed,
    began_us = :began_us,
    paced_us = :paced_us,
    ended_us = :ended_us,
    step = step + 1
where job_id = :job_id and step = :step;

-- name: job_answered
update republish_job set delivered = delivered + :delivered, failed = failed + :failed
where job_id = :job_id;

-- name: job_left
-- They have their outcome: what becomes of these failures later is not the job's.
update delivery set job_id = null where job_id = :job_id and delivery_id {among_numbers:ids};

-- name: jobs_retire
delete from republish_job where ended_us < :before;

-- name: failures_uncertain
-- Those to which something was sent, and of which no whole answer was read: the phases of the error.
select count(*) as number
from delivery as d
inner join event as e on {event_of:d}
where
    d.account_id = :account_id and d.failed_us is not null
    and (d.error like 'write: %' or d.error like 'headers: %' or d.error like 'body: %') {filters};

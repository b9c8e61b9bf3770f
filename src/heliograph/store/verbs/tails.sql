-- Listings that are followed. Where rows become visible in another order than the listing's, an engine
-- says how far all that will ever be there is there: `tail_logs_end`, `tail_events_end`.

-- name: tail_in_flight
-- Posts that were taken on: the row of each will lie at that time in the log, or behind it.
select d.claimed_us, d.attempt_id
from delivery as d
where d.account_id = :account_id and d.state = 'in_flight'
order by d.claimed_us, d.attempt_id
limit :most;

-- name: logs_until
and (a.started_us, a.attempt_id) <= (:until_us, :until_id);

-- name: logs_ended
-- Those that lie behind the place come in their turn.
and a.attempt_id {among_numbers:ended} and (a.started_us, a.attempt_id) <= (:since_us, :since_id);

-- name: events_until
and (e.created_us, e.event_row) <= (:until_us, :until_id);

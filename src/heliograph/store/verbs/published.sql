-- Events, and deliveries in any state, by when the event was accepted. A listing of deliveries begins
-- with events where what it asks for is of an event, else with deliveries: so each filter is served by
-- an index that has the order too.

-- name: events_listed
select {event_columns}
from event as e
where e.account_id = :account_id {filters}
order by {order}
limit :limit;

-- name: events_counted
select count(*) as number from (
    select 1 from event as e
    where e.account_id = :account_id {filters}
    limit :most
) as few;

-- name: event_columns
e.created_us, e.event_row, e.event_id, e.name, e.envelope_id, e.subject, e.sender_name,
e.sender_email, e.status, e.deliveries, e.generated_us;

-- name: event_detail
select {event_columns}, e.document
from {event_of_id}
where e.account_id = :account_id and e.event_id = :event_id;

-- name: deliveries_of_events
select {delivery_columns}
from {events_then_deliveries}
where e.account_id = :account_id {filters}
order by {order}
limit :limit;

-- name: deliveries_listed
select {delivery_columns}
from {deliveries_then_events}
where d.account_id = :account_id {filters}
order by {order}
limit :limit;

-- name: deliveries_of_events_counted
select count(*) as number from (
    select 1 from {events_then_deliveries}
    where e.account_id = :account_id {filters}
    limit :most
) as few;

-- name: deliveries_listed_counted
select count(*) as number from (
    select 1 from {deliveries_then_events}
    where d.account_id = :account_id {filters}
    limit :most
) as few;

-- name: last_posts
-- All it reads is in an index of the log, but for how long each took and how it ended.
select a.started_us, a.milliseconds, a.outcome
from attempt as a
where a.account_id = :account_id and {logged} {filters}
order by {order}
limit :limit;

-- name: backlog
-- As the index by state has it.
select
    (
        select count(*) from (
            select 1 from delivery as d
            where d.account_id = :account_id and d.state = 'waiting' and d.state <> 'in_flight'
            limit :most
        ) as few
    ) as waiting,
    (
        select count(*) from (
            select 1 from delivery as d
            where d.account_id = :account_id and d.state = 'held' and d.state <> 'in_flight'
            limit :most
        ) as few
    ) as held,
    (
        select count(*) from (
            select 1 from delivery as d
            where d.account_id = :account_id and d.state = 'in_flight'
            limit :most
        ) as few
    ) as in_flight;

-- name: backlog_of_configuration
-- By the indexes of what is due, held or in flight, which begin with its id.
select
    (
        select count(*) from (
            select 1 from {backlog_due}
            where d.account_id = :account_id and d.connect_id = :connect_id and d.state = 'waiting'
            limit :most
        ) as few
    ) as waiting,
    (
        select count(*) from (
            select 1 from {backlog_held}
            where d.account_id = :account_id and d.connect_id = :connect_id and d.state = 'held'
            limit :most
        ) as few
    ) as held,
    (
        select count(*) from (
            select 1 from {backlog_in_flight}
            where d.account_id = :account_id and d.connect_id = :connect_id and d.state = 'in_flight'
            limit :most
        ) as few
    ) as in_flight;

-- name: servers
select count(*) as number from node where stopped_us is null {and_alive};

-- name: delivery_columns
{event_columns}, d.delivery_id, d.connect_id, c.name as config_name, c.url as config_url,
d.recipient, d.state, d.held_reason, d.cancelled_by, d.attempts, {last_try_of_delivery} as last_try_us,
d.due_us, d.error, d.failed_us, d.resent_by;

-- name: only_delivery
and d.delivery_id = :row_id;

-- name: only_attempts_of_delivery
and a.delivery_id = :row_id;

-- name: events_from_date
and e.created_us >= :from_us;

-- name: events_to_date
and e.created_us <= :to_us;

-- name: events_envelope_id
and e.envelope_id = :envelope_id;

-- name: events_name
and lower(e.name) = lower(:name);

-- name: events_sender
-- The indexes are of those alone that have one.
and lower(e.sender_email) = lower(:sender) and e.sender_email is not null;

-- name: events_subject
and lower(e.subject) = lower(:subject) and e.subject is not null;

-- name: events_after_newest_first
and (e.created_us, e.event_row) < (:after_us, :after_id);

-- name: events_after_oldest_first
and (e.created_us, e.event_row) > (:after_us, :after_id);

-- name: events_newest_first
e.created_us desc, e.event_row desc;

-- name: events_oldest_first
e.created_us, e.event_row;

-- name: deliveries_connect_id
and d.connect_id = :connect_id;

-- name: deliveries_state
-- As the index by state has it.
and d.state = :state and d.state <> 'in_flight';

-- name: deliveries_state_also
-- Not that index: most are delivered, and another filter finds fewer.
and d.state = :state;

-- name: deliveries_in_flight
and d.state = 'in_flight';

-- name: deliveries_from_date
and d.created_us >= :from_us;

-- name: deliveries_to_date
and d.created_us <= :to_us;

-- name: deliveries_after_newest_first
and (d.created_us, d.delivery_id) < (:after_us, :after_id);

-- name: deliveries_after_oldest_first
and (d.created_us, d.delivery_id) > (:after_us, :after_id);

-- name: deliveries_newest_first
d.created_us desc, d.delivery_id desc;

-- name: deliveries_oldest_first
d.created_us, d.delivery_id;

-- name: deliveries_of_events_after_newest_first
-- The first tells where in the index of events it begins.
and e.created_us <= :after_us and (e.created_us, d.delivery_id) < (:after_us, :after_id);

-- name: deliveries_of_events_after_oldest_first
and e.created_us >= :after_us and (e.created_us, d.delivery_id) > (:after_us, :after_id);

-- name: deliveries_of_events_newest_first
e.created_us desc, d.delivery_id desc;

-- name: deliveries_of_events_oldest_first
e.created_us, d.delivery_id;

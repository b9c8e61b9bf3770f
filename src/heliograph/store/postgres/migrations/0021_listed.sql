-- Events, and deliveries in any state, are listed by when the event was accepted; each filter has an
-- index in that order (docs/decisions/0041).
create index event_listed on event (account_id, created_us, event_row);
create index event_by_name on event (account_id, lower(name), created_us, event_row);
create index event_by_envelope on event (account_id, envelope_id, created_us, event_row);
create index event_by_sender on event (account_id, lower(sender_email), created_us, event_row)
where sender_email is not null;
create index event_by_subject on event (account_id, lower(subject), created_us, event_row)
where subject is not null;

create index delivery_event on delivery (event_row);
create index delivery_by_configuration on delivery (connect_id, created_us, delivery_id);
-- What is in flight has an index of its own, and is little.
create index delivery_by_state on delivery (account_id, state, created_us, delivery_id)
where state <> 'in_flight';
create index delivery_ended_by_configuration
on delivery_ended (connect_id, created_us, delivery_id);
create index delivery_ended_by_state
on delivery_ended (account_id, state, created_us, delivery_id);
-- An envelope's are found by its events.
drop index delivery_ended_envelope;

-- Deliveries in any state: those of the queue, and those that have left it.
create view v_delivery as
select
    delivery_id, created_us, event_row, account_id, connect_id, envelope_id, state, due_us,
    held_reason, null::text as cancelled_by, attempts, failed_us, last_try_us,
    null::bigint as ended_us, error, resent_by, recipient
from delivery
union all
select
    delivery_id, created_us, event_row, account_id, connect_id, envelope_id, state,
    null::bigint as due_us, null::text as held_reason, cancelled_by, attempts,
    null::bigint as failed_us, null::bigint as last_try_us, ended_us, null::text as error,
    null::text as resent_by, recipient
from delivery_ended;

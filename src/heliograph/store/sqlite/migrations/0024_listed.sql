-- Events, and deliveries in any state, are listed by when the event was accepted; each filter has an
-- index in that order (docs/decisions/0041). Three of them take the place of one without it.
create index event_listed on event (account_id, created_us);
create index event_by_name on event (account_id, lower(name), created_us);
drop index event_of_envelope;
create index event_by_envelope on event (account_id, envelope_id, created_us);
create index event_by_sender on event (account_id, lower(sender_email), created_us)
where sender_email is not null;
create index event_by_subject on event (account_id, lower(subject), created_us)
where subject is not null;

drop index delivery_of_configuration;
create index delivery_by_configuration on delivery (connect_id, created_us);
-- What is in flight has an index of its own, and is little. Retention looks here too.
drop index delivery_ended;
create index delivery_by_state on delivery (account_id, state, created_us)
where state <> 'in_flight';

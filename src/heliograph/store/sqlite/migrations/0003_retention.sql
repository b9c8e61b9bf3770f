-- What retention looks for (R14), so that it never reads a table from end to end.
create index delivery_ended on delivery (created_us, delivery_id)
where state in ('delivered', 'cancelled');
create index event_unwanted on event (created_us) where deliveries = 0;
create index event_of_envelope on event (account_id, envelope_id);

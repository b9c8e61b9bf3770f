-- The event that says most of an envelope now: aggregate messages and historical publishing
-- show it.
alter table envelope add column event_row integer;

update envelope set event_row = (
    select e.event_row from event as e
    where e.account_id = envelope.account_id and e.envelope_id = envelope.envelope_id
    order by e.generated_us desc, e.event_row desc
    limit 1
);

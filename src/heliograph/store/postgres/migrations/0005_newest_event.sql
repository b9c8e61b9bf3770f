-- The event that says most of an envelope now, and its place: aggregate messages and historical
-- publishing show it. A node of the version before leaves them as they are.
alter table envelope
    add column event_row bigint,
    add column event_created_us bigint;

update envelope as v
set event_row = e.event_row, event_created_us = e.created_us
from (
    select distinct on (account_id, envelope_id) account_id, envelope_id, event_row, created_us
    from event
    order by account_id, envelope_id, generated_us desc, event_row desc
) as e
where e.account_id = v.account_id and e.envelope_id = v.envelope_id;

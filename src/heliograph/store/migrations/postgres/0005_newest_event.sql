-- The event that says most of an envelope now, and its place: aggregate messages show it when
-- they are sent. Null for envelopes of which nothing was published since these columns are
-- there; a node of the version before leaves them as they are.
alter table envelope
    add column event_row bigint,
    add column event_created_us bigint;

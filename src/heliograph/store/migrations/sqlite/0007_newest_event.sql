-- The event that says most of an envelope now: aggregate messages show it when they are sent.
-- Null for envelopes of which nothing was published since this column is there.
alter table envelope add column event_row integer;

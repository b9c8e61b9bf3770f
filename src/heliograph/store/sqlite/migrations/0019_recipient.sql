-- Whom of an envelope's recipients a delivery is for, by the user's id, where each of them gets one
-- (Recipient Connect).
alter table delivery add column recipient text;

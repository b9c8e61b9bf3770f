-- When the node last looked for what is due, as far as it has said (R21). One of the version before
-- never says so; nor does one that does not send.
alter table node add column looked_us bigint;

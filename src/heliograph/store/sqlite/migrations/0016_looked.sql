-- When the node last looked for what is due, as far as it has said (R21).
alter table node add column looked_us integer;

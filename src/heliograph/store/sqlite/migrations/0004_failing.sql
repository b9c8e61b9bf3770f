-- Configurations whose listener has taken nothing since a time: from the first failed attempt
-- to the next success. Who fails for long is told about, and then taken out of service.
create table failing_configuration (
    connect_id integer primary key references connect_configuration,
    since_us integer not null,
    warned_us integer
) strict;

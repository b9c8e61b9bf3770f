-- Configurations whose listener has taken nothing since a time: from the first failed attempt
-- to the next success. Who fails for long is told about, and then taken out of service.
-- No foreign key: its check would lock the configuration's row in each settle.
create table failing_configuration (
    connect_id bigint primary key,
    since_us bigint not null,
    warned_us bigint
);

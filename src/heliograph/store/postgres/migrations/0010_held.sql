-- Why a configuration holds its deliveries, decided here alone (`ConnectConfiguration.held`). A
-- node of the version before decides it by itself, from the same columns. The table is written
-- anew, which takes moments: it has a row for each configuration.
alter table connect_configuration add column held text generated always as (
    case when not publishing then 'disabled' when paused then 'paused' end
) stored;

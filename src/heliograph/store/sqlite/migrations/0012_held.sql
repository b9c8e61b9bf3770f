-- Why a configuration holds its deliveries, decided here alone (`ConnectConfiguration.held`).
alter table connect_configuration add column held text generated always as (
    case when publishing = 0 then 'disabled' when paused = 1 then 'paused' end
) virtual;

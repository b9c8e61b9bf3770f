-- The version of its account's configurations that a configuration's last change made: who knows an
-- older one reads what is newer, and not all. A configuration is written after its version was raised.
alter table connect_configuration add column version integer not null default 0;

create index connect_configuration_changed on connect_configuration (account_id, version)
where ad_hoc is null;

create trigger connect_configuration_keeps_version
after update of document, deleted_us on connect_configuration
begin
    update connect_configuration
    set version = (
        select a.configurations_version from account as a where a.account_id = new.account_id
    )
    where connect_id = new.connect_id;
end;

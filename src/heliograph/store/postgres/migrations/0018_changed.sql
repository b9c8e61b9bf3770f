-- The version of its account's configurations that a configuration's last change made: who knows an
-- older one reads what is newer, and not all. A configuration is written after its version was raised.
-- A trigger keeps it, so that what a node of an older version changes is seen too (R16).
alter table connect_configuration add column version bigint not null default 0;

create index connect_configuration_changed on connect_configuration (account_id, version)
where ad_hoc is null;

create function keep_configuration_version() returns trigger language plpgsql as $$
begin
    new.version := (select configurations_version from account where account_id = new.account_id);
    return new;
end $$;

create trigger connect_configuration_keeps_version
before update of document, deleted_us on connect_configuration
for each row execute function keep_configuration_version();

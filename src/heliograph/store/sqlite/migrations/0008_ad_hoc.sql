-- Configurations that no caller lists: what a publisher asked for with an event of an envelope.
-- `ad_hoc` is the digest of what was asked for, so that asking for the same again adds none.
alter table connect_configuration add column ad_hoc blob;

create unique index connect_configuration_ad_hoc on connect_configuration (account_id, ad_hoc)
where ad_hoc is not null and deleted_us is null;

-- Whom the events of an envelope go to beside the account's configurations.
create table envelope_notification (
    account_id text not null,
    envelope_id text not null,
    connect_id integer not null references connect_configuration,
    primary key (account_id, envelope_id, connect_id)
) strict, without rowid;

create index envelope_notification_of on envelope_notification (connect_id);

-- Who did what to what. Entries are added, and deleted only once they are older than what is kept;
-- details is a JSON list of [name, before, after].
create table audit_entry (
    entry_id integer primary key autoincrement,
    account_id text not null references account,
    created_us integer not null,
    actor text not null,
    token_id text not null,
    user_id text,
    address text not null,
    action text not null,
    what text not null,
    details text not null
) strict;

create index audit_entry_by_time on audit_entry (account_id, created_us, entry_id);
create index audit_entry_by_actor on audit_entry (account_id, actor, created_us, entry_id);
create index audit_entry_by_action on audit_entry (account_id, action, created_us, entry_id);
create index audit_entry_by_what on audit_entry (account_id, what, created_us, entry_id);

-- One row: what is older may be deleted.
create table audit_kept (
    only_one integer primary key check (only_one = 1),
    from_us integer not null
) strict;

insert into audit_kept (only_one, from_us) values (1, 0);

create trigger audit_entry_stays_as_it_is before update on audit_entry
begin
    select raise(abort, 'an entry of the audit is not changed');
end;

-- What is replaced fires no trigger of a deletion.
create trigger audit_entry_is_not_replaced before insert on audit_entry
when exists (select 1 from audit_entry where entry_id = new.entry_id)
begin
    select raise(abort, 'an entry of the audit is not changed');
end;

create trigger audit_entry_is_kept before delete on audit_entry
when old.created_us >= coalesce((select from_us from audit_kept), -9223372036854775808)
begin
    select raise(abort, 'an entry of the audit is deleted by its age alone');
end;

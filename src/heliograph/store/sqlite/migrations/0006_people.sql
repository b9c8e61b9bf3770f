-- People of an account, the groups they are in, and tokens that act for a person, end, or can
-- be withdrawn. A user belongs to one account; a configuration names users and groups by id.
create table account_user (
    user_id text primary key,
    account_id text not null references account,
    email text not null,
    name text not null,
    given_name text not null default '',
    family_name text not null default '',
    role text not null check (role in ('administrator', 'viewer')),
    status text not null check (status in ('active', 'closed')),
    -- scrypt, with its salt and parameters; null: this user cannot sign in with a password.
    password_hash text,
    created_us integer not null,
    changed_us integer not null
) strict, without rowid;

create index account_user_listed on account_user (account_id, name, user_id);
create unique index account_user_email on account_user (lower(email)) where status = 'active';

create table user_group (
    group_id integer primary key autoincrement,
    account_id text not null references account,
    name text not null,
    created_us integer not null,
    unique (account_id, name)
) strict;

create table group_member (
    group_id integer not null references user_group on delete cascade,
    user_id text not null references account_user on delete cascade,
    primary key (group_id, user_id)
) strict, without rowid;

create index group_member_user on group_member (user_id);

alter table token rename to token_before;

-- `scopes` are separated by blanks, null stands for all; `integration_key` is the application
-- that asked for the token.
create table token (
    token_hash blob primary key,
    account_id text not null references account,
    name text not null,
    role text not null check (role in ('administrator', 'viewer')),
    created_us integer not null,
    user_id text references account_user,
    scopes text,
    integration_key text,
    expires_us integer,
    revoked_us integer
) strict, without rowid;

insert into token (token_hash, account_id, name, role, created_us)
select token_hash, account_id, name, role, created_us from token_before;

drop table token_before;

create index token_account on token (account_id, created_us);
create index token_expiry on token (expires_us) where expires_us is not null;

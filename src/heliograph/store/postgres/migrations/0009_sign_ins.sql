-- Applications that sign users in, whom users let them act for, and what grants leave behind.
-- Keys, secrets and consents go with their application; texts of secrets, codes, tokens and
-- sessions are nowhere: only their SHA-256.
create table application (
    integration_key text primary key,
    account_id text not null references account,
    name text not null,
    -- A JSON list.
    redirect_uris text not null,
    -- What it may do in its own name.
    rights text not null check (rights in ('none', 'viewer', 'administrator')),
    created_us bigint not null
);

create index application_account on application (account_id, name, integration_key);

create table application_key (
    key_id text primary key,
    integration_key text not null references application on delete cascade,
    -- PEM.
    public_key text not null,
    created_us bigint not null
);

create index application_key_application on application_key (integration_key);

create table application_secret (
    secret_id text primary key,
    integration_key text not null references application on delete cascade,
    secret_hash bytea not null,
    created_us bigint not null
);

create index application_secret_application on application_secret (integration_key);

-- `scopes` are separated by blanks; `granted_by` is the user's own id, or an administrator's
-- token by its name.
create table consent (
    integration_key text not null references application on delete cascade,
    user_id text not null references account_user on delete cascade,
    scopes text not null,
    granted_by text not null,
    created_us bigint not null,
    primary key (integration_key, user_id)
);

create index consent_user on consent (user_id);

-- A code that was used is kept until it expires: who brings it again has stolen it.
create table authorization_code (
    code_hash bytea primary key,
    integration_key text not null references application on delete cascade,
    user_id text not null references account_user on delete cascade,
    scopes text not null,
    redirect_uri text not null,
    challenge text,
    grant_id text not null,
    expires_us bigint not null,
    used_us bigint
);

create index authorization_code_expiry on authorization_code (expires_us);

-- The same holds for refresh tokens; those of one `grant_id` follow each other.
create table refresh_token (
    refresh_hash bytea primary key,
    integration_key text not null references application on delete cascade,
    user_id text not null references account_user on delete cascade,
    scopes text not null,
    grant_id text not null,
    created_us bigint not null,
    expires_us bigint not null,
    used_us bigint
);

create index refresh_token_expiry on refresh_token (expires_us);
create index refresh_token_grant on refresh_token (grant_id);

create table used_assertion (
    assertion_hash bytea primary key,
    expires_us bigint not null
);

create index used_assertion_expiry on used_assertion (expires_us);

create table sign_in_session (
    session_hash bytea primary key,
    user_id text not null references account_user on delete cascade,
    created_us bigint not null,
    expires_us bigint not null
);

create index sign_in_session_expiry on sign_in_session (expires_us);
create index sign_in_session_user on sign_in_session (user_id);

-- The refresh tokens that an access token belongs to.
alter table token add column grant_id text;
create index token_grant on token (grant_id) where grant_id is not null;
create index token_integration_key on token (integration_key) where integration_key is not null;

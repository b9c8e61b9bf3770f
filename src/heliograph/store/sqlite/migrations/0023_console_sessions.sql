-- Who is signed in to the console: a user by a password, or whoever pasted a token. A session does
-- no more than they may, and ends with them; its text is nowhere: only its SHA-256.
create table console_session (
    session_hash blob primary key,
    account_id text not null references account,
    user_id text references account_user on delete cascade,
    token_hash blob references token on delete cascade,
    created_us integer not null,
    -- Moved on while it is used.
    expires_us integer not null,
    check ((user_id is null) <> (token_hash is null))
) strict, without rowid;

create index console_session_expiry on console_session (expires_us);
create index console_session_user on console_session (user_id) where user_id is not null;
create index console_session_token on console_session (token_hash) where token_hash is not null;

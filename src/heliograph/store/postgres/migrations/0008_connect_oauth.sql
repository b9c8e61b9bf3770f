-- The OAuth client that an account's posts get tokens with; its secret is sealed.
create table connect_oauth (
    account_id text primary key references account,
    document bytea not null,
    sealed bytea not null,
    changed_us bigint not null
);

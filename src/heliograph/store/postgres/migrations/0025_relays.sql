-- Where a DocuSign Connect configuration posts to; what its messages are known by is sealed.
create table relay (
    relay_id text primary key,
    account_id text not null references account,
    name text not null,
    user_name text,
    sealed bytea not null,
    created_us bigint not null,
    changed_us bigint not null,
    unique (account_id, name)
);

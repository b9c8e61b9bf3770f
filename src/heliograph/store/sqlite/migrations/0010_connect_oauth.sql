-- The OAuth client that an account's posts get tokens with; its secret is sealed.
create table connect_oauth (
    account_id text primary key references account,
    document blob not null,
    sealed blob not null,
    changed_us integer not null
) strict;

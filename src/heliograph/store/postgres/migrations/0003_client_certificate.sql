-- The certificate that an account shows to listeners which ask for one; its key is sealed.
create table client_certificate (
    account_id text primary key references account,
    certificate text not null,
    sealed bytea not null,
    created_us bigint not null
);

-- Historical publishing: envelopes whose newest event goes to an ad hoc configuration. Its
-- deliveries are made in the same transaction; this row is what a caller follows.
create table publish_transaction (
    transaction_id text primary key,
    account_id text not null references account,
    connect_id integer not null references connect_configuration,
    submitted_by text not null,
    -- Named in the call, without those named twice; unknown ones; and those with a delivery.
    envelopes integer not null,
    repeated integer not null,
    unknown integer not null,
    submitted integer not null,
    created_us integer not null,
    cancelled_us integer
) strict, without rowid;

create index publish_transaction_listed on publish_transaction (account_id, created_us);

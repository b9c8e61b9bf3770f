-- Accounts, their signing keys and client certificates, and all that is sealed.

-- name: account_add
insert into account (account_id, external_id, name, created_us) values (:account_id, :external_id, :name, :now);

-- name: accounts
select account_id, external_id, name from account order by external_id;

-- name: account
select account_id, external_id, name from account where account_id = :account_id;

-- name: hmac_key_add
insert into hmac_key (key_id, account_id, sealed, created_us) values (:key_id, :account_id, :sealed, :now);

-- name: hmac_key_retire
update hmac_key set retired_us = :now
where account_id = :account_id and key_id = :key_id and retired_us is null;

-- name: hmac_keys
select key_id, sealed, created_us
from hmac_key
where account_id = :account_id and retired_us is null
order by created_us, key_id;

-- name: client_certificate
select certificate, sealed from client_certificate where account_id = :account_id;

-- name: client_certificate_write
insert into client_certificate (account_id, certificate, sealed, created_us)
values (:account_id, :certificate, :sealed, :now)
on conflict (account_id) do update
set certificate = excluded.certificate, sealed = excluded.sealed,
    created_us = excluded.created_us;

-- name: client_certificate_delete
delete from client_certificate where account_id = :account_id;

-- name: sealed_hmac_key
select key_id as id, sealed from hmac_key where sealed is not null order by key_id
{for_update_of:hmac_key};

-- name: reseal_hmac_key
update hmac_key set sealed = :sealed where key_id = :id;

-- name: sealed_connect_configuration
select connect_id as id, sealed from connect_configuration where sealed is not null order by connect_id
{for_update_of:connect_configuration};

-- name: reseal_connect_configuration
update connect_configuration set sealed = :sealed where connect_id = :id;

-- name: sealed_client_certificate
select account_id as id, sealed from client_certificate where sealed is not null order by account_id
{for_update_of:client_certificate};

-- name: reseal_client_certificate
update client_certificate set sealed = :sealed where account_id = :id;

-- name: sealed_connect_oauth
select account_id as id, sealed from connect_oauth where sealed is not null order by account_id
{for_update_of:connect_oauth};

-- name: reseal_connect_oauth
update connect_oauth set sealed = :sealed where account_id = :id;

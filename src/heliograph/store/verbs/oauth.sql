-- The OAuth clients that posts get tokens with.

-- name: connect_oauth
select document, sealed from connect_oauth where account_id = :account_id;

-- name: connect_oauth_add
insert into connect_oauth (account_id, document, sealed, changed_us)
values (:account_id, :document, :sealed, :now)
on conflict (account_id) do nothing;

-- name: connect_oauth_change
update connect_oauth
set document = :document, sealed = :sealed, changed_us = :now
where account_id = :account_id;

-- name: connect_oauth_delete
delete from connect_oauth where account_id = :account_id;

-- What the queries of store/verbs/*.sql are filled with on PostgreSQL, and those that it says in its
-- own way. `<it>` is what follows the colon: `{for_share_of:consent}` locks rows of `consent`.

-- name: among_texts
= any(:<it>::text[]);

-- name: among_numbers
= any(:<it>::bigint[]);

-- name: like
-- It takes capitals for small letters by the locale of the database.
ilike;

-- name: for_share_of
for share of <it>;

-- name: for_update_of
for update of <it>;

-- name: skip_locked
for update skip locked;

-- name: grant_locked
-- Nobody else adds a token to it meanwhile. There may be no row yet to lock.
select pg_advisory_xact_lock(hashtextextended(:grant_id::text, 0)) as locked;

-- name: users_add
-- Those that are taken are not among the answer.
insert into account_user (
    user_id, account_id, email, name, given_name, family_name, role, status, created_us, changed_us
)
select
    user_id, :account_id::text, email, name, given_name, family_name, role, 'active', :now::bigint,
    :now::bigint
from json_to_recordset(:users::json) as new (
    user_id text, email text, name text, given_name text, family_name text, role text
)
on conflict do nothing
returning user_id;

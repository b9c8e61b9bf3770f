-- What the queries of store/verbs/*.sql are filled with on SQLite, and those that it says in its own
-- way. `<it>` is what follows the colon: `{among_texts:user_ids}` asks for one of `:user_ids`.

-- name: among_texts
-- A list is bound as a JSON array.
in (select value from json_each(:<it>));

-- name: among_numbers
in (select value from json_each(:<it>));

-- name: like
-- It takes A to Z for a to z, and other letters as they are.
like;

-- name: for_share_of
-- There is one writer (R20): what a verb has read stays so until its commit.
;

-- name: for_update_of
-- See for_share_of.
;

-- name: skip_locked
;

-- name: grant_locked
-- See for_share_of.
select 1 as locked;

-- name: users_add
-- Those that are taken are not among the answer.
insert into account_user (
    user_id, account_id, email, name, given_name, family_name, role, status, created_us, changed_us
)
select
    value ->> 'user_id', :account_id, value ->> 'email', value ->> 'name', value ->> 'given_name',
    value ->> 'family_name', value ->> 'role', 'active', :now, :now
from json_each(:users)
where true
on conflict do nothing
returning user_id;

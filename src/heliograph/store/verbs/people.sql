-- Users, groups and tokens.

-- name: account_new
insert into account (account_id, external_id, name, created_us)
select cast(:account_id as text), coalesce(max(external_id), 0) + 1, cast(:name as text),
    cast(:now as bigint)
from account
returning external_id;

-- name: user_columns
u.user_id, u.account_id, u.email, u.name, u.given_name, u.family_name, u.role, u.status,
u.created_us;

-- name: user_change
update account_user
set
    email = coalesce(cast(:email as text), email),
    name = coalesce(cast(:name as text), name),
    given_name = coalesce(cast(:given_name as text), given_name),
    family_name = coalesce(cast(:family_name as text), family_name),
    role = coalesce(cast(:role as text), role),
    changed_us = :now
where account_id = :account_id and user_id = :user_id and status = 'active';

-- name: users_close
update account_user set status = 'closed', changed_us = :now
where account_id = :account_id and user_id {among_texts:user_ids} and status = 'active'
returning user_id;

-- name: user_tokens_revoke
update token set revoked_us = :now
where account_id = :account_id and user_id {among_texts:user_ids} and revoked_us is null;

-- name: users_by_id
select {user_columns}
from account_user as u
where u.account_id = :account_id and u.user_id {among_texts:user_ids};

-- name: users_by_id_shared
-- They are not closed before the commit.
select {user_columns}
from account_user as u
where u.account_id = :account_id and u.user_id {among_texts:user_ids}
order by u.user_id
{for_share_of:u};

-- name: users_chosen
u.account_id = :account_id
and (cast(:name as text) is null or u.name {like} :name escape '\')
and (cast(:email_part as text) is null or u.email {like} :email_part escape '\')
and (cast(:email as text) is null or lower(u.email) = lower(:email))
and (cast(:domain as text) is null or u.email {like} :domain escape '\')
and (cast(:statuses as text) is null or u.status {among_texts:statuses})
and (
    cast(:group_id as bigint) is null
    or exists (
        select 1 from group_member as m where m.group_id = :group_id and m.user_id = u.user_id
    )
)
and (cast(:role as text) is null or u.role = :role)
and (
    cast(:inside as boolean) is null
    or cast(:inside as boolean) = (
        u.user_id {among_texts:named_users}
        or cast(:named_everyone as boolean)
        or (cast(:named_administrators as boolean) and u.role = 'administrator')
        or exists (
            select 1 from group_member as m
            where
                m.user_id = u.user_id
                and m.group_id {among_numbers:named_groups}
        )
    )
);

-- name: users
select {user_columns}
from account_user as u
where {users_chosen}
order by u.name, u.user_id
limit :count offset :start;

-- name: users_count
select count(*) as total from account_user as u where {users_chosen};

-- name: group_add
insert into user_group (account_id, name, created_us) values (:account_id, :name, :now)
returning group_id;

-- name: group_rename
update user_group set name = :name where account_id = :account_id and group_id = :group_id;

-- name: groups_delete
-- Who was in them goes with them.
delete from user_group where account_id = :account_id and group_id {among_numbers:group_ids};

-- name: group_names
-- Which of these names the account's own groups have.
select g.group_id, g.name from user_group as g
where g.account_id = :account_id and g.name {among_texts:names};

-- name: groups_by_id
-- Those that the account has made.
select g.group_id, g.name,
    (select count(*) from group_member as m where m.group_id = g.group_id) as users
from user_group as g
where g.account_id = :account_id and g.group_id {among_numbers:group_ids}
order by g.name;

-- name: all_groups
-- The account's own, and the two that every account has.
select o.group_id, o.name from user_group as o where o.account_id = :account_id
union all
select cast(:administrators as bigint), cast(:administrators_name as text)
union all
select cast(:everyone as bigint), cast(:everyone_name as text);

-- name: groups_found
-- Who is in the two that every account has follows from the users.
select g.group_id, g.name,
    case g.group_id
        when :everyone then (
            select count(*) from account_user as e where e.account_id = :account_id
        )
        when :administrators then (
            select count(*) from account_user as a
            where a.account_id = :account_id and a.role = 'administrator'
        )
        else (select count(*) from group_member as m where m.group_id = g.group_id)
    end as users
from ({all_groups}) as g;

-- name: group
{groups_found}
where g.group_id = :group_id;

-- name: groups
{groups_found}
where cast(:name as text) is null or g.name {like} :name escape '\'
order by g.name, g.group_id
limit :count offset :start;

-- name: groups_count
select count(*) as total from ({all_groups}) as g
where cast(:name as text) is null or g.name {like} :name escape '\';

-- name: groups_of
-- The account's own groups of these users, and Administrators' and Everyone's sizes with them.
select m.user_id, g.group_id, g.name,
    (select count(*) from group_member as a where a.group_id = g.group_id) as users
from group_member as m
inner join user_group as g on m.group_id = g.group_id
where g.account_id = :account_id and m.user_id {among_texts:user_ids}
union all
select u.user_id, cast(:everyone as bigint), cast(:everyone_name as text),
    (select count(*) from account_user as e where e.account_id = :account_id)
from account_user as u
where u.account_id = :account_id and u.user_id {among_texts:user_ids}
union all
select u.user_id, cast(:administrators as bigint), cast(:administrators_name as text), (
        select count(*) from account_user as a
        where a.account_id = :account_id and a.role = 'administrator'
    )
from account_user as u
where
    u.account_id = :account_id and u.role = 'administrator'
    and u.user_id {among_texts:user_ids}
order by 1, 3;

-- name: members_add
insert into group_member (group_id, user_id)
select cast(:group_id as bigint), u.user_id
from account_user as u
where u.account_id = :account_id and u.user_id {among_texts:user_ids}
on conflict do nothing
returning user_id;

-- name: members_remove
delete from group_member where group_id = :group_id and user_id {among_texts:user_ids}
returning user_id;

-- name: group_members
select m.user_id, m.group_id
from group_member as m
inner join user_group as g on m.group_id = g.group_id
where g.account_id = :account_id and g.group_id {among_numbers:group_ids}
union all
select u.user_id, cast(:administrators as bigint)
from account_user as u
where
    u.account_id = :account_id and u.role = 'administrator'
    and cast(:administrators as bigint) {among_numbers:group_ids};

-- name: token_add
insert into token (
    token_hash, account_id, name, role, created_us, user_id, scopes, integration_key, expires_us
)
values (
    :token_hash, :account_id, :name, :role, :now, :user_id, :scopes, :integration_key, :expires
);

-- name: tokens_chosen
t.account_id = :account_id
and (cast(:user_id as text) is null or t.user_id = :user_id)
and t.revoked_us is null
and (t.expires_us is null or t.expires_us > :now);

-- name: tokens
select
    t.token_hash, t.name, t.role, t.created_us, t.user_id, t.scopes, t.integration_key,
    t.expires_us
from token as t
where {tokens_chosen}
order by t.created_us desc, t.token_hash
limit :count offset :start;

-- name: tokens_count
select count(*) as total from token as t where {tokens_chosen};

-- name: token_revoke
update token set revoked_us = :now
where
    account_id = :account_id and substr(token_hash, 1, 16) = :token_id and revoked_us is null
    and (expires_us is null or expires_us > :now);

-- name: principal
-- A user's token may do no more than the user.
select
    a.account_id, a.external_id, a.name as account_name,
    case when u.role = 'viewer' then u.role else t.role end as role,
    t.name as token_name, t.token_hash, t.user_id, t.scopes, t.expires_us, t.integration_key
from token as t
inner join account as a on t.account_id = a.account_id
left join account_user as u on t.user_id = u.user_id
where
    t.token_hash = :token_hash and t.revoked_us is null
    and (t.expires_us is null or t.expires_us > :now)
    and (t.user_id is null or u.status = 'active');

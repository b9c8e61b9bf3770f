-- The named queries of users, groups and tokens on PostgreSQL. Names that sqlite/people.sql has
-- too mean the same; here sets are written at once.
-- `{...}` is filled with another named query of this file; values are always bound.

-- name: account_new
insert into account (account_id, external_id, name, created_us)
select %(account_id)s::text, coalesce(max(external_id), 0) + 1, %(name)s::text, %(now)s::bigint
from account
returning external_id;

-- name: user_columns
u.user_id, u.account_id, u.email, u.name, u.given_name, u.family_name, u.role, u.status,
u.created_us;

-- name: users_add
-- Those that are taken are not among the answer.
insert into account_user (
    user_id, account_id, email, name, given_name, family_name, role, status, created_us, changed_us
)
select i, a, e, n, g, f, r, 'active', w, w
from unnest(
    %(user_id)s::text[], %(account_id)s::text[], %(email)s::text[], %(name)s::text[],
    %(given_name)s::text[], %(family_name)s::text[], %(role)s::text[], %(now)s::bigint[]
) as row (i, a, e, n, g, f, r, w)
on conflict do nothing
returning user_id;

-- name: user_change
update account_user
set
    email = coalesce(%(email)s::text, email),
    name = coalesce(%(name)s::text, name),
    given_name = coalesce(%(given_name)s::text, given_name),
    family_name = coalesce(%(family_name)s::text, family_name),
    role = coalesce(%(role)s::text, role),
    changed_us = %(now)s
where account_id = %(account_id)s and user_id = %(user_id)s and status = 'active';

-- name: users_close
update account_user set status = 'closed', changed_us = %(now)s
where account_id = %(account_id)s and user_id = any(%(user_ids)s::text[]) and status = 'active'
returning user_id;

-- name: user_tokens_revoke
update token set revoked_us = %(now)s
where account_id = %(account_id)s and user_id = any(%(user_ids)s::text[]) and revoked_us is null;

-- name: users_by_id
select {user_columns}
from account_user as u
where u.account_id = %(account_id)s and u.user_id = any(%(user_ids)s::text[]);

-- name: users_by_id_shared
-- They are not closed before the commit.
select {user_columns}
from account_user as u
where u.account_id = %(account_id)s and u.user_id = any(%(user_ids)s::text[])
order by u.user_id
for share;

-- name: users_chosen
-- ILIKE takes capitals for small letters by the locale of the database.
u.account_id = %(account_id)s
and (%(name)s::text is null or u.name ilike %(name)s escape '\')
and (%(email_part)s::text is null or u.email ilike %(email_part)s escape '\')
and (%(email)s::text is null or lower(u.email) = lower(%(email)s))
and (%(domain)s::text is null or u.email ilike %(domain)s escape '\')
and (%(statuses)s::text[] is null or u.status = any(%(statuses)s::text[]))
and (
    %(group_id)s::bigint is null
    or exists (
        select 1 from group_member as m where m.group_id = %(group_id)s and m.user_id = u.user_id
    )
)
and (
    %(inside)s::boolean is null
    or %(inside)s::boolean = (
        u.user_id = any(%(named_users)s::text[])
        or exists (
            select 1 from group_member as m
            where
                m.user_id = u.user_id
                and m.group_id = any(%(named_groups)s::bigint[])
        )
    )
);

-- name: users
select {user_columns}
from account_user as u
where {users_chosen}
order by u.name, u.user_id
limit %(count)s offset %(start)s;

-- name: users_count
select count(*) from account_user as u where {users_chosen};

-- name: group_add
insert into user_group (account_id, name, created_us) values (%(account_id)s, %(name)s, %(now)s)
returning group_id;

-- name: group_rename
update user_group set name = %(name)s where account_id = %(account_id)s and group_id = %(group_id)s;

-- name: groups_delete
-- Who was in them goes with them.
delete from user_group
where account_id = %(account_id)s and group_id = any(%(group_ids)s::bigint[]);

-- name: groups_by_id
select g.group_id, g.name, (select count(*) from group_member as m where m.group_id = g.group_id)
from user_group as g
where g.account_id = %(account_id)s and g.group_id = any(%(group_ids)s::bigint[])
order by g.name;

-- name: groups
select g.group_id, g.name, (select count(*) from group_member as m where m.group_id = g.group_id)
from user_group as g
where g.account_id = %(account_id)s and (%(name)s::text is null or g.name ilike %(name)s escape '\')
order by g.name, g.group_id
limit %(count)s offset %(start)s;

-- name: groups_count
select count(*) from user_group as g
where g.account_id = %(account_id)s and (%(name)s::text is null or g.name ilike %(name)s escape '\');

-- name: groups_of
select m.user_id, g.group_id, g.name,
    (select count(*) from group_member as a where a.group_id = g.group_id)
from group_member as m
inner join user_group as g on m.group_id = g.group_id
where g.account_id = %(account_id)s and m.user_id = any(%(user_ids)s::text[])
order by m.user_id, g.name;

-- name: members_add
insert into group_member (group_id, user_id)
select * from unnest(%s::bigint[], %s::text[])
on conflict do nothing;

-- name: members_remove
delete from group_member
where group_id = %(group_id)s and user_id = any(%(user_ids)s::text[]);

-- name: group_members
select m.user_id, m.group_id
from group_member as m
inner join user_group as g on m.group_id = g.group_id
where g.account_id = %(account_id)s and g.group_id = any(%(group_ids)s::bigint[]);

-- name: token_add
insert into token (
    token_hash, account_id, name, role, created_us, user_id, scopes, integration_key, expires_us
)
values (
    %(token_hash)s, %(account_id)s, %(name)s, %(role)s, %(now)s, %(user_id)s, %(scopes)s,
    %(integration_key)s, %(expires)s
);

-- name: tokens_chosen
t.account_id = %(account_id)s
and (%(user_id)s::text is null or t.user_id = %(user_id)s)
and t.revoked_us is null
and (t.expires_us is null or t.expires_us > %(now)s);

-- name: tokens
select
    t.token_hash, t.name, t.role, t.created_us, t.user_id, t.scopes, t.integration_key,
    t.expires_us
from token as t
where {tokens_chosen}
order by t.created_us desc, t.token_hash
limit %(count)s offset %(start)s;

-- name: tokens_count
select count(*) from token as t where {tokens_chosen};

-- name: token_revoke
update token set revoked_us = %(now)s
where
    account_id = %(account_id)s and substring(token_hash from 1 for 16) = %(token_id)s
    and revoked_us is null and (expires_us is null or expires_us > %(now)s);

-- name: principal
-- A user's token may do no more than the user.
select
    a.account_id, a.external_id, a.name,
    case when u.role = 'viewer' then u.role else t.role end,
    t.name, t.token_hash, t.user_id, t.scopes, t.expires_us
from token as t
inner join account as a on t.account_id = a.account_id
left join account_user as u on t.user_id = u.user_id
where
    t.token_hash = %(token_hash)s and t.revoked_us is null
    and (t.expires_us is null or t.expires_us > %(now)s)
    and (t.user_id is null or u.status = 'active');

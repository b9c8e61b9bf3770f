-- Applications, consents, sign-ins and grants.

-- name: application_columns
a.integration_key, a.account_id, a.name, a.redirect_uris, a.rights, a.created_us;

-- name: application_add
insert into application (integration_key, account_id, name, redirect_uris, rights, created_us)
values (:integration_key, :account_id, :name, :redirect_uris, :rights, :now);

-- name: application_change
update application
set
    name = coalesce(cast(:name as text), name),
    redirect_uris = coalesce(cast(:redirect_uris as text), redirect_uris),
    rights = coalesce(cast(:rights as text), rights)
where account_id = :account_id and integration_key = :integration_key;

-- name: application_own_tokens_revoke
-- Tokens in the application's own name that have another role than it may have from now on.
update token set revoked_us = :now
where
    account_id = :account_id and integration_key = :integration_key and user_id is null
    and role <> :rights and revoked_us is null;

-- name: application_delete
delete from application where account_id = :account_id and integration_key = :integration_key;

-- name: application_tokens_revoke
update token set revoked_us = :now where integration_key = :integration_key and revoked_us is null;

-- name: application
select {application_columns}
from application as a
where a.account_id = :account_id and a.integration_key = :integration_key;

-- name: application_registered
select {application_columns} from application as a where a.integration_key = :integration_key;

-- name: applications
select {application_columns}
from application as a
where a.account_id = :account_id
order by a.name, a.integration_key
limit :count offset :start;

-- name: applications_count
select count(*) as total from application where account_id = :account_id;

-- name: keys
select integration_key, key_id, public_key, created_us
from application_key
where integration_key {among_texts:integration_keys}
order by created_us, key_id;

-- name: secrets
select integration_key, secret_id, secret_hash, created_us
from application_secret
where integration_key {among_texts:integration_keys}
order by created_us, secret_id;

-- name: key_add
insert into application_key (key_id, integration_key, public_key, created_us)
values (:key_id, :integration_key, :public_key, :now);

-- name: key_remove
delete from application_key
where
    key_id = :id and integration_key = :integration_key
    and integration_key in (select integration_key from application where account_id = :account_id);

-- name: secret_add
insert into application_secret (secret_id, integration_key, secret_hash, created_us)
values (:secret_id, :integration_key, :secret_hash, :now);

-- name: secret_remove
delete from application_secret
where
    secret_id = :id and integration_key = :integration_key
    and integration_key in (select integration_key from application where account_id = :account_id);

-- name: application_refreshes_delete
delete from refresh_token where integration_key = :integration_key;

-- name: consent_columns
c.integration_key, a.name as application_name, c.user_id, c.scopes, c.granted_by, c.created_us;

-- name: consent_put
insert into consent (integration_key, user_id, scopes, granted_by, created_us)
values (:integration_key, :user_id, :scopes, :granted_by, :now)
on conflict (integration_key, user_id) do update
set scopes = excluded.scopes, granted_by = excluded.granted_by, created_us = excluded.created_us;

-- name: consent
select {consent_columns}
from consent as c
inner join application as a on c.integration_key = a.integration_key
where c.integration_key = :integration_key and c.user_id = :user_id;

-- name: consents_chosen
u.account_id = :account_id
and (cast(:user_id as text) is null or c.user_id = :user_id)
and (cast(:integration_key as text) is null or c.integration_key = :integration_key);

-- name: consents
select {consent_columns}
from consent as c
inner join application as a on c.integration_key = a.integration_key
inner join account_user as u on c.user_id = u.user_id
where {consents_chosen}
order by c.created_us desc, c.integration_key, c.user_id
limit :count offset :start;

-- name: consents_count
select count(*) as total
from consent as c
inner join account_user as u on c.user_id = u.user_id
where {consents_chosen};

-- name: consent_withdraw
delete from consent
where
    integration_key = :integration_key and user_id = :user_id
    and user_id in (select user_id from account_user where account_id = :account_id);

-- name: consent_tokens_revoke
update token set revoked_us = :now
where integration_key = :integration_key and user_id = :user_id and revoked_us is null;

-- name: consent_refreshes_delete
delete from refresh_token where integration_key = :integration_key and user_id = :user_id;

-- name: consent_codes_delete
delete from authorization_code where integration_key = :integration_key and user_id = :user_id;

-- name: user_active
-- It is not closed, and gets no new password, before the commit.
select user_id from account_user
where account_id = :account_id and user_id = :user_id and status = 'active'
{for_share_of:account_user};

-- name: password_set
update account_user set password_hash = :hashed, changed_us = :now
where account_id = :account_id and user_id = :user_id and status = 'active';

-- name: user_tokens_of_applications_revoke
update token set revoked_us = :now
where
    account_id = :account_id and user_id = :user_id and integration_key is not null
    and revoked_us is null;

-- name: user_refreshes_delete
delete from refresh_token where user_id = :user_id;

-- name: user_codes_delete
delete from authorization_code where user_id = :user_id;

-- name: sessions_close
delete from sign_in_session where user_id = :user_id;

-- name: person_columns
u.user_id, u.account_id, u.email, u.name, u.given_name, u.family_name, u.role, u.status,
u.created_us, a.external_id, a.name as account_name;

-- name: login
select u.password_hash, {person_columns}
from account_user as u
inner join account as a on u.account_id = a.account_id
where u.status = 'active' and (lower(u.email) = lower(:name) or u.user_id = lower(:name))
limit 1;

-- name: person
select {person_columns}
from account_user as u
inner join account as a on u.account_id = a.account_id
where u.user_id = :user_id and u.status = 'active';

-- name: session_open
insert into sign_in_session (session_hash, user_id, created_us, expires_us)
values (:session_hash, :user_id, :now, :expires);

-- name: session
select {person_columns}
from sign_in_session as s
inner join account_user as u on s.user_id = u.user_id
inner join account as a on u.account_id = a.account_id
where s.session_hash = :session_hash and s.expires_us > :now and u.status = 'active';

-- name: session_close
delete from sign_in_session where session_hash = :session_hash;

-- name: console_sessions_close
-- Those that a password began: whoever has a token keeps what it began.
delete from console_session where user_id = :user_id;

-- name: console_session_open
insert into console_session (
    session_hash, account_id, user_id, token_hash, created_us, expires_us
)
values (:session_hash, :account_id, :user_id, :token_hash, :now, :expires);

-- name: console_session
-- A user's token may do no more than the user, and a session no more than either.
select
    a.account_id, a.external_id, a.name as account_name,
    case when u.role = 'viewer' then u.role else coalesce(t.role, u.role) end as role,
    coalesce(t.name, u.email) as token_name, coalesce(t.token_hash, s.session_hash) as token_hash,
    u.user_id, t.scopes, t.integration_key, s.created_us, s.expires_us
from console_session as s
inner join account as a on s.account_id = a.account_id
left join token as t on s.token_hash = t.token_hash
left join account_user as u on coalesce(s.user_id, t.user_id) = u.user_id
where
    s.session_hash = :session_hash and s.expires_us > :now
    and (
        s.token_hash is null
        or (t.revoked_us is null and (t.expires_us is null or t.expires_us > :now))
    )
    and (coalesce(s.user_id, t.user_id) is null or u.status = 'active');

-- name: console_session_prolong
update console_session set expires_us = :expires
where session_hash = :session_hash and account_id = :account_id and expires_us < :expires;

-- name: console_session_close
delete from console_session where session_hash = :session_hash and account_id = :account_id;

-- name: console_sessions_like
-- Of the same user by password, or of the same token.
delete from console_session
where
    account_id = :account_id
    and (
        session_hash = :session_hash
        or user_id = (select user_id from console_session where session_hash = :session_hash)
        or token_hash = (select token_hash from console_session where session_hash = :session_hash)
    );

-- name: consented
select scopes from consent where integration_key = :integration_key and user_id = :user_id;

-- name: consented_shared
-- It is not withdrawn before the commit.
select scopes from consent
where integration_key = :integration_key and user_id = :user_id
{for_share_of:consent};

-- name: application_shared
-- It is not changed or deleted before the commit.
select rights from application where integration_key = :integration_key
{for_share_of:application};

-- name: application_locked
-- Nobody else adds a key meanwhile.
select integration_key from application
where account_id = :account_id and integration_key = :integration_key
{for_update_of:application};

-- name: assertion_use
insert into used_assertion (assertion_hash, expires_us) values (:assertion_hash, :remember)
on conflict do nothing;

-- name: code_add
insert into authorization_code (
    code_hash, integration_key, user_id, scopes, redirect_uri, challenge, grant_id, expires_us
)
values (
    :code_hash, :integration_key, :user_id, :scopes, :redirect_uri, :challenge, :grant_id, :expires
);

-- name: code_user
select u.user_id, u.account_id
from authorization_code as c
inner join account_user as u on c.user_id = u.user_id
where c.code_hash = :code_hash and c.integration_key = :integration_key;

-- name: code
select c.user_id, u.account_id, c.scopes, c.redirect_uri, c.challenge, c.grant_id, c.expires_us,
    c.used_us, u.status
from authorization_code as c
inner join account_user as u on c.user_id = u.user_id
where c.code_hash = :code_hash and c.integration_key = :integration_key
{for_update_of:c};

-- name: code_use
update authorization_code set used_us = :now where code_hash = :code_hash;

-- name: refresh_add
insert into refresh_token (
    refresh_hash, integration_key, user_id, scopes, grant_id, created_us, expires_us
)
values (:refresh_hash, :integration_key, :user_id, :scopes, :grant_id, :now, :expires);

-- name: refresh_user
select u.user_id, u.account_id
from refresh_token as r
inner join account_user as u on r.user_id = u.user_id
where r.refresh_hash = :refresh_hash and r.integration_key = :integration_key;

-- name: refresh
select r.user_id, u.account_id, r.scopes, r.grant_id, r.expires_us, r.used_us, u.status
from refresh_token as r
inner join account_user as u on r.user_id = u.user_id
where r.refresh_hash = :refresh_hash and r.integration_key = :integration_key
{for_update_of:r};

-- name: refresh_use
update refresh_token set used_us = :now where refresh_hash = :refresh_hash;

-- name: grant_tokens_revoke
update token set revoked_us = :now where grant_id = :grant_id and revoked_us is null;

-- name: grant_refreshes_delete
delete from refresh_token where grant_id = :grant_id;

-- name: token_of_grant
update token set grant_id = :grant_id where token_hash = :token_hash;

-- name: access_revoke
update token set revoked_us = :now
where token_hash = :token_hash and integration_key = :integration_key and revoked_us is null;

-- name: sweep_token
delete from token
where token_hash in (
    select token_hash from token
    where expires_us < :now order by expires_us limit :most {skip_locked}
);

-- name: sweep_used_assertion
delete from used_assertion
where assertion_hash in (
    select assertion_hash from used_assertion
    where expires_us < :now order by expires_us limit :most {skip_locked}
);

-- name: sweep_authorization_code
delete from authorization_code
where code_hash in (
    select code_hash from authorization_code
    where expires_us < :now order by expires_us limit :most {skip_locked}
);

-- name: sweep_refresh_token
delete from refresh_token
where refresh_hash in (
    select refresh_hash from refresh_token
    where expires_us < :now order by expires_us limit :most {skip_locked}
);

-- name: sweep_sign_in_session
delete from sign_in_session
where session_hash in (
    select session_hash from sign_in_session
    where expires_us < :now order by expires_us limit :most {skip_locked}
);

-- name: sweep_console_session
delete from console_session
where session_hash in (
    select session_hash from console_session
    where expires_us < :now order by expires_us limit :most {skip_locked}
);

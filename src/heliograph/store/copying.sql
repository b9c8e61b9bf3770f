-- Moving an installation from SQLite to PostgreSQL. For each table: `read_` its rows on SQLite in
-- pages, `write_` them on PostgreSQL, and `back_` read them there in the same shape, to compare.
-- Tables with a number as their key are paged by it; the others, which are small, by place.

-- name: progress_table
-- Its presence tells nodes that the copy is not finished: they do not start.
create table if not exists copy_progress (
    name text primary key,
    source text not null,
    done bigint not null
);

-- name: progress_source
select distinct source from copy_progress;

-- name: progress
select done from copy_progress where name = %s;

-- name: progress_write
insert into copy_progress (name, source, done) values (%s, %s, %s)
on conflict (name) do update set done = excluded.done;

-- name: progress_drop
drop table copy_progress;

-- name: count
select count(*) from {table};

-- name: days_of_source
-- The days of history, as their first microseconds.
select distinct created_us / 86400000000 * 86400000000 from event
union
select distinct started_us / 86400000000 * 86400000000 from attempt
order by 1;

-- name: read_account
select account_id, external_id, name, configurations_version, created_us
from account order by account_id limit :most offset :done;

-- name: write_account
insert into account (account_id, external_id, name, configurations_version, created_us)
select * from unnest(%s::text[], %s::bigint[], %s::text[], %s::bigint[], %s::bigint[]);

-- name: back_account
select account_id, external_id, name, configurations_version, created_us from account;

-- name: read_account_user
select
    user_id, account_id, email, name, given_name, family_name, role, status, password_hash,
    created_us, changed_us
from account_user order by user_id limit :most offset :done;

-- name: write_account_user
insert into account_user (
    user_id, account_id, email, name, given_name, family_name, role, status, password_hash,
    created_us, changed_us
)
select * from unnest(
    %s::text[], %s::text[], %s::text[], %s::text[], %s::text[], %s::text[], %s::text[],
    %s::text[], %s::text[], %s::bigint[], %s::bigint[]
);

-- name: back_account_user
select
    user_id, account_id, email, name, given_name, family_name, role, status, password_hash,
    created_us, changed_us
from account_user;

-- name: read_user_group
select group_id, account_id, name, created_us
from user_group where group_id > :done order by group_id limit :most;

-- name: write_user_group
insert into user_group (group_id, account_id, name, created_us)
select * from unnest(%s::bigint[], %s::text[], %s::text[], %s::bigint[]);

-- name: back_user_group
select group_id, account_id, name, created_us from user_group;

-- name: read_group_member
select group_id, user_id
from group_member order by group_id, user_id limit :most offset :done;

-- name: write_group_member
insert into group_member (group_id, user_id)
select * from unnest(%s::bigint[], %s::text[]);

-- name: back_group_member
select group_id, user_id from group_member;

-- name: read_token
select
    token_hash, account_id, name, role, created_us, user_id, scopes, integration_key, expires_us,
    revoked_us, grant_id
from token order by token_hash limit :most offset :done;

-- name: write_token
insert into token (
    token_hash, account_id, name, role, created_us, user_id, scopes, integration_key, expires_us,
    revoked_us, grant_id
)
select * from unnest(
    %s::bytea[], %s::text[], %s::text[], %s::text[], %s::bigint[], %s::text[], %s::text[],
    %s::text[], %s::bigint[], %s::bigint[], %s::text[]
);

-- name: back_token
select
    token_hash, account_id, name, role, created_us, user_id, scopes, integration_key, expires_us,
    revoked_us, grant_id
from token;

-- name: read_application
select integration_key, account_id, name, redirect_uris, rights, created_us
from application order by integration_key limit :most offset :done;

-- name: write_application
insert into application (integration_key, account_id, name, redirect_uris, rights, created_us)
select * from unnest(
    %s::text[], %s::text[], %s::text[], %s::text[], %s::text[], %s::bigint[]
);

-- name: back_application
select integration_key, account_id, name, redirect_uris, rights, created_us
from application;

-- name: read_application_key
select key_id, integration_key, public_key, created_us
from application_key order by key_id limit :most offset :done;

-- name: write_application_key
insert into application_key (key_id, integration_key, public_key, created_us)
select * from unnest(%s::text[], %s::text[], %s::text[], %s::bigint[]);

-- name: back_application_key
select key_id, integration_key, public_key, created_us
from application_key;

-- name: read_application_secret
select secret_id, integration_key, secret_hash, created_us
from application_secret order by secret_id limit :most offset :done;

-- name: write_application_secret
insert into application_secret (secret_id, integration_key, secret_hash, created_us)
select * from unnest(%s::text[], %s::text[], %s::bytea[], %s::bigint[]);

-- name: back_application_secret
select secret_id, integration_key, secret_hash, created_us
from application_secret;

-- name: read_consent
select integration_key, user_id, scopes, granted_by, created_us
from consent order by integration_key, user_id limit :most offset :done;

-- name: write_consent
insert into consent (integration_key, user_id, scopes, granted_by, created_us)
select * from unnest(%s::text[], %s::text[], %s::text[], %s::text[], %s::bigint[]);

-- name: back_consent
select integration_key, user_id, scopes, granted_by, created_us
from consent;

-- name: read_authorization_code
select
    code_hash, integration_key, user_id, scopes, redirect_uri, challenge, grant_id,
    expires_us, used_us
from authorization_code order by code_hash limit :most offset :done;

-- name: write_authorization_code
insert into authorization_code (
    code_hash, integration_key, user_id, scopes, redirect_uri, challenge, grant_id,
    expires_us, used_us
)
select * from unnest(
    %s::bytea[], %s::text[], %s::text[], %s::text[], %s::text[], %s::text[], %s::text[],
    %s::bigint[], %s::bigint[]
);

-- name: back_authorization_code
select
    code_hash, integration_key, user_id, scopes, redirect_uri, challenge, grant_id,
    expires_us, used_us
from authorization_code;

-- name: read_refresh_token
select
    refresh_hash, integration_key, user_id, scopes, grant_id, created_us, expires_us, used_us
from refresh_token order by refresh_hash limit :most offset :done;

-- name: write_refresh_token
insert into refresh_token (
    refresh_hash, integration_key, user_id, scopes, grant_id, created_us, expires_us, used_us
)
select * from unnest(
    %s::bytea[], %s::text[], %s::text[], %s::text[], %s::text[], %s::bigint[], %s::bigint[],
    %s::bigint[]
);

-- name: back_refresh_token
select
    refresh_hash, integration_key, user_id, scopes, grant_id, created_us, expires_us, used_us
from refresh_token;

-- name: read_used_assertion
select assertion_hash, expires_us
from used_assertion order by assertion_hash limit :most offset :done;

-- name: write_used_assertion
insert into used_assertion (assertion_hash, expires_us)
select * from unnest(%s::bytea[], %s::bigint[]);

-- name: back_used_assertion
select assertion_hash, expires_us
from used_assertion;

-- name: read_sign_in_session
select session_hash, user_id, created_us, expires_us
from sign_in_session order by session_hash limit :most offset :done;

-- name: write_sign_in_session
insert into sign_in_session (session_hash, user_id, created_us, expires_us)
select * from unnest(%s::bytea[], %s::text[], %s::bigint[], %s::bigint[]);

-- name: back_sign_in_session
select session_hash, user_id, created_us, expires_us
from sign_in_session;

-- name: read_console_session
select session_hash, account_id, user_id, token_hash, created_us, expires_us
from console_session order by session_hash limit :most offset :done;

-- name: write_console_session
insert into console_session (
    session_hash, account_id, user_id, token_hash, created_us, expires_us
)
select * from unnest(
    %s::bytea[], %s::text[], %s::text[], %s::bytea[], %s::bigint[], %s::bigint[]
);

-- name: back_console_session
select session_hash, account_id, user_id, token_hash, created_us, expires_us
from console_session;

-- name: read_clock_leap
select at_us, gain_us from clock_leap order by at_us limit :most offset :done;

-- name: write_clock_leap
insert into clock_leap (at_us, gain_us)
select * from unnest(%s::bigint[], %s::bigint[]);

-- name: back_clock_leap
select at_us, gain_us from clock_leap;

-- name: read_republish_job
-- Whoever ran it is gone.
select
    job_id, account_id, source, selection, started_by, rate, ramp, canary, stop_percent, state, why,
    total, asked, passed_over, delivered, failed, walked, canary_passed, base_asked,
    base_delivered, base_failed, cursor_us, cursor_id, step, created_us, began_us, paced_us,
    ended_us
from republish_job where job_id > :done order by job_id limit :most;

-- name: write_republish_job
insert into republish_job (
    job_id, account_id, source, selection, started_by, rate, ramp, canary, stop_percent, state, why,
    total, asked, passed_over, delivered, failed, walked, canary_passed, base_asked,
    base_delivered, base_failed, cursor_us, cursor_id, step, created_us, began_us, paced_us,
    ended_us
)
select
    job_id, account_id, source, selection, started_by, rate, ramp, canary, stop_percent, state, why,
    total, asked, passed_over, delivered, failed, walked::integer::boolean,
    canary_passed::integer::boolean, base_asked,
    base_delivered, base_failed, cursor_us, cursor_id, step, created_us, began_us, paced_us,
    ended_us
from unnest(
    %s::bigint[], %s::text[], %s::text[], %s::text[], %s::text[], %s::bigint[],
    %s::bigint[], %s::bigint[], %s::bigint[], %s::text[], %s::text[], %s::bigint[],
    %s::bigint[], %s::bigint[], %s::bigint[], %s::bigint[], %s::bigint[], %s::bigint[],
    %s::bigint[], %s::bigint[], %s::bigint[], %s::bigint[], %s::bigint[], %s::bigint[],
    %s::bigint[], %s::bigint[], %s::bigint[], %s::bigint[]
) as row (
    job_id, account_id, source, selection, started_by, rate, ramp, canary, stop_percent, state, why,
    total, asked, passed_over, delivered, failed, walked, canary_passed, base_asked,
    base_delivered, base_failed, cursor_us, cursor_id, step, created_us, began_us, paced_us,
    ended_us
);

-- name: back_republish_job
select
    job_id, account_id, source, selection, started_by, rate, ramp, canary, stop_percent, state, why,
    total, asked, passed_over, delivered, failed, walked::integer,
    canary_passed::integer, base_asked,
    base_delivered, base_failed, cursor_us, cursor_id, step, created_us, began_us, paced_us,
    ended_us
from republish_job;

-- name: read_hmac_key
select key_id, account_id, sealed, created_us, retired_us
from hmac_key order by key_id limit :most offset :done;

-- name: write_hmac_key
insert into hmac_key (key_id, account_id, sealed, created_us, retired_us)
select * from unnest(%s::text[], %s::text[], %s::bytea[], %s::bigint[], %s::bigint[]);

-- name: back_hmac_key
select key_id, account_id, sealed, created_us, retired_us from hmac_key;

-- name: read_client_certificate
select account_id, certificate, sealed, created_us
from client_certificate order by account_id limit :most offset :done;

-- name: write_client_certificate
insert into client_certificate (account_id, certificate, sealed, created_us)
select * from unnest(%s::text[], %s::text[], %s::bytea[], %s::bigint[]);

-- name: back_client_certificate
select account_id, certificate, sealed, created_us from client_certificate;

-- name: read_connect_oauth
select account_id, document, sealed, changed_us
from connect_oauth order by account_id limit :most offset :done;

-- name: write_connect_oauth
insert into connect_oauth (account_id, document, sealed, changed_us)
select * from unnest(%s::text[], %s::bytea[], %s::bytea[], %s::bigint[]);

-- name: back_connect_oauth
select account_id, document, sealed, changed_us from connect_oauth;

-- name: read_relay
select relay_id, account_id, name, user_name, sealed, created_us, changed_us
from relay order by relay_id limit :most offset :done;

-- name: write_relay
insert into relay (relay_id, account_id, name, user_name, sealed, created_us, changed_us)
select * from unnest(
    %s::text[], %s::text[], %s::text[], %s::text[], %s::bytea[], %s::bigint[], %s::bigint[]
);

-- name: back_relay
select relay_id, account_id, name, user_name, sealed, created_us, changed_us from relay;

-- name: read_relay_message
select message_id, account_id, event_id, created_us
from relay_message order by message_id limit :most offset :done;

-- name: write_relay_message
insert into relay_message (message_id, account_id, event_id, created_us)
select * from unnest(%s::text[], %s::text[], %s::text[], %s::bigint[]);

-- name: back_relay_message
select message_id, account_id, event_id, created_us from relay_message;

-- name: read_relay_part
select message_id, account_id, number, content
from relay_part order by message_id, number limit :most offset :done;

-- name: write_relay_part
insert into relay_part (message_id, account_id, number, content)
select * from unnest(%s::text[], %s::text[], %s::integer[], %s::bytea[]);

-- name: back_relay_part
select message_id, account_id, number, content from relay_part;

-- name: read_relay_refusal
select refusal_id, account_id, relay_id, created_us, reason, address, size, headers, content
from relay_refusal order by refusal_id limit :most offset :done;

-- name: write_relay_refusal
insert into relay_refusal (
    refusal_id, account_id, relay_id, created_us, reason, address, size, headers, content
)
select * from unnest(
    %s::text[], %s::text[], %s::text[], %s::bigint[], %s::text[], %s::text[], %s::bigint[],
    %s::text[], %s::bytea[]
);

-- name: back_relay_refusal
select refusal_id, account_id, relay_id, created_us, reason, address, size, headers, content
from relay_refusal;

-- name: read_connect_configuration
select
    connect_id, account_id, name, url, publishing, paused, document, sealed, created_us,
    changed_us, deleted_us, ad_hoc
from connect_configuration where connect_id > :done order by connect_id limit :most;

-- name: write_connect_configuration
insert into connect_configuration (
    connect_id, account_id, name, url, publishing, paused, document, sealed, created_us,
    changed_us, deleted_us, ad_hoc
)
select i, a, n, u, p::boolean, h::boolean, d, s, c, w, x, k
from unnest(
    %s::bigint[], %s::text[], %s::text[], %s::text[], %s::integer[], %s::integer[], %s::bytea[],
    %s::bytea[], %s::bigint[], %s::bigint[], %s::bigint[], %s::bytea[]
) as row (i, a, n, u, p, h, d, s, c, w, x, k);

-- name: back_connect_configuration
select
    connect_id, account_id, name, url, publishing::integer, paused::integer, document, sealed,
    created_us, changed_us, deleted_us, ad_hoc
from connect_configuration;

-- name: read_envelope_notification
select account_id, envelope_id, connect_id
from envelope_notification
order by account_id, envelope_id, connect_id limit :most offset :done;

-- name: write_envelope_notification
insert into envelope_notification (account_id, envelope_id, connect_id)
select * from unnest(%s::text[], %s::text[], %s::bigint[]);

-- name: back_envelope_notification
select account_id, envelope_id, connect_id from envelope_notification;

-- name: read_envelope
select
    account_id, envelope_id, subject, sender_name, sender_email, status, generated_us, event_row
from envelope order by account_id, envelope_id limit :most offset :done;

-- name: write_envelope
insert into envelope (
    account_id, envelope_id, subject, sender_name, sender_email, status, generated_us, event_row,
    changed_us
)
select *, (extract(epoch from clock_timestamp()) * 1000000)::bigint
from unnest(
    %s::text[], %s::text[], %s::text[], %s::text[], %s::text[], %s::text[], %s::bigint[],
    %s::bigint[]
);

-- name: back_envelope
select
    account_id, envelope_id, subject, sender_name, sender_email, status, generated_us, event_row
from envelope;

-- name: newest_events_placed
-- The day of each envelope's newest event.
update envelope as v
set event_created_us = k.created_us
from event_key as k
where k.account_id = v.account_id and k.event_row = v.event_row;

-- name: read_publish_transaction
select
    transaction_id, account_id, connect_id, submitted_by, envelopes, repeated, unknown, submitted,
    created_us, cancelled_us
from publish_transaction order by transaction_id limit :most offset :done;

-- name: write_publish_transaction
insert into publish_transaction (
    transaction_id, account_id, connect_id, submitted_by, envelopes, repeated, unknown, submitted,
    created_us, cancelled_us
)
select * from unnest(
    %s::text[], %s::text[], %s::bigint[], %s::text[], %s::integer[], %s::integer[],
    %s::integer[], %s::integer[], %s::bigint[], %s::bigint[]
);

-- name: back_publish_transaction
select
    transaction_id, account_id, connect_id, submitted_by, envelopes, repeated, unknown, submitted,
    created_us, cancelled_us
from publish_transaction;

-- name: read_event
select
    event_row, created_us, account_id, event_id, name, envelope_id, subject, sender_name,
    sender_email, status, deliveries, generated_us, digest, meaning, document
from event where event_row > :done order by event_row limit :most;

-- name: write_event
with given as (
    select * from unnest(
        %s::bigint[], %s::bigint[], %s::text[], %s::text[], %s::text[], %s::text[], %s::text[],
        %s::text[], %s::text[], %s::text[], %s::integer[], %s::bigint[], %s::bytea[], %s::bytea[],
        %s::bytea[]
    ) as row (
        event_row, created_us, account_id, event_id, name, envelope_id, subject, sender_name,
        sender_email, status, deliveries, generated_us, digest, meaning, document
    )
),

keys as (
    insert into event_key (account_id, event_id, event_row, digest, meaning, deliveries, created_us)
    select account_id, event_id, event_row, digest, meaning, deliveries, created_us from given
)

insert into event (
    event_row, created_us, account_id, event_id, name, envelope_id, subject, sender_name,
    sender_email, status, deliveries, generated_us, document
)
select
    event_row, created_us, account_id, event_id, name, envelope_id, subject, sender_name,
    sender_email, status, deliveries, generated_us, document
from given;

-- name: back_event
select
    e.event_row, e.created_us, e.account_id, e.event_id, e.name, e.envelope_id, e.subject,
    e.sender_name, e.sender_email, e.status, e.deliveries, e.generated_us, k.digest,
    k.meaning, e.document
from event as e
inner join event_key as k on e.account_id = k.account_id and e.event_id = k.event_id;

-- name: read_incident
-- Its failures are counted as they are copied.
select
    incident_id, account_id, connect_id, phase, what, opened_us, closed_us, told, acknowledged_us,
    acknowledged_by, note
from incident where incident_id > :done order by incident_id limit :most;

-- name: write_incident
insert into incident (
    incident_id, account_id, connect_id, phase, what, opened_us, closed_us, told, acknowledged_us,
    acknowledged_by, note, failures, changed_us
)
select *, 0, o
from unnest(
    %s::bigint[], %s::text[], %s::bigint[], %s::text[], %s::text[], %s::bigint[], %s::bigint[],
    %s::bigint[], %s::bigint[], %s::text[], %s::text[]
) as row (i, a, c, p, w, o, x, t, k, b, n);

-- name: back_incident
select
    incident_id, account_id, connect_id, phase, what, opened_us, closed_us, told, acknowledged_us,
    acknowledged_by, note
from incident;

-- name: read_delivery
select
    d.delivery_id, d.created_us, d.event_row, d.account_id, d.connect_id, d.envelope_id, d.lane,
    d.state, d.due_us, d.held_reason, d.attempt_id, d.cancelled_by, d.seed, d.attempts,
    d.schedule_attempts, d.schedule_started_us, d.unsettled_claims, d.failed_us, d.last_try_us,
    d.error, d.resent_by, d.recipient, d.job_id, d.phase, d.what
from delivery as d where d.delivery_id > :done order by d.delivery_id limit :most;

-- name: write_delivery
with given as (
    select * from unnest(
        %s::bigint[], %s::bigint[], %s::bigint[], %s::text[], %s::bigint[], %s::text[],
        %s::text[], %s::text[], %s::bigint[], %s::text[], %s::bigint[], %s::text[],
        %s::integer[], %s::integer[], %s::integer[], %s::bigint[], %s::integer[], %s::bigint[],
        %s::bigint[], %s::text[], %s::text[], %s::text[], %s::bigint[], %s::text[], %s::text[]
    ) as row (
        delivery_id, created_us, event_row, account_id, connect_id, envelope_id, lane, state,
        due_us, held_reason, attempt_id, cancelled_by, seed, attempts, schedule_attempts,
        schedule_started_us, unsettled_claims, failed_us, last_try_us, error, resent_by, recipient,
        job_id, phase, what
    )
),

ended as (
    insert into delivery_ended (
        delivery_id, created_us, event_row, account_id, connect_id, envelope_id, state,
        cancelled_by, attempts, attempt_id, ended_us, recipient
    )
    select
        delivery_id, created_us, event_row, account_id, connect_id, envelope_id, state,
        cancelled_by, attempts, attempt_id, coalesce(last_try_us, created_us), recipient
    from given where state in ('delivered', 'cancelled')
)

insert into delivery (
    delivery_id, created_us, event_row, account_id, connect_id, envelope_id, lane, state, due_us,
    held_reason, attempt_id, seed, attempts, schedule_attempts, schedule_started_us,
    unsettled_claims, failed_us, last_try_us, error, resent_by, recipient, job_id, phase, what
)
select
    delivery_id, created_us, event_row, account_id, connect_id, envelope_id, lane, state, due_us,
    held_reason, attempt_id, seed, attempts, schedule_attempts, schedule_started_us,
    unsettled_claims, failed_us, last_try_us, error, resent_by, recipient, job_id, phase, what
from given where state not in ('delivered', 'cancelled');

-- name: back_delivery
-- What ended has kept its end, and not its way there.
select
    delivery_id, created_us, event_row, account_id, connect_id, envelope_id, lane, state, due_us,
    held_reason, attempt_id, null, seed, attempts, schedule_attempts, schedule_started_us,
    unsettled_claims, failed_us, last_try_us, error, resent_by, recipient, job_id, phase, what
from delivery
union all
select
    delivery_id, created_us, event_row, account_id, connect_id, envelope_id, null, state, null,
    null, attempt_id, cancelled_by, null, attempts, null, null, null, null, null, null,
    null, recipient, null, null, null
from delivery_ended;

-- name: read_attempt
select
    a.attempt_id, a.started_us, a.delivery_id, d.event_row, d.created_us, a.account_id,
    a.connect_id, a.envelope_id, a.number, a.epoch, a.url, a.outcome, a.logged, a.milliseconds,
    a.phase, a.error, a.answer_status, a.answer_reason, a.answer_headers, a.answer_body,
    a.resent_by
from attempt as a
inner join delivery as d on a.delivery_id = d.delivery_id
where a.attempt_id > :done order by a.attempt_id limit :most;

-- name: write_attempt
insert into attempt (
    attempt_id, started_us, delivery_id, event_row, created_us, account_id, connect_id,
    envelope_id, number, epoch, url, outcome, logged, milliseconds, phase, error,
    answer_status, answer_reason, answer_headers, answer_body, resent_by
)
select i, s, d, e, c, a, k, v, n, p, u, o, l::boolean, m, f, r, t, w, h, b, y
from unnest(
    %s::bigint[], %s::bigint[], %s::bigint[], %s::bigint[], %s::bigint[], %s::text[],
    %s::bigint[], %s::text[], %s::integer[], %s::bigint[], %s::text[], %s::text[],
    %s::integer[], %s::integer[], %s::text[], %s::text[], %s::integer[], %s::text[],
    %s::text[], %s::bytea[], %s::text[]
) as row (i, s, d, e, c, a, k, v, n, p, u, o, l, m, f, r, t, w, h, b, y);

-- name: back_attempt
select
    attempt_id, started_us, delivery_id, event_row, created_us, account_id, connect_id,
    envelope_id, number, epoch, url, outcome, logged::integer, milliseconds, phase, error,
    answer_status, answer_reason, answer_headers, answer_body, resent_by
from attempt;

-- name: read_audit_entry
select
    entry_id, account_id, created_us, actor, token_id, user_id, address, action, what, details
from audit_entry where entry_id > :done order by entry_id limit :most;

-- name: write_audit_entry
insert into audit_entry (
    entry_id, account_id, created_us, actor, token_id, user_id, address, action, what, details
)
select * from unnest(
    %s::bigint[], %s::text[], %s::bigint[], %s::text[], %s::text[], %s::text[], %s::text[],
    %s::text[], %s::text[], %s::text[]
);

-- name: back_audit_entry
select
    entry_id, account_id, created_us, actor, token_id, user_id, address, action, what, details
from audit_entry;

-- name: numbers_go_on
-- What is added later gets numbers above those that were copied.
select
    setval(pg_get_serial_sequence('connect_configuration', 'connect_id'),
        greatest((select max(connect_id) from connect_configuration), 1)) as configurations,
    setval(pg_get_serial_sequence('user_group', 'group_id'),
        greatest((select max(group_id) from user_group), 1)) as groups,
    setval(pg_get_serial_sequence('republish_job', 'job_id'),
        greatest((select max(job_id) from republish_job), 1)) as jobs,
    setval(pg_get_serial_sequence('event_key', 'event_row'),
        greatest((select max(event_row) from event_key), 1)) as events,
    setval(pg_get_serial_sequence('delivery', 'delivery_id'),
        greatest((select max(delivery_id) from delivery),
            (select max(delivery_id) from delivery_ended), 1)) as deliveries,
    setval(pg_get_serial_sequence('audit_entry', 'entry_id'),
        greatest((select max(entry_id) from audit_entry), 1)) as audit_entries,
    setval(pg_get_serial_sequence('incident', 'incident_id'),
        greatest((select max(incident_id) from incident), 1)) as incidents,
    setval('attempt_id_sequence', greatest((select max(attempt_id) from attempt),
        (select max(attempt_id) from delivery), 1)) as attempts,
    setval(pg_get_serial_sequence('node', 'epoch'),
        greatest((select max(epoch) from attempt), 1)) as epochs;

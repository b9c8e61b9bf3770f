-- The store's clock: what it showed, and its leaps (R22). What had time left when it made one keeps
-- that: `clock_leap_...` moves such times along.

-- name: clock_beat
insert into clock_beat (only_one, shown_us, monotonic_us, boot_id)
values (1, :shown, :monotonic, :boot_id)
on conflict (only_one) do update set
    shown_us = excluded.shown_us,
    monotonic_us = excluded.monotonic_us,
    boot_id = excluded.boot_id;

-- name: clock_seen
select shown_us, monotonic_us, boot_id from clock_beat;

-- name: clock_leaps
select at_us, gain_us from clock_leap order by at_us;

-- name: clock_leap_add
-- Other nodes see the same step at nearly the same time: one of them writes it down.
insert into clock_leap (at_us, gain_us)
select cast(:at as bigint), cast(:gain as bigint)
where not exists (select 1 from clock_leap where at_us > cast(:at as bigint) - 60000000);

-- name: clock_leap_deliveries
update delivery set
    due_us = case when due_us > :at then due_us + :gain else due_us end,
    schedule_started_us = schedule_started_us + :gain
where state in ('waiting', 'held', 'in_flight');

-- name: clock_leap_failing
update failing_configuration set
    since_us = since_us + :gain,
    down_until_us = case
        when down_until_us > :at then down_until_us + :gain else down_until_us
    end;

-- name: clock_leap_tokens
-- Of tokens that people made the end is a date, which stays.
update token set expires_us = expires_us + :gain
where expires_us > :at and integration_key is not null;

-- name: clock_leap_refresh_tokens
update refresh_token set expires_us = expires_us + :gain where expires_us > :at;

-- name: clock_leap_codes
update authorization_code set expires_us = expires_us + :gain where expires_us > :at;

-- name: clock_leap_sessions
update sign_in_session set expires_us = expires_us + :gain where expires_us > :at;

-- name: clock_leap_console_sessions
update console_session set created_us = created_us + :gain, expires_us = expires_us + :gain
where expires_us > :at;

-- name: clock_leap_assertions
update used_assertion set expires_us = expires_us + :gain where expires_us > :at;

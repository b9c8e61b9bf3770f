-- What the store's clock showed at the last beat, with the monotonic clock of the machine that
-- wrote it: a start knows from them how much time has passed (R22).
create table clock_beat (
    only_one integer primary key check (only_one = 1),
    shown_us bigint not null,
    monotonic_us bigint not null,
    boot_id text not null
);

-- Steps ahead that the store's clock has followed: that so much time passed is not known.
create table clock_leap (
    at_us bigint primary key,
    gain_us bigint not null
);

-- What the store's clock showed at the last beat, with the monotonic clock of the machine that
-- wrote it: a start knows from them how much time has passed (R22).
create table clock_beat (
    only_one integer primary key check (only_one = 1),
    shown_us integer not null,
    monotonic_us integer not null,
    boot_id text not null
) strict;

-- Steps ahead that the store's clock has followed: that so much time passed is not known.
create table clock_leap (
    at_us integer primary key,
    gain_us integer not null
) strict;

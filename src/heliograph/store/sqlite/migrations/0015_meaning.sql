-- What an event means, however it is written: by this a repeat is told (wire/meaning.py). Null where
-- a version before accepted it, and then its digest tells: of name and data as they were written.
alter table event add column meaning blob;

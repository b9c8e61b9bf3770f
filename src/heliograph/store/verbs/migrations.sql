-- The migrations that a database has had.

-- name: migrations_applied
select number, name, checksum from schema_migration order by number;

-- name: migration_add
insert into schema_migration (number, name, checksum, applied_us)
values (:number, :name, :checksum, :now);

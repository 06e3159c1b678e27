-- The tables in which a database remembers its migrations: the first step.
-- Runs once, in one transaction under the advisory lock, with search_path set to the
-- history schema alone. A table that exists already is an error: it is not ours.

create table schema_migrations (
    id bigint generated always as identity primary key,
    version text not null,
    filename text not null,
    checksum text not null,
    text_checksum text not null,
    applied_at timestamptz not null default clock_timestamp(),
    applied_by text not null,
    execution_time_ms bigint,
    rollback_file text,
    rollback_sql text,
    rollback_checksum text,
    environment text,
    git_commit_hash text,
    migration_type text not null default 'forward'
        check (migration_type in ('forward', 'rollback')),
    status text not null default 'completed'
        check (status in ('completed', 'rolled_back', 'failed')),
    plan_hash text,
    resource_uid text,
    resource_generation bigint,
    runner_version text,
    error jsonb,
    check (status <> 'rolled_back' or migration_type = 'forward')
);
comment on table schema_migrations is
    'History of migrations (dbmigrate). Rows are only added; status alone changes, from completed to rolled_back.';
comment on column schema_migrations.checksum is 'SHA-256 of the file''s bytes';
comment on column schema_migrations.text_checksum is
    'SHA-256 of the file''s text with line ends normalised';
comment on column schema_migrations.rollback_sql is
    'The rollback as it was when the migration was applied, for a release that no longer has it';
comment on column schema_migrations.error is 'Why the file failed, for rows with status failed';

create unique index schema_migrations_applied on schema_migrations (version)
    where migration_type = 'forward' and status = 'completed';
create index schema_migrations_resource on schema_migrations (resource_uid, resource_generation)
    where resource_uid is not null;

create function schema_migrations_are_only_added() returns trigger
    language plpgsql
    set search_path = pg_catalog
as $body$
declare
    unchanged record;
begin
    if tg_op = 'UPDATE' and old.status = 'completed' and new.status = 'rolled_back' then
        unchanged := new;
        unchanged.status := old.status;
        if unchanged is not distinct from old then
            return new;
        end if;
    end if;
    raise exception 'the history of migrations is only added to: % is refused', lower(tg_op)
        using errcode = 'integrity_constraint_violation',
            hint = 'Restore tools disable triggers, or drop the table with its history.';
end
$body$;
create trigger schema_migrations_rows_are_only_added
    before update or delete on schema_migrations
    for each row execute function schema_migrations_are_only_added();
create trigger schema_migrations_is_not_emptied
    before truncate on schema_migrations
    for each statement execute function schema_migrations_are_only_added();

create table migration_locks (
    id integer primary key default 1,
    locked_at timestamptz not null default clock_timestamp(),
    locked_by text not null,
    process_id integer,
    host text,
    application text,
    command text,
    constraint single_lock check (id = 1)
);
comment on table migration_locks is
    'Who holds the advisory lock, for people to read. A row is not the lock.';

create table rollback_data_log (
    id bigint generated always as identity primary key,
    rollback_version text not null,
    table_name text not null,
    data_snapshot jsonb,
    created_at timestamptz not null default now()
);
comment on table rollback_data_log is 'What rollbacks keep of the data that they remove';

create table system_events (
    id bigint generated always as identity primary key,
    event_type text not null,
    event_category text not null,
    severity_level text not null,
    message text not null,
    event_data jsonb,
    created_at timestamptz not null default now()
);
comment on table system_events is 'Reports of integrity checks';
create index system_events_created_at on system_events (created_at);

create table migration_settings (
    key text primary key,
    value jsonb not null,
    updated_at timestamptz not null default now()
);
comment on table migration_settings is
    'What dbmigrate knows of this database: the version of these tables, the environment';

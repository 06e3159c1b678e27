-- Files that run by statement, repeatable files, and what the server said while a file ran.

alter table schema_migrations
    alter column version drop not null,
    drop constraint schema_migrations_migration_type_check,
    add constraint schema_migrations_migration_type_check
        check (migration_type in ('forward', 'rollback', 'repeatable')),
    add constraint schema_migrations_version_check
        check ((version is null) = (migration_type = 'repeatable')),
    add column transaction_mode text not null default 'file'
        check (transaction_mode in ('file', 'statement', 'own', 'all')),
    add column notices jsonb;
comment on column schema_migrations.transaction_mode is
    'How the file ran: one transaction, by statement, its own transactions, or all files in one';
comment on column schema_migrations.notices is 'What the server said while the file ran';

create index schema_migrations_repeatable on schema_migrations (filename, id)
    where migration_type = 'repeatable';

create table migration_statements (
    id bigint generated always as identity primary key,
    migration_type text not null check (migration_type in ('forward', 'rollback', 'repeatable')),
    version text,
    filename text not null,
    file_checksum text not null,
    number integer not null,
    checksum text not null,
    statement text not null,
    state text not null check (state in ('begun', 'done')),
    facts jsonb,
    begun_at timestamptz not null default clock_timestamp(),
    done_at timestamptz,
    applied_by text not null,
    process_id integer not null default pg_backend_pid(),
    closed_at timestamptz,
    closed_as text check (closed_as in ('completed', 'abandoned')),
    closed_by text,
    check ((closed_at is null) = (closed_as is null))
);
comment on table migration_statements is
    'How far a file is that runs by statement. Rows that are not closed belong to one that is not finished.';
comment on column migration_statements.checksum is 'SHA-256 of the statement''s text';
comment on column migration_statements.facts is
    'What was there before the statement, so that its leftovers can be told from what others made';

create unique index migration_statements_open
    on migration_statements (migration_type, (coalesce(version, filename)), number)
    where closed_at is null;

-- What is recorded without being run: baselines, adopted histories, agreed edits.

alter table schema_migrations
    add column origin text not null default 'run',
    add column reason text,
    add column recorded_by text,
    add column recorded_at timestamptz,
    add column foreign_id text,
    add column proof text;
comment on column schema_migrations.origin is
    'Who executed the file: run (dbmigrate), baseline (it was there already), adopted:TOOL';
comment on column schema_migrations.reason is 'Why a row was recorded without running its file';
comment on column schema_migrations.recorded_by is
    'Who recorded a row without running its file; applied_by is who ran it, as far as that is known';
comment on column schema_migrations.foreign_id is 'What another tool calls an adopted migration';
comment on column schema_migrations.proof is 'By what an adopted migration was matched with its file';

create table migration_repairs (
    id bigint generated always as identity primary key,
    migration_id bigint not null,
    version text not null,
    old_filename text not null,
    filename text not null,
    old_checksum text not null,
    checksum text not null,
    old_text_checksum text not null,
    text_checksum text not null,
    rollback_file text,
    rollback_sql text,
    rollback_checksum text,
    repaired_at timestamptz not null default clock_timestamp(),
    repaired_by text not null,
    reason text not null,
    environment text,
    git_commit_hash text,
    runner_version text
);
comment on table migration_repairs is
    'Edits of applied files that were agreed on; migration_id is the id in schema_migrations. The newest row of a migration tells its file and rollback as they are meant now; schema_migrations keeps what was executed.';
create index migration_repairs_of_migration on migration_repairs (migration_id, id);

create function migration_repairs_are_only_added() returns trigger
    language plpgsql
    set search_path = pg_catalog
as $body$
begin
    raise exception 'repairs of the history are only added to: % is refused', lower(tg_op)
        using errcode = 'integrity_constraint_violation';
end
$body$;
create trigger migration_repairs_rows_are_only_added
    before update or delete on migration_repairs
    for each row execute function migration_repairs_are_only_added();
create trigger migration_repairs_is_not_emptied
    before truncate on migration_repairs
    for each statement execute function migration_repairs_are_only_added();

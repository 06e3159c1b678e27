-- What rollbacks keep of the data that they remove: sets of rows, in chunks.
-- Rows that scripts wrote by themselves have the columns of the first step alone.

alter table rollback_data_log
    add column set_id bigint,
    add column chunk integer,
    add column kind text check (kind in ('table', 'columns', 'rows', 'sequence', 'largeObjects')),
    add column schema_name text,
    add column columns jsonb,
    add column lost_columns text[],
    add column key_columns text[],
    add column row_count bigint,
    add column byte_count bigint,
    add column covered_by text,
    add check (set_id is null or (kind is not null and schema_name is not null));
create unique index rollback_data_log_chunks on rollback_data_log (set_id, chunk)
    where set_id is not null;

comment on column rollback_data_log.data_snapshot is
    'An array of rows; each an object of the columns'' values as PostgreSQL writes them as text';
comment on column rollback_data_log.set_id is 'What was kept together: one table''s part of one rollback';
comment on column rollback_data_log.chunk is 'Number within the set, from 1; 0 says that there is a set';
comment on column rollback_data_log.columns is 'Name and type of each column, in order';
comment on column rollback_data_log.lost_columns is
    'For the kind columns: which of them are lost; the others say which row it is';
comment on column rollback_data_log.key_columns is 'By which a row is found again; null when it has no key';
comment on column rollback_data_log.covered_by is
    'The backup that holds this data, which was lost without being kept';

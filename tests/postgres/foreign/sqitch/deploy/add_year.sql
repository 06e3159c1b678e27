BEGIN;
alter table book add column published_year integer;
COMMIT;

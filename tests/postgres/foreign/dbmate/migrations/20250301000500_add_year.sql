-- migrate:up
alter table book add column published_year integer;

-- migrate:down
alter table book drop column published_year;

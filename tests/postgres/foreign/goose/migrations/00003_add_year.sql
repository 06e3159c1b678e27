-- +goose Up
alter table book add column published_year integer;

-- +goose Down
alter table book drop column published_year;

--liquibase formatted sql

--changeset other:3 splitStatements:false
alter table book add column published_year integer;
--rollback alter table book drop column published_year;

--liquibase formatted sql

--changeset team:1
create table author (
    id bigint generated always as identity primary key,
    name text not null
);
--rollback drop table author;

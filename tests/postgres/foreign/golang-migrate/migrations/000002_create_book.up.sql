-- Every book has one author.
create table book (
    id bigint generated always as identity primary key,
    author_id bigint not null references author (id),
    title text not null
);
comment on table book is 'Bücher; one row each';

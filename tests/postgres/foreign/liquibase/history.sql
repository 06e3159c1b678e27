CREATE TABLE public.databasechangelog (
    id character varying(255) NOT NULL,
    author character varying(255) NOT NULL,
    filename character varying(255) NOT NULL,
    dateexecuted timestamp without time zone NOT NULL,
    orderexecuted integer NOT NULL,
    exectype character varying(10) NOT NULL,
    md5sum character varying(35),
    description character varying(255),
    comments character varying(255),
    tag character varying(255),
    liquibase character varying(20),
    contexts character varying(255),
    labels character varying(255),
    deployment_id character varying(10)
);
CREATE TABLE public.databasechangeloglock (
    id integer NOT NULL,
    locked boolean NOT NULL,
    lockgranted timestamp without time zone,
    lockedby character varying(255)
);
INSERT INTO public.databasechangelog (id, author, filename, dateexecuted, orderexecuted, exectype, md5sum, description, comments, tag, liquibase, contexts, labels, deployment_id) VALUES ('1', 'team', 'changelog/001_create_author.sql', '2026-11-23 22:10:46.0315', 1, 'EXECUTED', '9:206e40d24dd3708dc2d85168c6cd1794', 'sql', '', NULL, '4.31.1', NULL, NULL, '5471838866');
INSERT INTO public.databasechangelog (id, author, filename, dateexecuted, orderexecuted, exectype, md5sum, description, comments, tag, liquibase, contexts, labels, deployment_id) VALUES ('2', 'team', 'changelog/002_create_book.sql', '2026-11-23 22:10:46.151411', 2, 'EXECUTED', '9:8a5c95ba15d61179f96eb67c19e7fc3e', 'sql', '', NULL, '4.31.1', NULL, NULL, '5471838866');
INSERT INTO public.databasechangelog (id, author, filename, dateexecuted, orderexecuted, exectype, md5sum, description, comments, tag, liquibase, contexts, labels, deployment_id) VALUES ('2-comment', 'team', 'changelog/002_create_book.sql', '2026-11-23 22:10:46.239509', 3, 'EXECUTED', '9:9161239335cf47dadd6ee5580b091545', 'sql', '', NULL, '4.31.1', NULL, NULL, '5471838866');
INSERT INTO public.databasechangelog (id, author, filename, dateexecuted, orderexecuted, exectype, md5sum, description, comments, tag, liquibase, contexts, labels, deployment_id) VALUES ('3', 'other', 'changelog/003_add_year.sql', '2026-11-23 22:10:46.375088', 4, 'EXECUTED', '9:ca0627577c440c8c27b531cd41d4f632', 'sql', '', NULL, '4.31.1', NULL, NULL, '5471838866');
INSERT INTO public.databasechangeloglock (id, locked, lockgranted, lockedby) VALUES (1, false, NULL, NULL);
ALTER TABLE ONLY public.databasechangeloglock
    ADD CONSTRAINT databasechangeloglock_pkey PRIMARY KEY (id);

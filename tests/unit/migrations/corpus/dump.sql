--
-- PostgreSQL database dump
--

SET statement_timeout = 0;
SET standard_conforming_strings = on;
SELECT pg_catalog.set_config('search_path', '', false);

CREATE TABLE public.subjects (
    id bigint NOT NULL,
    name text NOT NULL,
    note text
);

COPY public.subjects (id, name, note) FROM stdin;
1	Algebra	it's; easy
2	Géométrie	\N
3	$$ /* -- "	\\.
\.

COPY public.empty (id) FROM stdin;
\.


SELECT pg_catalog.setval('public.subjects_id_seq', 3, true);
ALTER TABLE ONLY public.subjects
    ADD CONSTRAINT subjects_pkey PRIMARY KEY (id);

--
-- PostgreSQL database dump complete
--


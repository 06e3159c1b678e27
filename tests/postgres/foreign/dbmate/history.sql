CREATE TABLE public.schema_migrations (
    version character varying NOT NULL
);
INSERT INTO public.schema_migrations (version) VALUES ('20250110093000');
INSERT INTO public.schema_migrations (version) VALUES ('20250211120000');
INSERT INTO public.schema_migrations (version) VALUES ('20250301000500');
ALTER TABLE ONLY public.schema_migrations
    ADD CONSTRAINT schema_migrations_pkey PRIMARY KEY (version);

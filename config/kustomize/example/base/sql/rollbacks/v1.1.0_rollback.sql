ALTER TABLE public.customers DROP COLUMN email;

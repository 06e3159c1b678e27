-- What each user prefers, and the time zone to show times in.
--
-- This one may be run over a database that has part of it already (a column that was added by hand
-- during an incident): each step looks first. Every look into the catalogue names the schema and
-- the table; a constraint of the same name elsewhere is none of ours. What "already there" cannot
-- tell, the last block proves.

CREATE TABLE IF NOT EXISTS public.user_preferences (
    user_id bigint NOT NULL
        CONSTRAINT user_preferences_user_id_fkey
        REFERENCES public.users (id) ON DELETE CASCADE,
    preference_key text NOT NULL
        CONSTRAINT user_preferences_preference_key_check
        CHECK (preference_key ~ '^[a-z][a-z0-9_.]{0,99}$'),
    preference_value jsonb NOT NULL,
    created_at timestamptz NOT NULL DEFAULT now(),
    updated_at timestamptz NOT NULL DEFAULT now(),
    CONSTRAINT user_preferences_pkey PRIMARY KEY (user_id, preference_key)
);

COMMENT ON TABLE public.user_preferences IS 'One row for each setting that a user has made.';

CREATE INDEX IF NOT EXISTS user_preferences_preference_key_idx
ON public.user_preferences (preference_key);

DO $block$
BEGIN
    IF NOT EXISTS (
        SELECT FROM information_schema.columns
        WHERE table_schema = 'public' AND table_name = 'users' AND column_name = 'timezone'
    ) THEN
        -- A constant default is kept in the catalogue: no row is rewritten.
        ALTER TABLE public.users ADD COLUMN timezone text NOT NULL DEFAULT 'UTC';
    END IF;

    IF NOT EXISTS (
        SELECT FROM pg_catalog.pg_constraint
        WHERE conrelid = 'public.users'::regclass AND conname = 'users_timezone_check'
    ) THEN
        -- The form only, such as America/Port-au-Prince or Etc/GMT+5: which names exist is data
        -- that changes from one release of the time zone database to the next.
        ALTER TABLE public.users ADD CONSTRAINT users_timezone_check
        CHECK (timezone ~ '^[A-Za-z][A-Za-z0-9_+-]*(/[A-Za-z0-9_+-]+){0,2}$');
    END IF;
END;
$block$;

COMMENT ON COLUMN public.users.timezone IS 'IANA name of the zone that times are shown in.';

CREATE OR REPLACE FUNCTION public.set_user_preferences(p_user_id bigint, p_preferences jsonb)
RETURNS integer
LANGUAGE plpgsql
SET search_path = pg_catalog, pg_temp
AS $function$
DECLARE
    v_written integer;
BEGIN
    INSERT INTO public.user_preferences AS current (user_id, preference_key, preference_value)
    SELECT p_user_id, given.key, given.value
    FROM jsonb_each(p_preferences) AS given
    ORDER BY given.key
    ON CONFLICT (user_id, preference_key) DO UPDATE
    SET preference_value = excluded.preference_value, updated_at = now()
    WHERE current.preference_value IS DISTINCT FROM excluded.preference_value;
    GET DIAGNOSTICS v_written = ROW_COUNT;
    RETURN v_written;
END;
$function$;

COMMENT ON FUNCTION public.set_user_preferences(bigint, jsonb) IS
    'Sets the given keys, leaves the others; returns how many were new or different.';

REVOKE EXECUTE ON FUNCTION public.set_user_preferences(bigint, jsonb) FROM PUBLIC;

-- Everything there, and as it should be? Raising here undoes the whole file.
DO $block$
BEGIN
    IF to_regclass('public.user_preferences') IS NULL THEN
        RAISE EXCEPTION 'v1.6.0: table public.user_preferences is missing';
    END IF;

    -- CREATE TABLE IF NOT EXISTS is content with any table of that name.
    IF NOT EXISTS (
        SELECT FROM pg_catalog.pg_constraint
        WHERE conrelid = 'public.user_preferences'::regclass
            AND contype = 'p'
            AND pg_get_constraintdef(oid) = 'PRIMARY KEY (user_id, preference_key)'
    ) THEN
        RAISE EXCEPTION 'v1.6.0: public.user_preferences lacks its primary key';
    END IF;

    IF NOT EXISTS (
        SELECT FROM information_schema.columns
        WHERE table_schema = 'public' AND table_name = 'users' AND column_name = 'timezone'
            AND data_type = 'text' AND is_nullable = 'NO'
    ) THEN
        RAISE EXCEPTION 'v1.6.0: public.users.timezone is missing, or not "text NOT NULL"';
    END IF;

    IF NOT EXISTS (
        SELECT FROM pg_catalog.pg_constraint
        WHERE conrelid = 'public.users'::regclass
            AND conname = 'users_timezone_check' AND convalidated
    ) THEN
        RAISE EXCEPTION 'v1.6.0: constraint users_timezone_check is missing on public.users';
    END IF;

    IF to_regprocedure('public.set_user_preferences(bigint, jsonb)') IS NULL THEN
        RAISE EXCEPTION 'v1.6.0: function public.set_user_preferences is missing';
    END IF;
END;
$block$;

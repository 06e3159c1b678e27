-- Undoes v1.5.0: the types as they were. No value is lost. Two spellings may differ from what was
-- there before v1.5.0: an address comes back as PostgreSQL writes it (2001:DB8::1 as 2001:db8::1),
-- JSON without its former spaces.

ALTER TABLE public.exams
    ALTER COLUMN duration_minutes TYPE integer;

ALTER TABLE public.questions
    DROP CONSTRAINT questions_options_check,
    ALTER COLUMN correct_option TYPE integer,
    ALTER COLUMN options TYPE text USING options::text;

-- A cast to text would write /32 after every host.
ALTER TABLE public.user_sessions
    ALTER COLUMN ip_address TYPE text USING CASE
        WHEN masklen(ip_address) = CASE family(ip_address) WHEN 4 THEN 32 ELSE 128 END
            THEN host(ip_address)
        ELSE text(ip_address)
    END;

-- A validated constraint cannot be made unvalidated: it goes, and comes back as v1.4.0 left it.
ALTER TABLE public.users
    DROP CONSTRAINT users_email_check,
    ADD CONSTRAINT users_email_check CHECK (email ~ '^[^@\s]+@[^@\s]+$') NOT VALID;

ALTER TABLE public.user_credentials
    DROP CONSTRAINT user_credentials_password_hash_check,
    ADD CONSTRAINT user_credentials_password_hash_check
    CHECK (password_hash LIKE '$argon2id$%') NOT VALID;

ANALYZE public.user_sessions, public.questions, public.exams;

DO $block$
DECLARE
    v_columns text;
BEGIN
    SELECT string_agg(table_name || '.' || column_name || ' ' || data_type, ', ') INTO v_columns
    FROM information_schema.columns
    WHERE table_schema = 'public'
        AND (
            (table_name, column_name) IN (('user_sessions', 'ip_address'), ('questions', 'options'))
            AND data_type <> 'text'
            OR (table_name, column_name)
            IN (('questions', 'correct_option'), ('exams', 'duration_minutes'))
            AND data_type <> 'integer'
        );
    IF v_columns IS NOT NULL THEN
        RAISE EXCEPTION 'rollback of v1.5.0: types not restored: %', v_columns;
    END IF;

    IF (
        SELECT count(*) FROM pg_catalog.pg_constraint
        WHERE NOT convalidated
            AND (
                conrelid = 'public.users'::regclass AND conname = 'users_email_check'
                OR conrelid = 'public.user_credentials'::regclass
                AND conname = 'user_credentials_password_hash_check'
            )
    ) <> 2 THEN
        RAISE EXCEPTION 'rollback of v1.5.0: the constraints of v1.4.0 are not as it left them';
    END IF;
END;
$block$;

-- Types that say what a column holds, and the validation of what v1.4.0 promised.

-- First what lets others work: VALIDATE reads the table under SHARE UPDATE EXCLUSIVE.
ALTER TABLE public.users VALIDATE CONSTRAINT users_email_check;
ALTER TABLE public.user_credentials VALIDATE CONSTRAINT user_credentials_password_hash_check;

-- Text that was never checked may hold anything. Better to be told which rows are in the way than
-- to read "invalid input syntax" about one of them. (pg_input_is_valid() does this from 16 on.)
CREATE FUNCTION pg_temp.holds(p_type text, p_value text) RETURNS boolean
LANGUAGE plpgsql
AS $function$
BEGIN
    EXECUTE format('SELECT $1::%s', p_type::regtype) USING p_value;
    RETURN true;
EXCEPTION
    WHEN data_exception THEN
        RETURN false;
END;
$function$;

DO $block$
DECLARE
    v_sessions text;
    v_questions text;
BEGIN
    -- Nobody may write between this look and the change of type below.
    LOCK TABLE public.user_sessions, public.questions IN ACCESS EXCLUSIVE MODE;

    SELECT string_agg(id::text, ', ') INTO v_sessions
    FROM (
        SELECT id FROM public.user_sessions
        WHERE ip_address IS NOT NULL AND NOT pg_temp.holds('inet', ip_address)
        ORDER BY id LIMIT 10
    ) AS bad;
    IF v_sessions IS NOT NULL THEN
        RAISE EXCEPTION 'user_sessions.ip_address holds what is no address: ids %', v_sessions
            USING HINT = 'Mend or clear these rows, then migrate again.';
    END IF;

    -- CASE, because AND does not promise to look at its left side first.
    SELECT string_agg(id::text, ', ') INTO v_questions
    FROM (
        SELECT id FROM public.questions
        WHERE NOT CASE
            WHEN pg_temp.holds('jsonb', options) THEN jsonb_typeof(options::jsonb) = 'array'
            ELSE false
        END
        ORDER BY id LIMIT 10
    ) AS bad;
    IF v_questions IS NOT NULL THEN
        RAISE EXCEPTION 'questions.options holds what is no JSON array: ids %', v_questions
            USING HINT = 'Mend these rows, then migrate again.';
    END IF;
END;
$block$;

DROP FUNCTION pg_temp.holds(text, text);

-- These rewrite their tables under an exclusive lock. For tables too large for that: a new column,
-- filled in batches, and a change of names at the end.
-- squawk-ignore-file changing-column-type, constraint-missing-not-valid
ALTER TABLE public.user_sessions
    ALTER COLUMN ip_address TYPE inet USING ip_address::inet;

ALTER TABLE public.questions
    ALTER COLUMN options TYPE jsonb USING options::jsonb,
    ALTER COLUMN correct_option TYPE smallint,
    ADD CONSTRAINT questions_options_check CHECK (jsonb_typeof(options) = 'array');

ALTER TABLE public.exams
    ALTER COLUMN duration_minutes TYPE smallint;

-- A rewritten table has no statistics for its new columns until somebody looks.
ANALYZE public.user_sessions, public.questions, public.exams;

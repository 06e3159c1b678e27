-- Undoes v1.6.0: preferences and time zones.
--
-- What would be lost is kept in rollback_data_log first, one row for each row (one great array
-- would end where a jsonb value ends). The lock comes before the copy: nobody writes in between.

LOCK TABLE public.users, public.user_preferences IN ACCESS EXCLUSIVE MODE;

DO $block$
DECLARE
    v_kept bigint;
BEGIN
    INSERT INTO public.rollback_data_log (rollback_version, table_name, data_snapshot)
    SELECT 'v1.6.0', 'public.user_preferences', to_jsonb(user_preferences)
    FROM public.user_preferences;
    GET DIAGNOSTICS v_kept = ROW_COUNT;
    IF v_kept > 0 THEN
        RAISE WARNING 'dropping user_preferences: % rows kept in rollback_data_log', v_kept;
    END IF;

    INSERT INTO public.rollback_data_log (rollback_version, table_name, data_snapshot)
    SELECT 'v1.6.0', 'public.users', jsonb_build_object('id', id, 'timezone', timezone)
    FROM public.users
    WHERE timezone <> 'UTC';
    GET DIAGNOSTICS v_kept = ROW_COUNT;
    IF v_kept > 0 THEN
        RAISE WARNING 'dropping users.timezone: % values other than UTC kept in rollback_data_log',
            v_kept;
    END IF;
END;
$block$;

DROP FUNCTION public.set_user_preferences(bigint, jsonb);
DROP TABLE public.user_preferences;
ALTER TABLE public.users DROP CONSTRAINT users_timezone_check, DROP COLUMN timezone;

DO $block$
BEGIN
    IF to_regclass('public.user_preferences') IS NOT NULL THEN
        RAISE EXCEPTION 'rollback of v1.6.0: public.user_preferences is still there';
    END IF;

    IF EXISTS (
        SELECT FROM information_schema.columns
        WHERE table_schema = 'public' AND table_name = 'users' AND column_name = 'timezone'
    ) THEN
        RAISE EXCEPTION 'rollback of v1.6.0: public.users.timezone is still there';
    END IF;

    IF to_regprocedure('public.set_user_preferences(bigint, jsonb)') IS NOT NULL THEN
        RAISE EXCEPTION 'rollback of v1.6.0: function set_user_preferences is still there';
    END IF;
END;
$block$;

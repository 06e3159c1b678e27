-- Undoes v1.1.0: signing in.
--
-- rollback_data_log then holds hashes of passwords and tokens: it deserves the care that
-- user_credentials had. Delete these rows as soon as nobody will need them.

LOCK TABLE public.user_credentials, public.password_reset_tokens, public.user_sessions
IN ACCESS EXCLUSIVE MODE;

DO $block$
DECLARE
    v_kept bigint;
BEGIN
    INSERT INTO public.rollback_data_log (rollback_version, table_name, data_snapshot)
    SELECT 'v1.1.0', 'public.user_credentials', to_jsonb(user_credentials)
    FROM public.user_credentials;
    GET DIAGNOSTICS v_kept = ROW_COUNT;
    IF v_kept > 0 THEN
        RAISE WARNING 'dropping user_credentials: % rows kept in rollback_data_log', v_kept
            USING HINT = 'Nobody can sign in until they are put back.';
    END IF;

    INSERT INTO public.rollback_data_log (rollback_version, table_name, data_snapshot)
    SELECT 'v1.1.0', 'public.password_reset_tokens', to_jsonb(password_reset_tokens)
    FROM public.password_reset_tokens;
    GET DIAGNOSTICS v_kept = ROW_COUNT;
    IF v_kept > 0 THEN
        RAISE WARNING 'dropping password_reset_tokens: % rows kept in rollback_data_log', v_kept;
    END IF;

    INSERT INTO public.rollback_data_log (rollback_version, table_name, data_snapshot)
    SELECT
        'v1.1.0', 'public.user_sessions',
        jsonb_build_object('id', id, 'token_hash', token_hash, 'expires_at', expires_at)
    FROM public.user_sessions
    WHERE token_hash IS NOT NULL OR expires_at IS NOT NULL;
    GET DIAGNOSTICS v_kept = ROW_COUNT;
    IF v_kept > 0 THEN
        RAISE WARNING
            'dropping user_sessions.token_hash and expires_at: % kept in rollback_data_log', v_kept;
    END IF;
END;
$block$;

DROP FUNCTION public.record_sign_in(text, boolean);
DROP TABLE public.password_reset_tokens;
DROP TABLE public.user_credentials;
ALTER TABLE public.user_sessions DROP COLUMN token_hash, DROP COLUMN expires_at;

DO $block$
BEGIN
    IF to_regclass('public.user_credentials') IS NOT NULL
        OR to_regclass('public.password_reset_tokens') IS NOT NULL
    THEN
        RAISE EXCEPTION 'rollback of v1.1.0: a table of it is still there';
    END IF;

    IF EXISTS (
        SELECT FROM information_schema.columns
        WHERE table_schema = 'public' AND table_name = 'user_sessions'
            AND column_name IN ('token_hash', 'expires_at')
    ) THEN
        RAISE EXCEPTION 'rollback of v1.1.0: a column of it is still there on user_sessions';
    END IF;

    IF to_regprocedure('public.record_sign_in(text, boolean)') IS NOT NULL THEN
        RAISE EXCEPTION 'rollback of v1.1.0: function record_sign_in is still there';
    END IF;
END;
$block$;

-- Undoes v1.4.0: the audit of accounts and the rules for new rows.

LOCK TABLE public.users, public.user_credentials, public.audit_events IN ACCESS EXCLUSIVE MODE;

DO $block$
DECLARE
    v_kept bigint;
BEGIN
    INSERT INTO public.rollback_data_log (rollback_version, table_name, data_snapshot)
    SELECT 'v1.4.0', 'public.audit_events', to_jsonb(audit_events)
    FROM public.audit_events;
    GET DIAGNOSTICS v_kept = ROW_COUNT;
    IF v_kept > 0 THEN
        RAISE WARNING 'dropping audit_events: % rows kept in rollback_data_log', v_kept;
    END IF;
END;
$block$;

ALTER TABLE public.users DROP CONSTRAINT users_email_check;
ALTER TABLE public.user_credentials DROP CONSTRAINT user_credentials_password_hash_check;

GRANT EXECUTE ON FUNCTION public.record_sign_in(text, boolean) TO PUBLIC;

DROP TRIGGER users_audit ON public.users;
DROP TRIGGER user_credentials_audit ON public.user_credentials;
DROP TABLE public.audit_events;
DROP FUNCTION public.record_account_change();
DROP FUNCTION public.refuse_audit_change();

DO $block$
BEGIN
    IF to_regclass('public.audit_events') IS NOT NULL THEN
        RAISE EXCEPTION 'rollback of v1.4.0: public.audit_events is still there';
    END IF;

    -- A trigger left behind would call a function that is gone, at every sign-up.
    IF EXISTS (
        SELECT FROM pg_catalog.pg_trigger
        WHERE tgrelid IN ('public.users'::regclass, 'public.user_credentials'::regclass)
            AND tgname IN ('users_audit', 'user_credentials_audit')
    ) THEN
        RAISE EXCEPTION 'rollback of v1.4.0: an audit trigger is still there';
    END IF;

    IF EXISTS (
        SELECT FROM pg_catalog.pg_constraint
        WHERE conrelid = 'public.users'::regclass AND conname = 'users_email_check'
            OR conrelid = 'public.user_credentials'::regclass
            AND conname = 'user_credentials_password_hash_check'
    ) THEN
        RAISE EXCEPTION 'rollback of v1.4.0: a constraint of it is still there';
    END IF;
END;
$block$;

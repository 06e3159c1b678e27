-- Who changed an account, and when; and rules that hold for whatever is written from now on.

CREATE TABLE public.audit_events (
    id bigint GENERATED ALWAYS AS IDENTITY CONSTRAINT audit_events_pkey PRIMARY KEY,
    happened_at timestamptz NOT NULL DEFAULT clock_timestamp(),
    actor text NOT NULL DEFAULT session_user,
    table_name text NOT NULL,
    action text NOT NULL
        CONSTRAINT audit_events_action_check CHECK (action IN ('INSERT', 'UPDATE', 'DELETE')),
    user_id bigint NOT NULL,
    changes jsonb NOT NULL
);

COMMENT ON TABLE public.audit_events IS
    'What happened to accounts. Rows are only ever added: a trigger refuses the rest.';
COMMENT ON COLUMN public.audit_events.actor IS 'The database role that was connected.';
COMMENT ON COLUMN public.audit_events.user_id IS
    'The account. No foreign key: the record outlives the account.';
COMMENT ON COLUMN public.audit_events.changes IS
    'The new value of each column that changed; of secrets, only that they changed.';

CREATE INDEX audit_events_user_id_happened_at_idx
ON public.audit_events (user_id, happened_at DESC);

-- SECURITY DEFINER: the application's role needs no right to write audit_events, and so cannot
-- forge one. A fixed search_path, because a definer's function with the caller's is a way in.
CREATE FUNCTION public.record_account_change() RETURNS trigger
LANGUAGE plpgsql
SECURITY DEFINER
SET search_path = pg_catalog, pg_temp
AS $function$
DECLARE
    v_old jsonb := '{}';
    v_new jsonb := '{}';
    v_changes jsonb;
    v_user_id bigint;
BEGIN
    IF TG_OP <> 'INSERT' THEN
        v_old := to_jsonb(OLD);
    END IF;
    IF TG_OP <> 'DELETE' THEN
        v_new := to_jsonb(NEW);
    END IF;
    -- The column that names the account: id in users, user_id in what belongs to them.
    v_user_id := coalesce(v_new ->> TG_ARGV[0], v_old ->> TG_ARGV[0]);

    SELECT coalesce(
        jsonb_object_agg(
            key, CASE WHEN key = 'password_hash' THEN to_jsonb('changed'::text) ELSE value END
        ),
        '{}'
    ) INTO v_changes
    FROM jsonb_each(v_new)
    WHERE value IS DISTINCT FROM v_old -> key;

    IF TG_OP <> 'UPDATE' OR v_changes <> '{}' THEN
        INSERT INTO public.audit_events (table_name, action, user_id, changes)
        VALUES (TG_TABLE_SCHEMA || '.' || TG_TABLE_NAME, TG_OP, v_user_id, v_changes);
    END IF;
    RETURN NULL;
END;
$function$;

COMMENT ON FUNCTION public.record_account_change() IS
    'Trigger: writes audit_events. Its argument is the column that holds the user''s id.';

CREATE TRIGGER users_audit
AFTER INSERT OR UPDATE OR DELETE ON public.users
FOR EACH ROW EXECUTE FUNCTION public.record_account_change('id');

CREATE TRIGGER user_credentials_audit
AFTER INSERT OR UPDATE OR DELETE ON public.user_credentials
FOR EACH ROW EXECUTE FUNCTION public.record_account_change('user_id');

CREATE FUNCTION public.refuse_audit_change() RETURNS trigger
LANGUAGE plpgsql
SET search_path = pg_catalog, pg_temp
AS $function$
BEGIN
    RAISE EXCEPTION 'audit_events is only ever added to: % refused', TG_OP
        USING ERRCODE = 'insufficient_privilege';
END;
$function$;

CREATE TRIGGER audit_events_append_only
BEFORE UPDATE OR DELETE OR TRUNCATE ON public.audit_events
FOR EACH STATEMENT EXECUTE FUNCTION public.refuse_audit_change();

-- Functions are everybody's by default. Whom sign-in is for is for the site to say: GRANT EXECUTE
-- to the application's role where that role is made.
REVOKE EXECUTE ON FUNCTION public.record_sign_in(text, boolean) FROM PUBLIC;
REVOKE EXECUTE ON FUNCTION public.record_account_change() FROM PUBLIC;
REVOKE EXECUTE ON FUNCTION public.refuse_audit_change() FROM PUBLIC;

-- NOT VALID: new rows must comply at once, the old ones are not read, so the exclusive lock lasts
-- an instant. v1.5.0 validates, in a transaction of its own, under a lock that lets reads and
-- writes go on.
ALTER TABLE public.users
    ADD CONSTRAINT users_email_check CHECK (email ~ '^[^@\s]+@[^@\s]+$') NOT VALID;

ALTER TABLE public.user_credentials
    ADD CONSTRAINT user_credentials_password_hash_check
    CHECK (password_hash LIKE '$argon2id$%') NOT VALID;

-- Signing in with a password.
--
-- What the server needs to prove who somebody is lies in a table of its own, so that reading
-- users never reads a password's hash.

CREATE TABLE public.user_credentials (
    user_id bigint CONSTRAINT user_credentials_pkey PRIMARY KEY
        CONSTRAINT user_credentials_user_id_fkey
        REFERENCES public.users (id) ON DELETE CASCADE,
    password_hash text NOT NULL,
    password_changed_at timestamptz NOT NULL DEFAULT now(),
    failed_attempts integer NOT NULL DEFAULT 0
        CONSTRAINT user_credentials_failed_attempts_check CHECK (failed_attempts >= 0),
    locked_until timestamptz
);

COMMENT ON TABLE public.user_credentials IS 'How a user signs in: one row a user who can.';
COMMENT ON COLUMN public.user_credentials.password_hash IS
    'In PHC string form ($argon2id$…), made by the application; never a password.';
COMMENT ON COLUMN public.user_credentials.locked_until IS
    'No sign-in before this moment; NULL when the account is not locked.';

CREATE TABLE public.password_reset_tokens (
    token_hash bytea CONSTRAINT password_reset_tokens_pkey PRIMARY KEY
        CONSTRAINT password_reset_tokens_token_hash_check CHECK (octet_length(token_hash) = 32),
    user_id bigint NOT NULL
        CONSTRAINT password_reset_tokens_user_id_fkey
        REFERENCES public.users (id) ON DELETE CASCADE,
    expires_at timestamptz NOT NULL DEFAULT now() + interval '1 hour',
    used_at timestamptz
);

COMMENT ON COLUMN public.password_reset_tokens.token_hash IS
    'SHA-256 of the token that was sent by mail; the token itself is stored nowhere.';

-- Columns that allow NULL and have no default: nothing is rewritten, the lock lasts an instant.
-- The index of the new key is built under it: there are some thousands of visits.
ALTER TABLE public.user_sessions
    ADD COLUMN token_hash bytea,
    ADD COLUMN expires_at timestamptz,
    -- squawk-ignore constraint-missing-not-valid, disallowed-unique-constraint
    ADD CONSTRAINT user_sessions_token_hash_key UNIQUE (token_hash);

COMMENT ON COLUMN public.user_sessions.token_hash IS
    'SHA-256 of the cookie; NULL for visits from before there was a sign-in.';

CREATE FUNCTION public.record_sign_in(p_username text, p_succeeded boolean) RETURNS timestamptz
LANGUAGE plpgsql
SET search_path = pg_catalog, pg_temp
AS $function$
DECLARE
    v_locked_until timestamptz;
BEGIN
    UPDATE public.user_credentials
    SET
        failed_attempts = CASE WHEN p_succeeded THEN 0 ELSE failed_attempts + 1 END,
        locked_until = CASE
            WHEN p_succeeded THEN NULL
            WHEN failed_attempts + 1 >= 5 THEN now() + interval '15 minutes'
            ELSE locked_until
        END
    FROM public.users
    WHERE users.id = user_credentials.user_id AND users.username = p_username
    RETURNING user_credentials.locked_until INTO v_locked_until;
    RETURN v_locked_until;
END;
$function$;

COMMENT ON FUNCTION public.record_sign_in(text, boolean) IS
    'Counts a sign-in that failed, locks the account for a quarter of an hour at the fifth, and '
    'forgets the count when one succeeds. Returns until when the account is locked, or NULL.';

-- Enough for the demo; these are no hashes of any password.
INSERT INTO public.user_credentials (user_id, password_hash)
SELECT users.id, '$argon2id$v=19$m=65536,t=3,p=4$c2FtcGxl$bm8tcGFzc3dvcmQ'
FROM public.users;

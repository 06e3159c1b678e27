-- Undoes v1.2.0: the indexes. No data goes with them.

DROP INDEX
    public.questions_exam_id_idx,
    public.questions_subject_id_difficulty_idx,
    public.exams_published_at_idx,
    public.user_sessions_user_name_started_at_idx,
    public.user_sessions_expires_at_idx,
    public.password_reset_tokens_user_id_idx;

DO $block$
DECLARE
    v_left text;
BEGIN
    SELECT string_agg(indexname, ', ' ORDER BY indexname) INTO v_left
    FROM pg_catalog.pg_indexes
    WHERE schemaname = 'public'
        AND (tablename, indexname) IN (
            ('questions', 'questions_exam_id_idx'),
            ('questions', 'questions_subject_id_difficulty_idx'),
            ('exams', 'exams_published_at_idx'),
            ('user_sessions', 'user_sessions_user_name_started_at_idx'),
            ('user_sessions', 'user_sessions_expires_at_idx'),
            ('password_reset_tokens', 'password_reset_tokens_user_id_idx')
        );
    IF v_left IS NOT NULL THEN
        RAISE EXCEPTION 'rollback of v1.2.0: still there: %', v_left;
    END IF;
END;
$block$;

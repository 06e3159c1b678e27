-- Undoes v1.3.0: attempts, search, and the keeping of the counts. The counts themselves stay, true
-- at this moment; from here on the application has to keep them again.

LOCK TABLE public.exams, public.questions, public.exam_attempts IN ACCESS EXCLUSIVE MODE;

DO $block$
DECLARE
    v_kept bigint;
BEGIN
    INSERT INTO public.rollback_data_log (rollback_version, table_name, data_snapshot)
    SELECT 'v1.3.0', 'public.exam_attempts', to_jsonb(exam_attempts)
    FROM public.exam_attempts;
    GET DIAGNOSTICS v_kept = ROW_COUNT;
    IF v_kept > 0 THEN
        RAISE WARNING 'dropping exam_attempts: % rows kept in rollback_data_log', v_kept;
    END IF;
END;
$block$;

DROP VIEW public.subject_progress;
DROP TABLE public.exam_attempts;

DROP TRIGGER exams_count_inserted ON public.exams;
DROP TRIGGER exams_count_updated ON public.exams;
DROP TRIGGER exams_count_deleted ON public.exams;
DROP TRIGGER exams_count_truncated ON public.exams;
DROP TRIGGER questions_count_inserted ON public.questions;
DROP TRIGGER questions_count_updated ON public.questions;
DROP TRIGGER questions_count_deleted ON public.questions;
DROP TRIGGER questions_count_truncated ON public.questions;
DROP FUNCTION public.keep_subject_counts();

-- Generated from what stays: nothing to keep. Its index goes with it.
ALTER TABLE public.questions DROP COLUMN search_document;

DO $block$
BEGIN
    IF to_regclass('public.exam_attempts') IS NOT NULL
        OR to_regclass('public.subject_progress') IS NOT NULL
    THEN
        RAISE EXCEPTION 'rollback of v1.3.0: exam_attempts or subject_progress is still there';
    END IF;

    IF EXISTS (
        SELECT FROM information_schema.columns
        WHERE table_schema = 'public'
            AND table_name = 'questions' AND column_name = 'search_document'
    ) THEN
        RAISE EXCEPTION 'rollback of v1.3.0: questions.search_document is still there';
    END IF;

    -- Its triggers cannot outlive it: DROP FUNCTION refuses while one is left.
    IF to_regprocedure('public.keep_subject_counts()') IS NOT NULL THEN
        RAISE EXCEPTION 'rollback of v1.3.0: function keep_subject_counts is still there';
    END IF;
END;
$block$;

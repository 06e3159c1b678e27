-- Attempts at exams, search in the questions, and counts that keep themselves true.

CREATE TABLE public.exam_attempts (
    id bigint GENERATED ALWAYS AS IDENTITY CONSTRAINT exam_attempts_pkey PRIMARY KEY,
    user_id bigint NOT NULL
        CONSTRAINT exam_attempts_user_id_fkey REFERENCES public.users (id) ON DELETE CASCADE,
    exam_id bigint NOT NULL
        CONSTRAINT exam_attempts_exam_id_fkey REFERENCES public.exams (id) ON DELETE CASCADE,
    answers jsonb NOT NULL DEFAULT '{}'
        CONSTRAINT exam_attempts_answers_check CHECK (jsonb_typeof(answers) = 'object'),
    score_percent numeric(5, 2)
        CONSTRAINT exam_attempts_score_percent_check CHECK (score_percent BETWEEN 0 AND 100),
    started_at timestamptz NOT NULL DEFAULT now(),
    finished_at timestamptz,
    CONSTRAINT exam_attempts_finished_at_check CHECK (finished_at >= started_at),
    CONSTRAINT exam_attempts_scored_check CHECK ((finished_at IS NULL) = (score_percent IS NULL))
);

COMMENT ON TABLE public.exam_attempts IS 'Somebody''s try at an exam, finished or not.';
COMMENT ON COLUMN public.exam_attempts.answers IS
    'The option chosen for each question: {"<question id>": <position>}.';

CREATE INDEX exam_attempts_user_id_started_at_idx
ON public.exam_attempts (user_id, started_at DESC);

CREATE INDEX exam_attempts_exam_id_idx ON public.exam_attempts (exam_id);

-- One try at a time for each user and exam.
CREATE UNIQUE INDEX exam_attempts_unfinished_key ON public.exam_attempts (user_id, exam_id)
WHERE finished_at IS NULL;

-- A stored generated column rewrites the table under an exclusive lock: right for some thousands
-- of questions, wrong for some millions.
ALTER TABLE public.questions
    -- squawk-ignore adding-field-with-default
    ADD COLUMN search_document tsvector NOT NULL GENERATED ALWAYS AS (
        setweight(to_tsvector('english', question_text), 'A')
        || setweight(to_tsvector('english', explanation), 'B')
    ) STORED;

-- squawk-ignore require-concurrent-index-creation
CREATE INDEX questions_search_document_idx ON public.questions USING gin (search_document);

-- The stored counts. Statement triggers with transition tables: loading ten thousand questions
-- updates each subject once. The subjects are locked in the order of their keys first, so that two
-- loads at once cannot wait for each other in a circle, and counted only then, so that each sees
-- what the other committed.
CREATE FUNCTION public.keep_subject_counts() RETURNS trigger
LANGUAGE plpgsql
SET search_path = pg_catalog, pg_temp
AS $function$
DECLARE
    v_subject_ids bigint[];
BEGIN
    CASE TG_OP
        WHEN 'INSERT' THEN
            v_subject_ids := ARRAY(SELECT subject_id FROM new_rows);
        WHEN 'DELETE' THEN
            v_subject_ids := ARRAY(SELECT subject_id FROM old_rows);
        WHEN 'UPDATE' THEN
            v_subject_ids := ARRAY(
                SELECT subject_id FROM new_rows UNION SELECT subject_id FROM old_rows
            );
        ELSE  -- TRUNCATE has no transition tables: it leaves nothing of any subject.
            v_subject_ids := ARRAY(SELECT id FROM public.subjects);
    END CASE;

    PERFORM id FROM public.subjects WHERE id = ANY (v_subject_ids) ORDER BY id FOR NO KEY UPDATE;

    UPDATE public.subjects
    SET
        exam_count = (SELECT count(*) FROM public.exams WHERE exams.subject_id = subjects.id),
        question_count = (
            SELECT count(*) FROM public.questions WHERE questions.subject_id = subjects.id
        )
    WHERE id = ANY (v_subject_ids);

    RETURN NULL;
END;
$function$;

COMMENT ON FUNCTION public.keep_subject_counts() IS
    'Trigger: counts the exams and questions of the subjects that a statement touched.';

CREATE TRIGGER exams_count_inserted
AFTER INSERT ON public.exams
REFERENCING NEW TABLE AS new_rows
FOR EACH STATEMENT EXECUTE FUNCTION public.keep_subject_counts();

CREATE TRIGGER exams_count_updated
AFTER UPDATE ON public.exams
REFERENCING OLD TABLE AS old_rows NEW TABLE AS new_rows
FOR EACH STATEMENT EXECUTE FUNCTION public.keep_subject_counts();

CREATE TRIGGER exams_count_deleted
AFTER DELETE ON public.exams
REFERENCING OLD TABLE AS old_rows
FOR EACH STATEMENT EXECUTE FUNCTION public.keep_subject_counts();

CREATE TRIGGER exams_count_truncated
AFTER TRUNCATE ON public.exams
FOR EACH STATEMENT EXECUTE FUNCTION public.keep_subject_counts();

CREATE TRIGGER questions_count_inserted
AFTER INSERT ON public.questions
REFERENCING NEW TABLE AS new_rows
FOR EACH STATEMENT EXECUTE FUNCTION public.keep_subject_counts();

CREATE TRIGGER questions_count_updated
AFTER UPDATE ON public.questions
REFERENCING OLD TABLE AS old_rows NEW TABLE AS new_rows
FOR EACH STATEMENT EXECUTE FUNCTION public.keep_subject_counts();

CREATE TRIGGER questions_count_deleted
AFTER DELETE ON public.questions
REFERENCING OLD TABLE AS old_rows
FOR EACH STATEMENT EXECUTE FUNCTION public.keep_subject_counts();

CREATE TRIGGER questions_count_truncated
AFTER TRUNCATE ON public.questions
FOR EACH STATEMENT EXECUTE FUNCTION public.keep_subject_counts();

-- What changed while nobody kept the counts.
UPDATE public.subjects
SET
    exam_count = (SELECT count(*) FROM public.exams WHERE exams.subject_id = subjects.id),
    question_count = (
        SELECT count(*) FROM public.questions WHERE questions.subject_id = subjects.id
    );

-- The page "how am I doing", in one place.
CREATE VIEW public.subject_progress AS
SELECT
    exam_attempts.user_id,
    exams.subject_id,
    count(*) AS attempts,
    count(*) FILTER (WHERE exam_attempts.score_percent >= exams.passing_percent) AS passed,
    round(avg(exam_attempts.score_percent), 1) AS average_percent
FROM public.exam_attempts
INNER JOIN public.exams ON exams.id = exam_attempts.exam_id
WHERE exam_attempts.finished_at IS NOT NULL
GROUP BY exam_attempts.user_id, exams.subject_id;

COMMENT ON VIEW public.subject_progress IS 'Finished attempts of each user in each subject.';

INSERT INTO public.exam_attempts (user_id, exam_id, score_percent, started_at, finished_at)
SELECT users.id, exams.id, 66.67, now() - interval '50 minutes', now() - interval '20 minutes'
FROM public.users
CROSS JOIN public.exams
WHERE users.username = 'student-01' AND exams.title = 'Algebra I';

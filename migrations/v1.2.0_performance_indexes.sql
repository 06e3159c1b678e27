-- Indexes for the questions that the site asks most.
--
-- A plain CREATE INDEX makes writers of its table wait while it is built. These tables are small:
-- that is milliseconds, and all of it is one transaction. A large table wants CONCURRENTLY, which
-- cannot run inside a transaction.
-- squawk-ignore-file require-concurrent-index-creation

-- PostgreSQL indexes the referenced side of a foreign key, not the referencing one. The unique
-- key (subject_id, title) serves exams; questions has nothing yet.
CREATE INDEX questions_exam_id_idx ON public.questions (exam_id);

-- Practice by subject and difficulty.
CREATE INDEX questions_subject_id_difficulty_idx ON public.questions (subject_id, difficulty);

-- The catalogue: published exams, newest first. Drafts are not in the index at all.
CREATE INDEX exams_published_at_idx ON public.exams (published_at DESC)
WHERE published_at IS NOT NULL;

-- Somebody's visits, newest first.
CREATE INDEX user_sessions_user_name_started_at_idx
ON public.user_sessions (user_name, started_at DESC);

-- Clearing away what has expired.
CREATE INDEX user_sessions_expires_at_idx ON public.user_sessions (expires_at)
WHERE ended_at IS NULL;

CREATE INDEX password_reset_tokens_user_id_idx ON public.password_reset_tokens (user_id);

-- The exam-preparation site as it first went live: what is taught, what is asked, who learns.
--
-- CREATE TABLE without IF NOT EXISTS, on purpose: the history says what was applied, and a table
-- of that name which somebody else made must stop this file rather than be taken for ours.

CREATE TABLE public.subjects (
    id bigint GENERATED ALWAYS AS IDENTITY CONSTRAINT subjects_pkey PRIMARY KEY,
    name text NOT NULL,
    description text NOT NULL DEFAULT '',
    exam_count integer NOT NULL DEFAULT 0,
    question_count integer NOT NULL DEFAULT 0,
    created_at timestamptz NOT NULL DEFAULT now()
);

COMMENT ON TABLE public.subjects IS 'What can be studied: one row a subject.';
COMMENT ON COLUMN public.subjects.exam_count IS
    'Stored count of this subject''s exams, read by the front page.';
COMMENT ON COLUMN public.subjects.question_count IS
    'Stored count of this subject''s questions, read by the front page.';

CREATE TABLE public.exams (
    id bigint GENERATED ALWAYS AS IDENTITY CONSTRAINT exams_pkey PRIMARY KEY,
    subject_id bigint NOT NULL
        CONSTRAINT exams_subject_id_fkey REFERENCES public.subjects (id),
    title text NOT NULL,
    duration_minutes integer NOT NULL
        CONSTRAINT exams_duration_minutes_check CHECK (duration_minutes BETWEEN 1 AND 600),
    passing_percent integer NOT NULL DEFAULT 60
        CONSTRAINT exams_passing_percent_check CHECK (passing_percent BETWEEN 0 AND 100),
    published_at timestamptz,
    created_at timestamptz NOT NULL DEFAULT now(),
    CONSTRAINT exams_subject_id_title_key UNIQUE (subject_id, title)
);

COMMENT ON TABLE public.exams IS 'Practice exams; an exam belongs to one subject.';
COMMENT ON COLUMN public.exams.published_at IS 'NULL while the exam is a draft.';

CREATE TABLE public.questions (
    id bigint GENERATED ALWAYS AS IDENTITY CONSTRAINT questions_pkey PRIMARY KEY,
    exam_id bigint NOT NULL
        CONSTRAINT questions_exam_id_fkey REFERENCES public.exams (id) ON DELETE CASCADE,
    subject_id bigint NOT NULL
        CONSTRAINT questions_subject_id_fkey REFERENCES public.subjects (id),
    question_text text NOT NULL,
    options text NOT NULL,
    correct_option integer NOT NULL
        CONSTRAINT questions_correct_option_check CHECK (correct_option >= 0),
    difficulty text NOT NULL DEFAULT 'Beginner',
    explanation text NOT NULL DEFAULT '',
    created_at timestamptz NOT NULL DEFAULT now()
);

COMMENT ON TABLE public.questions IS 'Multiple-choice questions of the exams.';
COMMENT ON COLUMN public.questions.subject_id IS
    'The exam''s subject, repeated here so that practice by subject needs no join.';
COMMENT ON COLUMN public.questions.options IS 'The answers offered, a JSON array of strings.';
COMMENT ON COLUMN public.questions.correct_option IS 'Position in options, from 0.';
COMMENT ON COLUMN public.questions.difficulty IS 'Beginner, Intermediate or Advanced.';

CREATE TABLE public.users (
    id bigint GENERATED ALWAYS AS IDENTITY CONSTRAINT users_pkey PRIMARY KEY,
    username text NOT NULL CONSTRAINT users_username_key UNIQUE,
    email text NOT NULL,
    created_at timestamptz NOT NULL DEFAULT now()
);

COMMENT ON TABLE public.users IS 'People who study here.';

-- Addresses differ by more than their case: Student@example.com is student@example.com.
CREATE UNIQUE INDEX users_email_lower_key ON public.users (lower(email));

CREATE TABLE public.user_sessions (
    id bigint GENERATED ALWAYS AS IDENTITY CONSTRAINT user_sessions_pkey PRIMARY KEY,
    user_name text NOT NULL,
    ip_address text,
    user_agent text,
    started_at timestamptz NOT NULL DEFAULT now(),
    ended_at timestamptz,
    CONSTRAINT user_sessions_ended_at_check CHECK (ended_at IS NULL OR ended_at >= started_at)
);

COMMENT ON TABLE public.user_sessions IS 'Visits to the site.';
COMMENT ON COLUMN public.user_sessions.user_name IS
    'users.username. No foreign key: the session service writes in bulk, without locking users; '
    'the integrity check user_sessions->users watches over it.';
COMMENT ON COLUMN public.user_sessions.ended_at IS 'NULL while the visit lasts.';

-- A little to begin with.
INSERT INTO public.subjects (name, description) VALUES
    ('Mathematics', 'Numbers, equations and proofs.'),
    ('Physics', 'Motion, energy and matter.'),
    ('Computer Science', 'Programs, data and networks.');

INSERT INTO public.exams (subject_id, title, duration_minutes, passing_percent, published_at)
SELECT subjects.id, seed.title, seed.duration_minutes, seed.passing_percent, now()
FROM (
    VALUES
        ('Mathematics', 'Algebra I', 45, 60),
        ('Mathematics', 'Geometry', 60, 60),
        ('Physics', 'Mechanics', 50, 65),
        ('Computer Science', 'Databases', 90, 70)
) AS seed (subject, title, duration_minutes, passing_percent)
INNER JOIN public.subjects ON subjects.name = seed.subject;

INSERT INTO public.questions (
    exam_id, subject_id, question_text, options, correct_option, difficulty
)
SELECT
    exams.id, exams.subject_id,
    seed.question_text, seed.options, seed.correct_option, seed.difficulty
FROM (
    VALUES
        ('Algebra I', 'Solve 2x + 6 = 0.', '["-3", "3", "6"]', 0, 'Beginner'),
        ('Algebra I', 'Which is a root of x² − 5x + 6?', '["1", "2", "4"]', 1, 'Intermediate'),
        ('Algebra I', 'How many real roots has x² + 1?', '["0", "1", "2"]', 0, 'Intermediate'),
        ('Geometry', 'The angles of a triangle add up to', '["90°", "180°", "360°"]', 1, 'Beginner'),
        ('Geometry', 'How many faces has a cube?', '["4", "6", "8"]', 1, 'Beginner'),
        ('Mechanics', 'The unit of force is the', '["joule", "newton", "watt"]', 1, 'Beginner'),
        ('Mechanics', 'Momentum is mass times', '["acceleration", "velocity", "height"]', 1, 'Intermediate'),
        ('Databases', 'A primary key may be NULL.', '["True", "False"]', 1, 'Beginner'),
        ('Databases', 'The I of ACID stands for', '["Integrity", "Isolation", "Index"]', 1, 'Intermediate'),
        ('Databases', 'Which lock does a plain SELECT take?', '["ACCESS SHARE", "ROW SHARE", "none"]', 0, 'Advanced')
) AS seed (exam, question_text, options, correct_option, difficulty)
INNER JOIN public.exams ON exams.title = seed.exam;

INSERT INTO public.users (username, email) VALUES
    ('student-01', 'student-01@example.com'),
    ('student-02', 'student-02@example.com'),
    ('teacher-01', 'teacher-01@example.com');

INSERT INTO public.user_sessions (user_name, ip_address, user_agent, started_at, ended_at) VALUES
    ('student-01', '192.0.2.10', 'Mozilla/5.0', now() - interval '2 days', now() - interval '47 hours'),
    ('student-01', '192.0.2.10', 'Mozilla/5.0', now() - interval '1 hour', NULL),
    ('student-02', '198.51.100.7', 'Mozilla/5.0', now() - interval '3 hours', now() - interval '2 hours'),
    ('teacher-01', '2001:db8::17', 'Mozilla/5.0', now() - interval '30 minutes', NULL);

UPDATE public.subjects
SET
    exam_count = (SELECT count(*) FROM public.exams WHERE exams.subject_id = subjects.id),
    question_count = (
        SELECT count(*) FROM public.questions WHERE questions.subject_id = subjects.id
    );

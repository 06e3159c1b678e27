-- Bodies in all their forms.
CREATE FUNCTION question_count(subject bigint) RETURNS bigint
    LANGUAGE sql STABLE
BEGIN ATOMIC
    SELECT count(*) FROM questions AS q WHERE q.subject_id = subject;
    SELECT CASE WHEN subject > 0 THEN CASE subject WHEN 1 THEN 10 ELSE 20 END ELSE 0 END;
    SELECT (CASE WHEN true THEN 1 END), 2 AS "end";
END;

create or replace procedure archive(days integer)
begin /* now */ atomic
    insert into archive_log (message) values (E'older than \'' || days || '; days');
    delete from attempts where age > days;
end;

CREATE FUNCTION grade(score numeric) RETURNS text RETURN CASE WHEN score >= 50 THEN 'pass' ELSE 'fail' END;

CREATE OR REPLACE FUNCTION touch() RETURNS trigger LANGUAGE plpgsql AS $body$
BEGIN
    -- don't split; here
    NEW.updated_at := now();
    EXECUTE $q$ SELECT ';' $q$;
    RETURN NEW;
END;
$body$;

CREATE FUNCTION "begin" (a int) RETURNS int LANGUAGE sql AS 'SELECT a; SELECT a + 1;';
DO $$ BEGIN IF true THEN RAISE NOTICE 'done; %', now(); END IF; END $$;
CALL archive(30);
SELECT question_count(1)

CREATE RULE keep_log AS ON DELETE TO exams DO ALSO (
    INSERT INTO exams_log (id, what) VALUES (OLD.id, 'deleted;');
    UPDATE counters SET n = n - 1 WHERE name = 'exams';
);
CREATE RULE nested AS ON UPDATE TO exams DO INSTEAD (SELECT ((1 + (2)) * 3); SELECT ';');
CREATE VIEW passed AS
    SELECT u.name, CASE WHEN a.score > 90 THEN 'A' ELSE 'B' END AS mark
    FROM users AS u JOIN attempts AS a ON a.user_id = u.id -- joined
    WHERE a.score >= 50;
CREATE TRIGGER touch_exams BEFORE UPDATE ON exams FOR EACH ROW WHEN (OLD.* IS DISTINCT FROM NEW.*)
    EXECUTE FUNCTION touch();
CREATE OPERATOR === (LEFTARG = text, RIGHTARG = text, FUNCTION = texteq);
SELECT 'a' === 'b', 1 <> -1, 2 !=-1, @ -5, |/ 25;
CREATE SCHEMA reports CREATE VIEW totals AS SELECT count(*) FROM exams;
BEGIN; SAVEPOINT a; ROLLBACK TO SAVEPOINT a; END;
CREATE UNIQUE INDEX CONCURRENTLY IF NOT EXISTS users_email ON users (lower(email)) WHERE deleted_at IS NULL;
ALTER TABLE attempts DETACH PARTITION attempts_2023 CONCURRENTLY;
VACUUM (ANALYZE, VERBOSE) attempts;
GRANT SELECT ON ALL TABLES IN SCHEMA reports TO PUBLIC;

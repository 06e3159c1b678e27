-- Every way to quote, with what would mislead a careless reader inside.
/* A comment; /* nested; ' " $$ */ still within; */
CREATE TABLE "odd;name" (
    "it's" text DEFAULT 'a;b''c',          -- don't; stop
    "quote""d" text DEFAULT E'it\'s; \\',
    plain text DEFAULT 'C:\', /* ; */
    bits bit(4) DEFAULT B'1010',
    "größe" numeric(10, 2) CHECK ("größe" >= 0)
);

COMMENT ON TABLE "odd;name" IS E'first; '
    -- a constant goes on behind a line break
    'second\'s; '
    'third';

INSERT INTO "odd;name" ("it's", "quote""d") VALUES
    (U&'d\0061t\0061;', $$dollar; 'quoted'$$),
    ('--', '/*'), ('*/', $tag$ $$ ; $tag $ $tag$),
    (N'national;', $été$ non-ASCII; $ete$ tag $été$);

SELECT 4 / 2 - 1 AS a$b$c, -1 * - 2 AS minus, 3 -- three;
    + /* ; */ 4 AS sum, '{}'::jsonb @> '{}'::jsonb, 'a' || 'b' AS "a;b";
SELECT U&"d\0061ta" FROM (SELECT 1 AS data) AS t /* the end; */;
;;
PREPARE find (text, int) AS SELECT $1 || $2::text;
EXECUTE find ('a;b', 2); DEALLOCATE find

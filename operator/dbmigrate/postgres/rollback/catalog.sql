-- Every object that a migration can make in a database: its kind, its identity, its definition.
-- Runs with search_path = pg_catalog, so that every name in a definition has its schema.
-- Left out: what belongs to the system, to an extension (which is one object, with its version),
-- to dbmigrate itself, what is temporary, and the data: sequences' values among them.
-- Roles, tablespaces and settings of roles belong to the server, not to the database.
-- :history and :tables are replaced by the bookkeeping's schema and its tables' names.

with
schemas as (
    select n.oid, n.nspname, n.nspowner, n.nspacl, quote_ident(n.nspname) as name
    from pg_namespace as n
    where n.nspname <> 'information_schema' and n.nspname !~ '^pg_'
),
ours as (
    select c.oid from pg_class as c join pg_namespace as n on n.oid = c.relnamespace
    where n.nspname = :history and c.relname = any(:tables)
),
-- What an extension, a range type, or one of our tables brings with it.
left_out as (
    select classid, objid from pg_depend where deptype = 'e'
    union
    select classid, objid from pg_depend
    where deptype = 'i' and classid in ('pg_proc'::regclass, 'pg_cast'::regclass)
    union
    select 'pg_class'::regclass, oid from ours
    union
    select d.classid, d.objid from pg_depend as d
    where d.refclassid = 'pg_class'::regclass and d.refobjid in (select oid from ours)
        and d.deptype in ('a', 'i')
    union
    select 'pg_proc'::regclass, t.tgfoid from pg_trigger as t
    where t.tgrelid in (select oid from ours) and not t.tgisinternal
),
relations as (
    select c.*, s.name || '.' || quote_ident(c.relname) as name,
        case c.relkind
            when 'r' then 'table' when 'p' then 'table' when 'f' then 'foreign table'
            when 'v' then 'view' when 'm' then 'materialized view' when 'S' then 'sequence'
            when 'c' then 'type'
        end as kind
    from pg_class as c join schemas as s on s.oid = c.relnamespace
    where c.relkind in ('r', 'p', 'f', 'v', 'm', 'S', 'c') and c.relpersistence <> 't'
        and ('pg_class'::regclass, c.oid) not in (select classid, objid from left_out)
),
functions as (
    select p.*, p.oid::regprocedure::text as name,
        case p.prokind when 'a' then 'aggregate' when 'p' then 'procedure' else 'function' end as kind
    from pg_proc as p join schemas as s on s.oid = p.pronamespace
    where ('pg_proc'::regclass, p.oid) not in (select classid, objid from left_out)
),
types as (
    select t.*, s.name || '.' || quote_ident(t.typname) as name,
        case t.typtype when 'd' then 'domain' else 'type' end as kind
    from pg_type as t join schemas as s on s.oid = t.typnamespace
    where t.typtype in ('b', 'd', 'e', 'r', 'c') and t.typelem = 0
        and (t.typrelid = 0 or exists (
            select from pg_class as c where c.oid = t.typrelid and c.relkind = 'c'
        ))
        and ('pg_type'::regclass, t.oid) not in (select classid, objid from left_out)
),
columns as (
    select a.*, r.name as of, r.name || '.' || quote_ident(a.attname) as name
    from pg_attribute as a join relations as r on r.oid = a.attrelid
    where a.attnum > 0 and not a.attisdropped and r.relkind in ('r', 'p', 'f', 'c', 'v', 'm')
),
servers as (
    select s.* from pg_foreign_server as s
    where ('pg_foreign_server'::regclass, s.oid) not in (select classid, objid from left_out)
),
-- Objects with an owner and privileges; the letter is that of acldefault().
owned as (
    select kind, name, relowner as owner, relacl as acl,
        (case relkind when 'S' then 's' else 'r' end)::"char" as letter
    from relations where relkind <> 'c'
    union all
    select kind, name, proowner, proacl, 'f' from functions
    union all
    select kind, name, typowner, typacl, 'T' from types
    union all
    select 'schema', name, nspowner, nspacl, 'n' from schemas
    union all
    select 'server', quote_ident(srvname), srvowner, srvacl, 'S' from servers
    union all
    select 'foreign-data wrapper', quote_ident(w.fdwname), w.fdwowner, w.fdwacl, 'F'
    from pg_foreign_data_wrapper as w
    where ('pg_foreign_data_wrapper'::regclass, w.oid) not in (select classid, objid from left_out)
    union all
    select 'language', quote_ident(l.lanname), l.lanowner, l.lanacl, 'l'
    from pg_language as l
    where l.lanispl
        and ('pg_language'::regclass, l.oid) not in (select classid, objid from left_out)
),
found (kind, identity, definition) as (
    select 'schema', name, '' from schemas

    union all
    select kind, name, concat_ws(e'\n',
        case relpersistence when 'u' then 'unlogged' end,
        case relkind when 'p' then 'partition by ' || pg_get_partkeydef(oid) end,
        'partition ' || pg_get_expr(relpartbound, oid),
        (
            select 'inherits ' || string_agg(i.inhparent::regclass::text, ', ' order by i.inhseqno)
            from pg_inherits as i where i.inhrelid = relations.oid
        ),
        case when reloftype <> 0 then 'of ' || reloftype::regtype end,
        (select 'using ' || m.amname from pg_am as m where m.oid = relam and m.amname <> 'heap'),
        (select 'tablespace ' || s.spcname from pg_tablespace as s where s.oid = reltablespace),
        'with ' || nullif(array_to_string(array(select unnest(reloptions) order by 1), ', '), ''),
        (
            select 'toast with ' || nullif(array_to_string(array(select unnest(t.reloptions) order by 1), ', '), '')
            from pg_class as t where t.oid = reltoastrelid and t.reloptions is not null
        ),
        case when relrowsecurity then 'row level security' end,
        case when relforcerowsecurity then 'row level security forced' end,
        'replica identity ' || nullif(relreplident::text, 'd'),
        (
            select 'server ' || quote_ident(s.srvname) || ' '
                || nullif(array_to_string(array(select unnest(f.ftoptions) order by 1), ', '), '')
            from pg_foreign_table as f join pg_foreign_server as s on s.oid = f.ftserver
            where f.ftrelid = relations.oid
        )
    )
    from relations where relkind in ('r', 'p', 'f')

    union all
    select kind, name, concat_ws(e'\n',
        'with ' || nullif(array_to_string(array(select unnest(reloptions) order by 1), ', '), ''),
        case when relkind = 'm' and not relispopulated then 'not populated' end,
        pg_get_viewdef(oid)
    )
    from relations where relkind in ('v', 'm')

    union all
    select 'column', c.name, concat_ws(' ',
        format_type(c.atttypid, c.atttypmod),
        case when c.attcollation <> t.typcollation then 'collate ' || c.attcollation::regcollation end,
        case when c.attnotnull then 'not null' end,
        case c.attidentity when 'a' then 'generated always as identity'
            when 'd' then 'generated by default as identity' end,
        case c.attgenerated when 's' then 'generated always stored'
            when 'v' then 'generated always virtual' else case when d.oid is not null then 'default' end
        end,
        pg_get_expr(d.adbin, d.adrelid),
        case when c.attstorage <> t.typstorage then 'storage ' || c.attstorage::text end,
        'compression ' || nullif(c.attcompression::text, ''),
        'statistics ' || nullif(to_jsonb(c) ->> 'attstattarget', '-1'),
        'with ' || nullif(array_to_string(array(select unnest(c.attoptions) order by 1), ', '), ''),
        'options ' || nullif(array_to_string(array(select unnest(c.attfdwoptions) order by 1), ', '), ''),
        case when not c.attislocal then 'inherited' end
    )
    from columns as c
    join pg_type as t on t.oid = c.atttypid
    left join pg_attrdef as d on d.adrelid = c.attrelid and d.adnum = c.attnum
    where c.attrelid in (select oid from relations where relkind in ('r', 'p', 'f', 'c'))

    union all
    select 'column order', of, string_agg(quote_ident(attname), ', ' order by attnum)
    from columns
    where attrelid in (select oid from relations where relkind in ('r', 'p', 'f', 'c'))
    group by of

    union all
    select 'default', v.name, pg_get_expr(d.adbin, d.adrelid)
    from pg_attrdef as d
    join columns as v on v.attrelid = d.adrelid and v.attnum = d.adnum
    join relations as r on r.oid = d.adrelid and r.relkind = 'v'

    union all
    select 'constraint', quote_ident(c.conname) || ' on ' || coalesce(r.name, t.name),
        pg_get_constraintdef(c.oid)
    from pg_constraint as c
    left join relations as r on r.oid = c.conrelid
    left join types as t on t.oid = c.contypid
    where coalesce(r.name, t.name) is not null
        and c.contype <> 't' -- a trigger

    union all
    select 'index', concat(i.indexrelid::regclass, ' on ', r.name), concat_ws(e'\n',
        pg_get_indexdef(i.indexrelid),
        case when i.indisclustered then 'clustered' end,
        case when i.indisreplident then 'replica identity' end,
        case when not i.indisvalid then 'invalid' end,
        (select 'tablespace ' || s.spcname from pg_tablespace as s where s.oid = c.reltablespace),
        (
            select 'statistics ' || string_agg(
                concat(a.attnum, '=', to_jsonb(a) ->> 'attstattarget'), ', ' order by a.attnum
            )
            from pg_attribute as a
            where a.attrelid = c.oid and to_jsonb(a) ->> 'attstattarget' <> '-1'
        )
    )
    from pg_index as i
    join relations as r on r.oid = i.indrelid
    join pg_class as c on c.oid = i.indexrelid

    union all
    select 'sequence', r.name, concat_ws(' ',
        s.seqtypid::regtype, 'start', s.seqstart, 'increment', s.seqincrement,
        'min', s.seqmin, 'max', s.seqmax, 'cache', s.seqcache,
        case when s.seqcycle then 'cycle' end,
        case r.relpersistence when 'u' then 'unlogged' end,
        (
            select 'owned by ' || pg_describe_object(d.refclassid, d.refobjid, d.refobjsubid)
            from pg_depend as d
            where d.classid = 'pg_class'::regclass and d.objid = r.oid
                and d.deptype in ('a', 'i') and d.refobjsubid > 0
        )
    )
    from relations as r join pg_sequence as s on s.seqrelid = r.oid

    union all
    select kind, name, pg_get_functiondef(oid) from functions where prokind <> 'a'

    union all
    select p.kind, p.name, concat_ws(' ',
        'returns', p.prorettype::regtype, 'kind', a.aggkind, 'sfunc', a.aggtransfn::regprocedure,
        'stype', a.aggtranstype::regtype, 'sspace', a.aggtransspace,
        'finalfunc ' || nullif(a.aggfinalfn::oid, 0)::regprocedure, a.aggfinalextra, a.aggfinalmodify,
        'combine ' || nullif(a.aggcombinefn::oid, 0)::regprocedure,
        'serial ' || nullif(a.aggserialfn::oid, 0)::regprocedure,
        'deserial ' || nullif(a.aggdeserialfn::oid, 0)::regprocedure,
        'initcond ' || quote_literal(a.agginitval),
        'msfunc ' || nullif(a.aggmtransfn::oid, 0)::regprocedure,
        'minvfunc ' || nullif(a.aggminvtransfn::oid, 0)::regprocedure,
        'mfinalfunc ' || nullif(a.aggmfinalfn::oid, 0)::regprocedure,
        'mstype ' || nullif(a.aggmtranstype, 0)::regtype, 'minitcond ' || quote_literal(a.aggminitval),
        'sortop ' || nullif(a.aggsortop, 0)::regoperator, 'parallel', p.proparallel
    )
    from functions as p join pg_aggregate as a on a.aggfnoid = p.oid

    union all
    select t.kind, t.name, concat_ws(' ',
        case t.typtype when 'e' then 'enum' when 'd' then 'domain' when 'r' then 'range'
            when 'c' then 'composite' else 'base' end,
        (
            select string_agg(quote_literal(e.enumlabel), ', ' order by e.enumsortorder)
            from pg_enum as e where e.enumtypid = t.oid
        ),
        case when t.typtype = 'd' then format_type(t.typbasetype, t.typtypmod) end,
        case when t.typtype = 'd' and t.typcollation <> b.typcollation
            then 'collate ' || t.typcollation::regcollation end,
        case when t.typnotnull then 'not null' end,
        'default ' || t.typdefault,
        (
            select concat_ws(' ', g.rngsubtype::regtype, 'opclass', o.opcname,
                'collation ' || nullif(g.rngcollation, 0)::regcollation,
                'canonical ' || nullif(g.rngcanonical::oid, 0)::regprocedure,
                'diff ' || nullif(g.rngsubdiff::oid, 0)::regprocedure,
                'multirange', g.rngmultitypid::regtype)
            from pg_range as g join pg_opclass as o on o.oid = g.rngsubopc
            where g.rngtypid = t.oid
        ),
        case when t.typtype = 'b' then concat_ws(' ', 'input', t.typinput::regprocedure,
            'output', t.typoutput::regprocedure, 'length', t.typlen, 'align', t.typalign,
            'storage', t.typstorage, 'category', t.typcategory) end
    )
    from types as t left join pg_type as b on b.oid = t.typbasetype

    union all
    select 'trigger', quote_ident(t.tgname) || ' on ' || r.name,
        pg_get_triggerdef(t.oid) || coalesce(' enabled ' || nullif(t.tgenabled::text, 'O'), '')
    from pg_trigger as t join relations as r on r.oid = t.tgrelid
    where not t.tgisinternal

    union all
    select 'policy', quote_ident(p.polname) || ' on ' || r.name, concat_ws(' ',
        case when p.polpermissive then 'permissive' else 'restrictive' end, 'for', p.polcmd, 'to',
        (
            select string_agg(case o when 0 then 'public' else o::regrole::text end, ', ' order by 1)
            from unnest(p.polroles) as o
        ),
        'using ' || pg_get_expr(p.polqual, p.polrelid),
        'with check ' || pg_get_expr(p.polwithcheck, p.polrelid)
    )
    from pg_policy as p join relations as r on r.oid = p.polrelid

    union all
    select 'rule', quote_ident(w.rulename) || ' on ' || r.name,
        pg_get_ruledef(w.oid) || coalesce(' enabled ' || nullif(w.ev_enabled::text, 'O'), '')
    from pg_rewrite as w join relations as r on r.oid = w.ev_class
    where w.rulename <> '_RETURN'

    union all
    select 'statistics', s.name || '.' || quote_ident(x.stxname),
        concat_ws(' ', pg_get_statisticsobjdef(x.oid), nullif(to_jsonb(x) ->> 'stxstattarget', '-1'))
    from pg_statistic_ext as x join schemas as s on s.oid = x.stxnamespace
    where x.stxrelid in (select oid from relations)

    union all
    select 'extension', quote_ident(e.extname), concat_ws(' ', e.extversion, 'schema', n.nspname)
    from pg_extension as e join pg_namespace as n on n.oid = e.extnamespace

    union all
    select 'language', quote_ident(l.lanname), concat_ws(' ',
        case when l.lanpltrusted then 'trusted' end, l.lanplcallfoid::regprocedure,
        nullif(l.laninline, 0)::regprocedure, nullif(l.lanvalidator, 0)::regprocedure)
    from pg_language as l
    where l.lanispl
        and ('pg_language'::regclass, l.oid) not in (select classid, objid from left_out)

    union all
    select 'foreign-data wrapper', quote_ident(w.fdwname), concat_ws(' ',
        nullif(w.fdwhandler, 0)::regprocedure, nullif(w.fdwvalidator, 0)::regprocedure,
        nullif(array_to_string(array(select unnest(w.fdwoptions) order by 1), ', '), ''))
    from pg_foreign_data_wrapper as w
    where ('pg_foreign_data_wrapper'::regclass, w.oid) not in (select classid, objid from left_out)

    union all
    -- Options of user mappings hold passwords: only their names are taken.
    select 'server', quote_ident(s.srvname), concat_ws(' ', w.fdwname, s.srvtype, s.srvversion,
        nullif(array_to_string(array(select unnest(s.srvoptions) order by 1), ', '), ''))
    from servers as s join pg_foreign_data_wrapper as w on w.oid = s.srvfdw

    union all
    select 'user mapping', coalesce(u.usename, 'public') || ' on ' || quote_ident(u.srvname), coalesce((
        select string_agg(split_part(o, '=', 1), ', ' order by o) from unnest(u.umoptions) as o
    ), '')
    from pg_user_mappings as u where u.srvid in (select oid from servers)

    union all
    select 'event trigger', quote_ident(e.evtname), concat_ws(' ', e.evtevent, e.evtenabled,
        e.evtfoid::regprocedure, array_to_string(e.evttags, ', '))
    from pg_event_trigger as e
    where ('pg_event_trigger'::regclass, e.oid) not in (select classid, objid from left_out)

    union all
    select 'publication', quote_ident(p.pubname), concat_ws(' ',
        case when p.puballtables then 'all tables' end, 'insert', p.pubinsert, 'update', p.pubupdate,
        'delete', p.pubdelete, 'truncate', p.pubtruncate, 'via root', p.pubviaroot,
        case when not p.puballtables then (
            select string_agg(pg_describe_object(d.classid, d.objid, d.objsubid), ', ' order by 1)
            from pg_depend as d
            where d.refclassid = 'pg_publication'::regclass and d.refobjid = p.oid
        ) end,
        (
            select string_agg(concat(r.prrelid::regclass, ' ', pg_get_expr(
                (to_jsonb(r) ->> 'prqual')::pg_node_tree, r.prrelid
            ), ' ', to_jsonb(r) ->> 'prattrs'), ', ' order by r.prrelid::regclass::text)
            from pg_publication_rel as r where r.prpubid = p.oid
        ))
    from pg_publication as p

    union all
    select 'operator', o.oid::regoperator::text, concat_ws(' ', o.oprcode::regprocedure,
        case when o.oprcanmerge then 'merges' end, case when o.oprcanhash then 'hashes' end,
        'commutator ' || nullif(o.oprcom, 0)::regoperator, 'negator ' || nullif(o.oprnegate, 0)::regoperator,
        'restrict ' || nullif(o.oprrest::oid, 0)::regprocedure, 'join ' || nullif(o.oprjoin::oid, 0)::regprocedure)
    from pg_operator as o join schemas as s on s.oid = o.oprnamespace
    where ('pg_operator'::regclass, o.oid) not in (select classid, objid from left_out)

    union all
    select 'operator family', pg_describe_object('pg_opfamily'::regclass, f.oid, 0), concat_ws('; ',
        (
            select string_agg(concat_ws(' ', a.amopstrategy, a.amopopr::regoperator, a.amoppurpose),
                ', ' order by a.amopstrategy, a.amopopr::regoperator::text)
            from pg_amop as a where a.amopfamily = f.oid
        ),
        (
            select string_agg(concat_ws(' ', a.amprocnum, a.amproc::regprocedure),
                ', ' order by a.amprocnum, a.amproc::regprocedure::text)
            from pg_amproc as a where a.amprocfamily = f.oid
        ))
    from pg_opfamily as f join schemas as s on s.oid = f.opfnamespace
    where ('pg_opfamily'::regclass, f.oid) not in (select classid, objid from left_out)

    union all
    select 'operator class', pg_describe_object('pg_opclass'::regclass, o.oid, 0), concat_ws(' ',
        o.opcintype::regtype, case when o.opcdefault then 'default' end, nullif(o.opckeytype, 0)::regtype)
    from pg_opclass as o join schemas as s on s.oid = o.opcnamespace
    where ('pg_opclass'::regclass, o.oid) not in (select classid, objid from left_out)

    union all
    select 'cast', concat(c.castsource::regtype, ' as ', c.casttarget::regtype),
        concat_ws(' ', nullif(c.castfunc, 0)::regprocedure, c.castcontext, c.castmethod)
    from pg_cast as c
    where c.oid >= 16384 and ('pg_cast'::regclass, c.oid) not in (select classid, objid from left_out)

    union all
    select 'transform', concat(t.trftype::regtype, ' for ', l.lanname),
        concat_ws(' ', nullif(t.trffromsql::oid, 0)::regprocedure, nullif(t.trftosql::oid, 0)::regprocedure)
    from pg_transform as t join pg_language as l on l.oid = t.trflang
    where ('pg_transform'::regclass, t.oid) not in (select classid, objid from left_out)

    union all
    select 'collation', s.name || '.' || quote_ident(c.collname),
        (to_jsonb(c) - '{oid,collname,collnamespace,collowner,collversion}'::text[])::text
    from pg_collation as c join schemas as s on s.oid = c.collnamespace
    where ('pg_collation'::regclass, c.oid) not in (select classid, objid from left_out)

    union all
    select 'conversion', s.name || '.' || quote_ident(c.conname), concat_ws(' ',
        pg_encoding_to_char(c.conforencoding), pg_encoding_to_char(c.contoencoding),
        c.conproc::regprocedure, c.condefault)
    from pg_conversion as c join schemas as s on s.oid = c.connamespace
    where ('pg_conversion'::regclass, c.oid) not in (select classid, objid from left_out)

    union all
    select 'text search configuration', s.name || '.' || quote_ident(c.cfgname), concat_ws(' ',
        pg_describe_object('pg_ts_parser'::regclass, c.cfgparser, 0),
        (
            select string_agg(concat(m.maptokentype, ':', m.mapdict::regdictionary), ', '
                order by m.maptokentype, m.mapseqno)
            from pg_ts_config_map as m where m.mapcfg = c.oid
        ))
    from pg_ts_config as c join schemas as s on s.oid = c.cfgnamespace
    where ('pg_ts_config'::regclass, c.oid) not in (select classid, objid from left_out)

    union all
    select 'text search dictionary', s.name || '.' || quote_ident(d.dictname), concat_ws(' ',
        pg_describe_object('pg_ts_template'::regclass, d.dicttemplate, 0), d.dictinitoption)
    from pg_ts_dict as d join schemas as s on s.oid = d.dictnamespace
    where ('pg_ts_dict'::regclass, d.oid) not in (select classid, objid from left_out)

    union all
    select 'text search parser', s.name || '.' || quote_ident(p.prsname), concat_ws(' ',
        p.prsstart::regprocedure, p.prstoken::regprocedure, p.prsend::regprocedure,
        p.prslextype::regprocedure, nullif(p.prsheadline::oid, 0)::regprocedure)
    from pg_ts_parser as p join schemas as s on s.oid = p.prsnamespace
    where ('pg_ts_parser'::regclass, p.oid) not in (select classid, objid from left_out)

    union all
    select 'text search template', s.name || '.' || quote_ident(t.tmplname), concat_ws(' ',
        nullif(t.tmplinit::oid, 0)::regprocedure, t.tmpllexize::regprocedure)
    from pg_ts_template as t join schemas as s on s.oid = t.tmplnamespace
    where ('pg_ts_template'::regclass, t.oid) not in (select classid, objid from left_out)

    union all
    select 'access method', quote_ident(m.amname), concat_ws(' ', m.amtype, m.amhandler::regprocedure)
    from pg_am as m
    where m.oid >= 16384 and ('pg_am'::regclass, m.oid) not in (select classid, objid from left_out)

    union all
    select 'owner', kind || ' ' || name, pg_get_userbyid(owner) from owned

    union all
    select 'privileges', o.kind || ' ' || o.name, (
        select coalesce(string_agg(line, e'\n' order by line), 'none') from (
            select concat(
                case a.grantee when 0 then 'public' when o.owner then 'owner' else pg_get_userbyid(a.grantee) end, ': ',
                string_agg(lower(a.privilege_type) || case when a.is_grantable then '*' else '' end,
                    ', ' order by a.privilege_type)
            ) as line
            from aclexplode(coalesce(o.acl, acldefault(o.letter, o.owner))) as a
            group by a.grantee
        ) as lines
    )
    from owned as o

    union all
    select 'privileges', 'column ' || c.name, (
        select string_agg(concat(
            case a.grantee when 0 then 'public' else pg_get_userbyid(a.grantee) end, ': ',
            lower(a.privilege_type), case when a.is_grantable then '*' end
        ), e'\n' order by a.grantee, a.privilege_type)
        from aclexplode(c.attacl) as a
    )
    from columns as c where c.attacl is not null and c.attacl <> '{}'

    union all
    select 'default privileges', concat_ws(' ', pg_get_userbyid(d.defaclrole),
        'in ' || nullif(d.defaclnamespace, 0)::regnamespace, d.defaclobjtype),
        array_to_string(array(select a::text from unnest(d.defaclacl) as a order by 1), e'\n')
    from pg_default_acl as d

    union all
    select 'comment', pg_describe_object(d.classoid, d.objoid, d.objsubid), d.description
    from pg_description as d
    where (d.objoid >= 16384 or d.classoid = 'pg_namespace'::regclass and d.objoid = 2200)
        and (d.classoid, d.objoid) not in (select classid, objid from left_out)
        and d.classoid <> 'pg_extension'::regclass
        and coalesce((
            select false from pg_attribute as a
            where d.classoid = 'pg_class'::regclass and a.attrelid = d.objoid
                and a.attnum = d.objsubid and a.attisdropped
        ), true)

    union all
    select 'security label', concat(l.provider, ' on ', pg_describe_object(l.classoid, l.objoid, l.objsubid)),
        l.label
    from pg_seclabel as l
    where (l.classoid, l.objoid) not in (select classid, objid from left_out)
)
select kind::text, identity::text, coalesce(definition, '')::text from found

-- The second brain's tables. Run under an advisory lock; running it again changes nothing.
create extension if not exists vector;
create schema if not exists brain;
set local search_path to brain, public;

create table if not exists settings (name text primary key, value text not null);

create table if not exists documents (
    id bigserial primary key,
    uri text not null unique,
    source text not null,
    title text not null,
    summary text not null default '',
    hash text not null,
    links text[] not null default '{}',
    requires text[] not null default '{}',
    authors text[] not null default '{}',
    stored timestamptz not null default now(),
    removed timestamptz,          -- since when its source has it no more
    embedded text,                -- by which embedder; null while it waits
    linked boolean not null default false,
    problem text                  -- why it could not be embedded or linked
);

create table if not exists chunks (
    document_id bigint not null references documents on delete cascade,
    position integer not null,
    text text not null,
    words tsvector generated always as (to_tsvector('english', text)) stored,
    primary key (document_id, position)
);
-- The first ingest gives it the dimensions of its model; a search may come before.
alter table chunks add column if not exists embedding vector;
create index if not exists chunks_words on chunks using gin (words);

create table if not exists runs (
    id bigserial primary key,
    key text not null unique,     -- the job that began it: the same job, the same run
    source text not null,
    embedder text not null,
    started timestamptz not null default now(),
    listed timestamptz,           -- when all its documents were known
    ended timestamptz,
    jobs integer not null default 1,
    removed integer not null default 0
);

create table if not exists items (
    run_id bigint not null references runs on delete cascade,
    uri text not null,
    outcome text check (outcome in ('new', 'changed', 'unchanged', 'failed')),
    reason text,
    primary key (run_id, uri)
);

-- Where each document of each run stands; everything that is counted is counted here.
create or replace view steps as
select i.run_id, i.uri, d.id as document_id,
       case when i.outcome = 'failed' or d.problem is not null then 'failed'
            else i.outcome end as outcome,
       coalesce(i.reason, d.problem) as reason,
       i.outcome in ('new', 'changed', 'unchanged') as has_been_read,
       coalesce(d.embedded = r.embedder, false) as embedded,
       coalesce(d.linked, false) as linked
from items i
join runs r on r.id = i.run_id
left join documents d on d.uri = i.uri and i.outcome is distinct from 'failed';

-- One row a run: how far it is, and how it ended.
create or replace view ingests as
select r.id, r.key, r.source, r.started, r.listed, r.ended, r.jobs, r.removed,
       count(s.uri) as found,
       count(*) filter (where s.outcome = 'new') as new,
       count(*) filter (where s.outcome = 'changed') as changed,
       count(*) filter (where s.outcome = 'unchanged') as unchanged,
       count(*) filter (where s.outcome = 'failed') as failed,
       count(*) filter (where s.has_been_read) as read,
       count(*) filter (where s.has_been_read and s.embedded) as embedded,
       count(*) filter (where s.has_been_read and s.linked) as linked,
       count(*) filter (where s.outcome = 'failed'
           or (s.has_been_read and s.embedded and s.linked)) as done
from runs r left join steps s on s.run_id = r.id
group by r.id;

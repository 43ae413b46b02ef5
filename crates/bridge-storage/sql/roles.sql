-- The three roles of the bridge, each with no more than it needs. For a database of the name `bridge`:
--
--     clickhouse-client --queries-file roles.sql
--
-- or for any database, by a user who may create roles and grant these rights: ClickHouseStore::create_roles.
-- May be run again. Needs a server: the embedded engine keeps its users in a file and knows no SQL-made roles.
--
-- Then give the roles to users, whose passwords are none of the bridge's business:
--
--     CREATE USER dashboard IDENTIFIED BY '…' DEFAULT ROLE bridge_dashboard;
--     GRANT bridge_dashboard TO dashboard;

-- Stores and reads: backfill, sync, look-ups. Cannot change or remove what is stored, nor the schema: of a
-- wrong row it can only write a greater version.
CREATE ROLE IF NOT EXISTS bridge_writer;
GRANT SELECT, INSERT ON `bridge`.token_usage TO bridge_writer;
GRANT SELECT, INSERT ON `bridge`.source_files TO bridge_writer;
GRANT SELECT, INSERT ON `bridge`.bridge_audit TO bridge_writer;
GRANT SELECT ON `bridge`.enhanced_token_summaries TO bridge_writer;
GRANT SELECT ON `bridge`.session_activity TO bridge_writer;
GRANT SELECT, INSERT ON `bridge`.token_prices TO bridge_writer;
GRANT SELECT ON `bridge`.token_costs TO bridge_writer;
GRANT SELECT, INSERT ON `bridge`.project_names TO bridge_writer;
GRANT SELECT ON `bridge`.counted_responses TO bridge_writer;
GRANT SELECT ON `bridge`.bridge_migrations TO bridge_writer;
GRANT SELECT ON `bridge`.bridge_resumes TO bridge_writer;
-- For health checks: how full the disks are.
GRANT SELECT ON system.disks TO bridge_writer;

-- Reads figures. May choose settings of its queries (readonly = 2), such as a limit of time, and no more.
CREATE ROLE IF NOT EXISTS bridge_dashboard SETTINGS readonly = 2;
GRANT SELECT ON `bridge`.token_usage TO bridge_dashboard;
GRANT SELECT ON `bridge`.source_files TO bridge_dashboard;
GRANT SELECT ON `bridge`.enhanced_token_summaries TO bridge_dashboard;
GRANT SELECT ON `bridge`.session_activity TO bridge_dashboard;
GRANT SELECT ON `bridge`.token_prices TO bridge_dashboard;
GRANT SELECT ON `bridge`.token_costs TO bridge_dashboard;
GRANT SELECT ON `bridge`.project_names TO bridge_dashboard;
GRANT SELECT ON `bridge`.counted_responses TO bridge_dashboard;
GRANT SELECT ON `bridge`.bridge_resumes TO bridge_dashboard;
-- To find at the start that nothing is missing: that the audit is there, not what is in it.
GRANT SELECT ON `bridge`.bridge_migrations TO bridge_dashboard;
GRANT SHOW TABLES, SHOW COLUMNS ON `bridge`.bridge_audit TO bridge_dashboard;
-- And of the audit when each host was last heard of.
GRANT SELECT(host, time) ON `bridge`.bridge_audit TO bridge_dashboard;

-- Creates and migrates the schema, makes checkpoints, rolls back and resumes, gives out the store and takes it in
-- again, and does what the others may. Of this database alone: it can neither make
-- users nor read other databases, files or addresses.
CREATE ROLE IF NOT EXISTS bridge_administrator;
GRANT SELECT, INSERT, ALTER, TRUNCATE, OPTIMIZE ON `bridge`.* TO bridge_administrator;
GRANT SELECT ON system.disks TO bridge_administrator;
GRANT CREATE DATABASE, CREATE TABLE, CREATE VIEW, DROP TABLE, DROP VIEW ON `bridge`.* TO bridge_administrator;
GRANT TABLE ENGINE ON Atomic TO bridge_administrator;
GRANT TABLE ENGINE ON MergeTree TO bridge_administrator;
GRANT TABLE ENGINE ON ReplacingMergeTree TO bridge_administrator;
GRANT TABLE ENGINE ON View TO bridge_administrator;
-- Backups: copies that end with their session.
GRANT CREATE ARBITRARY TEMPORARY TABLE ON *.* TO bridge_administrator;
GRANT BACKUP ON `bridge`.* TO bridge_administrator;
GRANT SELECT ON system.backups TO bridge_administrator;

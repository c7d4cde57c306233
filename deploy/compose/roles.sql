-- Makes the two roles and the database, or leaves them as they are; the passwords become those of the environment.
-- Run by psql as the cluster's own superuser. docs/how-to/postgres.md says what the roles are for.
\getenv owner_password OWNER_PASSWORD
\getenv service_password SERVICE_PASSWORD

SELECT format('CREATE ROLE %I LOGIN', name) FROM (VALUES ('holdfast_owner'), ('holdfast_service')) AS wanted (name)
  WHERE name NOT IN (SELECT rolname FROM pg_roles) \gexec
ALTER ROLE holdfast_owner PASSWORD :'owner_password';
ALTER ROLE holdfast_service PASSWORD :'service_password';

SELECT 'CREATE DATABASE holdfast OWNER holdfast_owner ENCODING ''UTF8'' TEMPLATE template0'
  WHERE NOT EXISTS (SELECT FROM pg_database WHERE datname = 'holdfast') \gexec
REVOKE ALL ON DATABASE holdfast FROM PUBLIC;
GRANT CONNECT ON DATABASE holdfast TO holdfast_service;

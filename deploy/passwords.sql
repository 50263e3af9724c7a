-- Gives each role that serves its password, read from the mounted secrets; run by psql as a superuser after the migration.
\set ON_ERROR_STOP on
\set api `cat /run/secrets/api_password`
\set feed `cat /run/secrets/feed_password`
\set admin `cat /run/secrets/admin_password`
ALTER ROLE gateway_api PASSWORD :'api';
ALTER ROLE gateway_feed PASSWORD :'feed';
ALTER ROLE gateway_admin PASSWORD :'admin';

-- 0003 Keys and partners come from their leaves: these are found by partner when a key authenticates.
--
-- Additive: an index of a few rows a partner. Making it reads the table of the log once and holds up appends meanwhile.

CREATE INDEX entry_registration ON audit.entry (partner_id) WHERE kind IN ('key', 'partner');
